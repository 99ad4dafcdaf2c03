"""Grafana's dashboards, written in Python: `python -m compose.dashboards` makes `compose/grafana/dashboards/*.json`."""
