"""Everything `rackstream up` starts on one machine: the embedded Kafka, the pipeline, its supervisor."""
