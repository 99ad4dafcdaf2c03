"""Request bodies for alerts: Alertmanager's format, or plain JSON with a signature. Pure: time is an argument.

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
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

if TYPE_CHECKING:
    from schemas.records import Alert

IDENTITY_LABELS: Final = ("alertname", "host", "component", "severity")
"""Labels that identify an alert; a target's label of the same name is prefixed with `label_`."""
MAX_TEXT: Final = 4096


class PostableAlert(TypedDict):
    """Alert in Alertmanager's API v2."""

    labels: dict[str, str]
    annotations: dict[str, str]
    startsAt: str
    endsAt: NotRequired[str]
    generatorURL: NotRequired[str]


def idempotency_key(alert: Alert) -> str:
    """Returns the key of a transition, which is the same whenever it is delivered again."""
    return f"{alert['id']}-{alert['revision']}"


def json_body(alert: Alert) -> bytes:
    """Returns a transition with all fields of its record and its idempotency key.

    Times are in ISO 8601; NaN and infinity are null.
    """
    return _dump({**alert, "idempotency_key": idempotency_key(alert)})


def _dump(value: object) -> bytes:
    # A lone surrogate, impossible in Avro but not in a label from YAML, must not end the process.
    return json.dumps(_json_value(value), ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _json_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _json_value(field) for name, field in value.items()}
    return [_json_value(element) for element in value] if isinstance(value, list) else value


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Returns the HMAC-SHA256 of `<timestamp>.<body>` as `sha256=<hex>`. Receivers should refuse old timestamps."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def alertmanager_body(alerts: Iterable[Alert], now: datetime, link: str | None = None) -> bytes:
    """Returns a body for POST /api/v2/alerts.

    Active alerts have no endsAt: Alertmanager ends them `resolve_timeout` after the last post, so they are posted again
    and again. Cleared alerts have one, never in the future: they would be active until then.
    """
    return _dump([_postable_alert(alert, now, link) for alert in alerts])


def _postable_alert(alert: Alert, now: datetime, link: str | None) -> PostableAlert:
    # The clock of the host may be ahead: Alertmanager refuses alerts that start after they end.
    starts_at = min(alert["started_at"], now)
    annotations = {
        "summary": alert["text"][:MAX_TEXT],
        "id": alert["id"],
        "revision": str(alert["revision"]),
        "idempotency_key": idempotency_key(alert),
    }
    if alert["value"] is not None:
        annotations["value"] = f"{alert['value']:g}"
    if alert["threshold"] is not None:
        annotations["threshold"] = f"{alert['threshold']:g}"
    if alert["cause"]:
        annotations["cause"] = alert["cause"]
    body: PostableAlert = {
        "labels": alertmanager_labels(alert),
        "annotations": annotations,
        "startsAt": starts_at.isoformat(),
    }
    if alert["transition"] == "cleared":
        body["endsAt"] = max(starts_at, min(alert["observed_at"], now)).isoformat()
    if link:
        body["generatorURL"] = link
    return body


def alertmanager_labels(alert: Alert) -> dict[str, str]:
    """Returns the labels, which are Alertmanager's identity of an alert and so the same for all its transitions.

    Names are changed to what every version accepts. Empty values, which mean "no such label" there, are left out.
    """
    labels = {}
    for name, value in sorted(alert["labels"].items()):
        clean = re.sub(r"[^a-zA-Z0-9_]", "_", name)
        if not clean or clean in IDENTITY_LABELS or clean[0].isdigit() or clean.startswith("__"):
            clean = f"label_{clean}"
        labels[clean] = value
    identity = (alert["rule"], alert["host"], alert["component"], alert["severity"])
    labels |= dict(zip(IDENTITY_LABELS, identity, strict=True))
    return {name: value for name, value in labels.items() if value}
