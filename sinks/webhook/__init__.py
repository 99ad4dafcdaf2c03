"""The webhook sink: alerts to Alertmanager or any URL, with silences and inhibition."""
