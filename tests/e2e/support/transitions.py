"""Alert transitions and silences for tests."""

from datetime import UTC, datetime, timedelta

from schemas.testing import make_record
from sinks.webhook import silences

NOW = datetime.now(UTC)


def alert(name, revision=0, transition=None, *, host="h1", **fields):
    what = transition or ("updated" if revision else "raised")
    about = {"rule": "temperature-high", "component": f"1/{name}", "severity": "warning", "category": "thermal"}
    times = {"started_at": NOW, "observed_at": NOW + timedelta(seconds=revision)}
    numbers = {"value": 91.0, "threshold": 90.0, "text": f"{name} is hot"}
    all_fields = about | times | numbers | fields
    return make_record("Alert", id=name, revision=revision, transition=what, host=host, **all_fields)


def cleared(name, revision=1, **fields):
    return alert(name, revision, "cleared", cause="recovered", **fields)


def silence(*matchers, seconds=3600.0):
    now = datetime.now(UTC)
    end = now + timedelta(seconds=seconds)
    return silences.new_silence(matchers, now - timedelta(seconds=1), end, author="ann", reason="test")
