"""Times at the command line."""

from datetime import UTC, datetime, timedelta

import pytest

from rackstream.text.time_arguments import parse_period, parse_time
from runtime.errors import Misconfigured

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("now", NOW, id="now"),
        pytest.param("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC), id="a day is its beginning in UTC"),
        pytest.param("2026-01-01T10:20", datetime(2026, 1, 1, 10, 20, tzinfo=UTC), id="without a zone it is UTC"),
        pytest.param("2026-01-01 10:20:30.5Z", datetime(2026, 1, 1, 10, 20, 30, 500000, tzinfo=UTC), id="Z is UTC"),
        pytest.param("2026-01-01T01:00+02:00", datetime(2025, 12, 31, 23, tzinfo=UTC), id="a zone is converted"),
        pytest.param("-2h", NOW - timedelta(hours=2), id="two hours ago"),
        pytest.param("-90m", NOW - timedelta(minutes=90), id="ninety minutes ago"),
        pytest.param("-1d12h30s", NOW - timedelta(days=1, hours=12, seconds=30), id="units add up"),
    ],
)
def test_a_time_is_read_as(text, expected):
    assert expected == parse_time(text, NOW)
    assert UTC == parse_time(text, NOW).tzinfo


@pytest.mark.parametrize(
    "text", ["", "-", "2h", "+2h", "-2", "-2w", "-h", "-1h2d", "yesterday", "2026-13-01", "-9999999d"]
)
def test_what_is_no_time_is_refused_with_examples(text):
    with pytest.raises(Misconfigured, match=r"is not a time: give ISO 8601 .*-90m"):
        parse_time(text, NOW)


@pytest.mark.parametrize("until", ["-2h", "-3h"])
def test_a_period_that_holds_nothing_is_refused_with_both_times(until):
    with pytest.raises(Misconfigured, match=r"-2h \(2026-01-02T01:04:05\+00:00\) is not before"):
        parse_period("-2h", until, NOW)


def test_a_period_is_from_its_first_time_to_its_second():
    assert (NOW - timedelta(hours=2), NOW) == parse_period("-2h", "now", NOW)
