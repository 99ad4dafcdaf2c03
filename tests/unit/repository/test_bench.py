"""Tables and pages of benchmark results."""

from __future__ import annotations

import json

import pytest

from bench.support import pages, result_tables
from bench.support.external_process import NO_PEERS, MissingPeer, build_peer

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
    [row] = [row for row in result_tables.comparisons(PARTS) if row.peer == "Kafka Streams"]
    page = pages.comparison_page(PARTS)

    assert row.ratio == pytest.approx(0.5)
    losses = page.partition("## Cases in which other software costs less")[2]
    assert "Kafka Streams takes 0.50 of the CPU time" in losses
    assert "loop of confluent-kafka takes 0.90" in page


def test_a_peer_that_was_not_to_be_had_has_no_figure_and_says_why():
    [row] = [row for row in result_tables.comparisons(PARTS) if row.peer == "Quix Streams"]

    assert (row.peer_cost, row.ratio, row.note) == (None, None, "no network")
    assert "no network" in result_tables.text_table([row], [])
    assert "| Quix Streams | – | – | no network |" in pages.comparison_page(PARTS)


def test_one_core_carries_the_hosts_whose_cost_fills_its_hour():
    page = pages.capacity_page(PARTS)

    assert "| producer | 1,000 | 2 | 1,800 hosts | 90 |" in page
    assert "| processor | 10,000 | 0.36 | 10,000 hosts | 120 |" in page


def test_the_cores_of_a_fleet_come_from_the_largest_that_was_measured():
    fleet = pages.capacity_page(PARTS).partition("## 10,000 hosts")[2]

    assert "| processor | 1 |" in fleet
    assert "| producer | 5.56 |" in fleet


def test_every_section_of_a_page_has_the_command_that_makes_its_figures():
    assert "`make bench P`" in pages.comparison_page(PARTS)
    assert "`make bench G`" in pages.capacity_page(PARTS)


def test_the_pages_are_made_of_the_committed_results():
    assert {path: path.read_text() for path in pages.generated_files()} == pages.generated_files()
    assert {"redfish", "libvirt", "processors"} <= json.loads(pages.RESULTS.read_text()).keys()


def test_no_peer_is_built_where_none_is_wanted(monkeypatch):
    monkeypatch.setenv(NO_PEERS, "yes")

    with pytest.raises(MissingPeer, match=NO_PEERS):
        build_peer("get-telegraf")
