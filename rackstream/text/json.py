"""Converts values of records to JSON. Pure."""

from __future__ import annotations

import base64
from datetime import datetime


def jsonable(value: object) -> object:
    """Converts a value to JSON's types: times to ISO text, bytes to base64, NaN to null."""
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124  NaN
        return None
    return value
