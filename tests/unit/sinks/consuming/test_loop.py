from __future__ import annotations

from typing import Any

import pytest

from sinks.consuming.assignment import begin
from sinks.influx.client import bodies


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
    assert begin(committed, remembered, span) == (start, hole)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([1], [(0, 1)], id="one"),
        pytest.param([1] * 7, [(0, 3), (3, 6), (6, 7)], id="by lines"),
        pytest.param([40, 40, 40], [(0, 2), (2, 3)], id="by bytes"),
        pytest.param([500, 1, 500], [(0, 1), (1, 2), (2, 3)], id="a line too large for any body goes alone"),
    ],
)
def test_lines_are_cut_into_bodies(sizes: list[int], expected: list[tuple[int, int]]) -> None:
    assert list(bodies([b"x" * size for size in sizes], max_lines=3, max_bytes=100)) == expected
