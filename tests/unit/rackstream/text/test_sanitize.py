"""Names come from machines: what is printed for a person holds nothing that steers a terminal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.table import Table

from rackstream.text import sanitize
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


HOSTILE = "n1\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"


def harmless(text: str) -> bool:
    return all(char.isprintable() or char in "\n\t" for char in text)


@pytest.mark.parametrize("err", [False, True], ids=["output", "errors"])
def test_what_is_echoed_keeps_its_lines_and_no_escape(capsys: pytest.CaptureFixture[str], *, err: bool) -> None:
    sanitize.echo(f"host\t{HOSTILE}\nnext", err=err)

    text = capsys.readouterr()[err]
    assert harmless(text)
    assert text.startswith("host\tn1�]0;owned��[2J�31m�\nnext")


def test_json_for_programs_is_escaped_and_loses_nothing() -> None:
    text = sanitize.json_text({"host": HOSTILE, "next": "\U000e0001é"}, indent=1)

    assert harmless(text)
    assert {"host": HOSTILE, "next": "\U000e0001é"} == json.loads(text)
    assert "é" in text


def test_a_rich_console_prints_styles_of_ours_and_no_escape_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table()
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    console = sanitize.terminal_console(width=60)
    console.print(table)
    console.print(f"[bold]{HOSTILE}[/bold]")

    text = capsys.readouterr().out
    assert harmless(text)
    assert "n1" in text


def test_a_drawing_keeps_colours_only(capsys: pytest.CaptureFixture[str]) -> None:
    sanitize.echo_coloured("\x1b[31mline\x1b[0m \x1b[2J\x1b]0;t\x07")

    assert "line �[2J�]0;t�\n" == capsys.readouterr().out, "no colours in a file"


@pytest.mark.parametrize("has_terminal", [True, False], ids=["terminal", "pipe"])
def test_csv_is_cleaned_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, has_terminal: bool
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: has_terminal)
    sanitize.DataOutput().write("n1\x1b[2J\x9b,2\n")

    assert ("n1�[2J�,2\n" if has_terminal else "n1\x1b[2J\x9b,2\n") == capsys.readouterr().out
