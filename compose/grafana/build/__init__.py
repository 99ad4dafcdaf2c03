"""Grafana's dashboards, written in Python: `python -m compose.grafana.build` makes `compose/grafana/dashboards/*.json`."""
