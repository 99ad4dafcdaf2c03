"""Names come from machines: what is printed for a person holds nothing that steers a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from rackstream.text.sanitize import printable


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("CPU 1 °C – [red]", "CPU 1 °C – [red]", id="text stays"),
        pytest.param("a\x1b[2J\x9bb\nc", "a�[2J�b�c", id="escapes and line breaks do not"),
        pytest.param("\u202eabc", "�abc", id="nor what turns the direction of writing"),
        pytest.param({"\x07": ["\x1b", 3, None, True]}, {"�": ["�", 3, None, True]}, id="however deep"),
    ],
)
def test_nothing_that_is_printed_steers_a_terminal(value: Any, shown: Any) -> None:
    assert shown == printable(value)
