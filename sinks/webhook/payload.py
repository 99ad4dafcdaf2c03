"""What is posted of an alert: for Alertmanager, or as plain JSON, signed. Pure: the caller says what time it is.

Alertmanager: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml (POST /alerts).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

Record = Mapping[str, Any]
OWN: Final = ("alertname", "host", "component", "severity")
"""Labels that say which alert it is; a target's label of this name gets `label_` in front."""
TEXT_MAX: Final = 4096


def key(alert: Record) -> str:
    """The idempotency key of a transition: the same whenever it is delivered again."""
    return f"{alert['id']}-{alert['revision']}"


def as_json(alert: Record) -> bytes:
    """The transition as it is on Kafka, with its idempotency key; times as ISO 8601, a number that is none as null."""
    return _dump(dict(alert) | {"idempotency_key": key(alert)})


def _dump(value: Any) -> bytes:
    def plain(each: Any) -> Any:
        if isinstance(each, datetime):
            return each.isoformat()
        if isinstance(each, float) and not math.isfinite(each):
            return None
        if isinstance(each, Mapping):
            return {name: plain(inner) for name, inner in each.items()}
        return [plain(inner) for inner in each] if isinstance(each, list) else each

    # A lone surrogate, which Avro cannot carry but a label from YAML might, must not end the process.
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of `<timestamp>.<body>`, as `sha256=<hex>`. The receiver refuses timestamps that are old."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def for_alertmanager(alerts: Iterable[Record], now: datetime, link: str | None = None) -> bytes:
    """A body for POST /api/v2/alerts.

    What is active has no endsAt: Alertmanager ends it by itself `resolve_timeout` after the last post, so it is posted
    again and again. What is cleared has one, which is never to come: it would be active until then.
    """
    return _dump([_for_alertmanager(alert, now, link) for alert in alerts])


def _for_alertmanager(alert: Record, now: datetime, link: str | None) -> dict[str, Any]:
    # A host whose clock is ahead: what starts after it ended is refused.
    began = min(alert["started_at"], now)
    numbers = {name: f"{alert[name]:g}" for name in ("value", "threshold") if alert[name] is not None}
    said: dict[str, Any] = {
        "labels": labels(alert),
        "annotations": {
            "summary": alert["text"][:TEXT_MAX],
            "id": alert["id"],
            "revision": str(alert["revision"]),
            "idempotency_key": key(alert),
        }
        | numbers
        | ({"cause": alert["cause"]} if alert["cause"] else {}),
        "startsAt": began.isoformat(),
    }
    if alert["transition"] == "cleared":
        said["endsAt"] = max(began, min(alert["observed_at"], now)).isoformat()
    return said | ({"generatorURL": link} if link else {})


def labels(alert: Record) -> dict[str, str]:
    """Alertmanager's labels: they are its identity of an alert, so they are the same for all its transitions.

    Names are made such as every version takes; empty values mean "no such label" there, and are left out.
    """
    found = {}
    for name, value in sorted(alert["labels"].items()):
        clean = re.sub(r"[^a-zA-Z0-9_]", "_", name)
        if not clean or clean in OWN or clean[0].isdigit() or clean.startswith("__"):
            clean = f"label_{clean}"
        found[clean] = value
    own = zip(OWN, (alert["rule"], alert["host"], alert["component"], alert["severity"]), strict=True)
    return {name: value for name, value in (found | dict(own)).items() if value}
