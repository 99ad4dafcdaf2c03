"""The offset that a partition is read from."""

from __future__ import annotations

from typing import Any

import pytest

from sinks.consuming.assignment import starting_offset


@pytest.mark.parametrize(
    ("committed", "remembered", "span", "start", "hole"),
    [
        pytest.param(None, None, (5, 9), 5, None, id="a new group begins at the first record there is"),
        pytest.param(7, None, (5, 9), 7, None, id="at the committed offset"),
        pytest.param(9, None, (5, 9), 9, None, id="at the end"),
        pytest.param(0, None, (0, 0), 0, None, id="an empty partition"),
        pytest.param(2, None, (5, 9), 5, (2, 5), id="retention was faster"),
        pytest.param(9, None, (9, 9), 9, None, id="everything read was deleted: no hole"),
        pytest.param(7, 8, (5, 9), 8, None, id="the sink remembers more than Kafka"),
        pytest.param(8, 7, (5, 9), 8, None, id="Kafka remembers more than the sink"),
        pytest.param(2, 4, (5, 9), 5, (4, 5), id="the hole begins where the sink ended"),
        pytest.param(None, 4, (5, 9), 5, (4, 5), id="a hole that only the sink knows of"),
        pytest.param(20, None, (0, 9), 0, None, id="another topic of that name: all of it"),
        pytest.param(20, 3, (0, 9), 3, None, id="another topic of that name, begun already"),
    ],
)
def test_reading_begins(committed: Any, remembered: Any, span: Any, start: int, hole: Any) -> None:
    assert starting_offset(committed, remembered, span) == (start, hole)
