"""Bodies of requests to InfluxDB."""

from __future__ import annotations

import pytest

from sinks.influx.client import split_bodies


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
    assert list(split_bodies([b"x" * size for size in sizes], max_lines=3, max_bytes=100)) == expected
