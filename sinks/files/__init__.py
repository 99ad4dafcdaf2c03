"""The files sink and the archive: hourly Parquet, JSONL or Avro files, committed by a manifest."""
