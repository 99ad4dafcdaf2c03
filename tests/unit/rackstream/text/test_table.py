"""Printed tables."""

import pytest

from rackstream.text.table import print_table

ID = "2c79d9aa7e6451f0"
ROW = (ID, "High temperature: CPU1 Temp at 98.0 °C (limit 90.0 °C)", "2026-01-02 03:04:05")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_an_id_stays_whole_while_other_columns_can_give_way(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    print_table(("id", "description", "start"), iter([ROW]))
    lines = capsys.readouterr().out.splitlines()
    assert ID in "\n".join(lines)
    assert max(map(len, lines)) <= width


def test_a_word_wider_than_the_terminal_is_folded_and_not_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    print_table(("id", "reason"), iter([("x" * 90, "new fan")]))
    assert 90 == capsys.readouterr().out.count("x")
