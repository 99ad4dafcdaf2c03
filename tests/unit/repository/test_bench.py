"""The table of the benchmarks and the pages made of it, from figures as the parts print them."""

from __future__ import annotations

import json

import pytest

from bench.support import pages, result_tables
from bench.support.external_process import NO_PEERS, Missing, built

ABOUT = {"cpu": "C", "cpus": 2, "memory_gib": 4.0, "kernel": "6", "python": "3.11", "load_before": 1.0,
         "date": "2026-01-01", "versions": {"rackstream": "0"}}  # fmt: skip


def part(command: str, result: dict[str, object]) -> dict[str, object]:
    return {"command": command, "machine": ABOUT, "result": result}


PROCESSORS = {"us_per_record": {"faust": 100.0, "bare": 90.0, "streams": 50.0}, "missing": {"quix": "no network"}}
GROWTH = {
    "producer": [{"bmcs": 1000, "cpu_s_per_host_hour": 2.0, "rss_mib": 90.0}],
    "stream": [
        {"hosts": hosts, "processor": {"cpu_s_per_host_hour": each, "rss_mib": 120.0},
         "sink": {"cpu_s_per_host_hour": 0.1, "rss_mib": 110.0}}
        for hosts, each in ((10, 0.9), (10_000, 0.36))
    ],
}  # fmt: skip
PARTS = {"processors": part("make bench P", PROCESSORS), "growth": part("make bench G", GROWTH)}


def test_a_peer_that_costs_half_as_much_has_a_ratio_of_a_half_and_is_named_among_the_losses():
    [row] = [each for each in result_tables.comparison(PARTS) if each.peer == "Kafka Streams"]
    page = pages.compared(PARTS)

    assert row.ratio == pytest.approx(0.5)
    assert "Kafka Streams takes 0.50 of ours" in page.partition("## Where others cost less")[2]
    assert "loop of confluent-kafka takes 0.90" in page


def test_a_peer_that_was_not_to_be_had_has_no_figure_and_says_why():
    [row] = [each for each in result_tables.comparison(PARTS) if each.peer == "Quix Streams"]

    assert (row.theirs, row.ratio, row.note) == (None, None, "no network")
    assert "no network" in result_tables.plain([row], [])
    assert "| Quix Streams | – | – | no network |" in pages.compared(PARTS)


def test_one_core_carries_the_hosts_whose_cost_fills_its_hour():
    page = pages.capacity(PARTS)

    assert "| producer | 1,000 | 2 | 1,800 hosts | 90 |" in page
    assert "| processor | 10,000 | 0.36 | 10,000 hosts | 120 |" in page


def test_the_cores_of_a_fleet_come_from_the_largest_that_was_measured():
    fleet = pages.capacity(PARTS).partition("## 10,000 hosts")[2]

    assert "| processor | 1 |" in fleet
    assert "| producer | 5.56 |" in fleet


def test_every_section_of_a_page_has_the_command_that_makes_its_figures():
    assert "`make bench P`" in pages.compared(PARTS)
    assert "`make bench G`" in pages.capacity(PARTS)


def test_the_pages_are_made_of_the_committed_results():
    assert 0 == pages.main(["--check"])
    assert {"redfish", "libvirt", "processors"} <= json.loads(pages.RESULTS.read_text()).keys()


def test_no_peer_is_built_where_none_is_wanted(monkeypatch):
    monkeypatch.setenv(NO_PEERS, "yes")

    with pytest.raises(Missing, match=NO_PEERS):
        built("get-telegraf")
