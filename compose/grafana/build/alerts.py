"""Alerts: what is active, what came and went, which rules speak most."""

from __future__ import annotations

from typing import Final

from compose.grafana.build.parts import HOST, SINCE, WITHIN, Board, Column, lines, newest, number, over_time, rows

SEVERITY: Final = Column("severity", width=90, coloured=True)
ACTIVE: Final = newest("alert", ("id",), "*", "transition <> 'cleared'")
BOARD: Final = Board("alerts", "Alerts", "What is active, what came and went.", (
    number("Critical", "none", f"SELECT count(*) AS alerts FROM ({ACTIVE}) WHERE severity = 'critical'", width=6, warn=1),
    number("Warning", "none", f"SELECT count(*) AS alerts FROM ({ACTIVE}) WHERE severity = 'warning'", width=6, warn=1),
    number("Raised in the range", "none", f"SELECT count(*) AS alerts FROM alert WHERE {WITHIN} AND transition = 'raised'", width=6),
    number("Cleared in the range", "none", f"SELECT count(*) AS alerts FROM alert WHERE {WITHIN} AND transition = 'cleared'", width=6),
    rows("Active", newest("alert", ("id",), "time, started_at, host, severity, rule, component, value, threshold, text", "transition <> 'cleared'", "time DESC"),
         {"time": Column("last change", width=170), "started_at": Column("since", "dateTimeAsLocal", 170), "host": HOST, "severity": SEVERITY}, width=24, height=10,
         about="The newest transition of each alert in the range, unless it is «cleared»."),
    lines("Raised, by rule", "none", over_time("alert", "count(*) AS raised", "rule", "transition = 'raised'")),
    lines("Raised, by severity", "none", over_time("alert", "count(*) AS raised", "severity", "transition = 'raised'")),
    rows("Hosts with most alerts", f"SELECT host, count(*) AS raised FROM alert WHERE {WITHIN} AND transition = 'raised' GROUP BY host ORDER BY raised DESC LIMIT 20",
         {"host": HOST}),
    rows("Rules that speak most", f"SELECT rule, severity, count(*) AS raised FROM alert WHERE {WITHIN} AND transition = 'raised' GROUP BY rule, severity ORDER BY raised DESC LIMIT 20",
         {"severity": SEVERITY}),
    rows("Transitions", f"SELECT time, host, severity, rule, component, transition, cause, text FROM alert WHERE {WITHIN} ORDER BY time DESC LIMIT 500",
         {"time": SINCE, "host": HOST, "severity": SEVERITY}, width=24, height=12),
))
