"""Grafana dashboards, written in Python; `scripts/generate` makes `compose/grafana/dashboards/*.json` of them."""
