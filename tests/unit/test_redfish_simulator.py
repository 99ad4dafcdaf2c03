"""The simulated BMC's documents: what a demo and a test may count on."""

from __future__ import annotations

import itertools
import json

import pytest

from producers.simulate.bmc import DOCUMENTS
from producers.simulate.moment import CHASSIS, CPU_CRITICAL_CELSIUS, SYSTEM, Moment

PERIOD_S = 40.0


def cpu_ratio(number: int, at_s: float) -> float:
    return Moment(number, at_s, PERIOD_S).cpu_celsius / CPU_CRITICAL_CELSIUS


def test_the_first_bmc_breaches_within_15_seconds_and_recovers_within_35() -> None:
    assert cpu_ratio(0, 0) < 0.6
    assert cpu_ratio(0, 15) > 0.9
    assert cpu_ratio(0, 35) < 0.7


@pytest.mark.parametrize("number", range(20))
def test_every_bmc_starts_well_and_breaches_in_its_first_two_periods(number: int) -> None:
    assert cpu_ratio(number, 0) < 0.6
    assert max(cpu_ratio(number, at_s) for at_s in range(int(2 * PERIOD_S))) > 0.9


def test_values_move_smoothly() -> None:
    steps = [Moment(3, second / 10, PERIOD_S) for second in range(2000)]
    for before, after in itertools.pairwise(steps):
        assert abs(after.cpu_celsius - before.cpu_celsius) < 0.5
        assert abs(after.watts - before.watts) < 2


def test_documents_depend_on_number_and_time_alone() -> None:
    moment = Moment(2, 12.5, PERIOD_S)
    for make in DOCUMENTS.values():
        assert json.dumps(make(moment)) == json.dumps(make(moment))


def test_a_server_has_what_the_demo_shows() -> None:
    moment = Moment(0, 0, PERIOD_S)
    thermal, power = DOCUMENTS[f"{CHASSIS}/Thermal"](moment), DOCUMENTS[f"{CHASSIS}/Power"](moment)
    assert (8, 6) == (len(thermal["Temperatures"]), len(thermal["Fans"]))
    assert (3, 4, 2) == (len(power["PowerControl"]), len(power["Voltages"]), len(power["PowerSupplies"]))
    total, *parts = [each["PowerConsumedWatts"] for each in power["PowerControl"]]
    assert total > sum(parts)
    assert DOCUMENTS[SYSTEM](moment)["Status"]["Health"] == "OK"


def links(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["@odata.id"]] if value.keys() == {"@odata.id"} else []
        return own + [each for inner in value.values() for each in links(inner)]
    return [each for inner in value for each in links(inner)] if isinstance(value, list) else []


def test_every_link_leads_to_a_document_and_every_document_is_at_its_uri() -> None:
    moment = Moment(1, 3, PERIOD_S)
    for path, make in DOCUMENTS.items():
        document = make(moment)
        assert document.get("@odata.id") in (path, None)
        assert [] == [link for link in links(document) if link not in DOCUMENTS]


def test_the_summaries_of_a_server_are_true() -> None:
    moment = Moment(1, 3, PERIOD_S)
    system = DOCUMENTS[SYSTEM](moment)
    members = {name: DOCUMENTS[f"{SYSTEM}/{name}"](moment)["Members"] for name in ("Processors", "Memory")}
    documents = {name: [DOCUMENTS[each["@odata.id"]](moment) for each in found] for name, found in members.items()}
    cpus = [each for each in documents["Processors"] if each["ProcessorType"] == "CPU"]
    assert system["ProcessorSummary"]["Count"] == len(cpus)
    mebibytes = sum(each["CapacityMiB"] for each in documents["Memory"])
    assert system["MemorySummary"]["TotalSystemMemoryGiB"] * 1024 == mebibytes
