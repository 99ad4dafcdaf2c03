"""From a sample to Kafka: every number accounted for, whatever happens to producer or broker."""

import os
import signal
from collections import defaultdict

import pytest
import yaml

from producers import redfish
from producers.fleet.targets import RedfishTarget
from rackstream.audit.counters import SequenceRanges
from rackstream.simulators.redfish import RedfishSimulator
from runtime import compacted_topic
from tests.e2e.support.parts import part, records, running, until

pytestmark = pytest.mark.kafka


def series(settings):
    found = SequenceRanges()
    for record in records(settings, "raw-host"):
        found.add(record)
    return found


def amiss(settings):
    """Of each host and category of redfish that is not numbered without holes: (lost or named, twice, late)."""
    found = defaultdict(SequenceRanges)
    for record in records(settings, "raw-redfish"):
        found[record["host"], record["category"]].add(record)
    counts = {key: (*each.gaps(from_start=True), each.twice, each.late) for key, each in found.items()}
    return {key: each for key, each in counts.items() if any(each)}


def of(settings, host):
    return [record for record in records(settings, "raw-redfish") if record["host"] == host]


def removed(settings):
    """Hosts of which a raw record says that they are no target any more."""
    return {record["host"] for record in records(settings, "raw-redfish") if record["category"] == "removed"}


def test_a_producer_killed_again_and_again_loses_nothing_without_a_word(kafka, tmp_path):
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("host: {interval: 0.02, targets: [{host: here}]}\n")
    producer = part(kafka, "producer", "producer", "host", "--fleet", str(fleet))
    with running(producer) as supervisor:
        for kills in range(3):
            until(lambda kills=kills: len(series(kafka).received) == kills + 1, tend=supervisor.run_periodic)
            supervisor.kill("producer")
        until(lambda: len(series(kafka).received) == 4, tend=supervisor.run_periodic)

    found = series(kafka)
    lost, named = found.gaps(from_start=True)
    print(f"3 kills: {sum(map(len, found.received.values()))} records, {lost} lost, {named} named, {found.twice} twice")
    assert (0, 0, 0) == (lost, found.late, found.twice)
    assert 3 == len(found.last_assigned)


def test_a_producer_tells_of_itself_and_its_targets(kafka, tmp_path):
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("redfish: {interval: 0.2, targets: [{host: dead, address: 'https://127.0.0.1:9'}]}\n")
    with running(part(kafka, "producer", "producer", "redfish", "--fleet", str(fleet))):
        status = until(
            lambda: [record for record in records(kafka, "state-targets") if record["status"] == "unreachable"]
        )[0]
        [beat] = until(lambda: records(kafka, "heartbeats"))

    assert ("redfish", "dead") == (status["source"], status["host"])
    assert "refused" in status["detail"]
    assert (1, 0) == (beat["targets"], beat["dropped"])
    [first, *_, last] = [record["status"] for record in records(kafka, "state-targets")]
    assert ("unknown", "stopped") == (first, last)
    last = records(kafka, "heartbeats")[-1]
    assert [("dead", "unreachable")] == [(each["host"], each["status"]) for each in last["failing"]], "for presence"
    assert (1, True) == (last["failing_count"], last["stopping"])


def statuses(settings):
    return {each["host"]: each for each in compacted_topic.read_latest(settings, "state-targets").values()}


def has(settings, host, status):
    found = statuses(settings).get(host)
    return found if found is not None and found["status"] == status else None


def write(fleet, urls, **more):
    """A fleet file of BMCs by name, and what some of them say beyond their address."""
    targets = [{"host": name, "address": url, **more.get(name, {})} for name, url in urls.items()]
    section = {"interval": 0.5, "username": "monitor", "password": f"file:{fleet.parent}/password", "targets": targets}
    fleet.write_text(yaml.safe_dump({"redfish": section}))


def test_a_fleet_file_that_changes_is_followed_and_who_is_still_in_it_notices_nothing(kafka, tmp_path):
    (tmp_path / "password").write_text("secret")
    (tmp_path / "other").write_text("wrong")
    fleet = tmp_path / "fleet.yaml"
    with RedfishSimulator(4, username="monitor", password="secret") as simulator:
        stays, leaves, changes, comes = simulator.urls
        write(fleet, {"stays": stays, "leaves": leaves, "changes": changes})
        producer = part(kafka, "producer", "producer", "redfish", "--fleet", str(fleet))
        with running(producer):
            for name in ("stays", "leaves", "changes"):
                until(lambda name=name: has(kafka, name, "up"))
            other = {"password": f"file:{tmp_path}/other"}
            write(
                fleet,
                {"stays": stays, "changes": changes, "comes": comes},
                changes={"labels": {"rack": "r2"}},
                comes=other,
            )
            gone = until(lambda: has(kafka, "leaves", "stopped"))
            moved = until(lambda: (found := has(kafka, "changes", "up")) and found["labels"] and found)
            assert "credentials" in until(lambda: has(kafka, "comes", "auth_failed"))["detail"]
            (tmp_path / "other").write_text("secret")
            came = until(lambda: has(kafka, "comes", "up"))

            fleet.write_text("redfish: {targets: [{host: x}]}\n")
            os.kill(producer.pid, signal.SIGHUP)
            until(lambda: "fleet file rejected" in producer.log.read_text())
            before = len(of(kafka, "stays"))
            until(lambda: len(of(kafka, "stays")) > before + 3)
        found = [bmc.sessions for bmc in simulator.bmcs]

    assert (True, None) == (gone["removed"], gone["session_uri"])
    assert ("removed", []) == (of(kafka, "leaves")[-1]["category"], of(kafka, "leaves")[-1]["systems"])
    assert {"leaves"} == removed(kafka)
    assert {"rack": "r2"} == moved["labels"]
    assert "line 1: redfish.targets.0.address" in producer.log.read_text()
    assert came["requests"] > 0 and came["request_mean_s"] > 0 and came["session_uri"]  # noqa: PT018
    assert [(1, 1), (1, 1), (2, 2), (1, 1)] == [(each.opened, each.closed) for each in found]  # no session is left
    assert {} == amiss(kafka)
    assert {"stopped"} == {status["status"] for status in statuses(kafka).values()}


def test_a_session_that_a_killed_producer_left_is_deleted_by_the_next(kafka, tmp_path):
    (tmp_path / "password").write_text("secret")
    fleet = tmp_path / "fleet.yaml"
    with RedfishSimulator(1, username="monitor", password="secret") as simulator:
        sessions = simulator.bmcs[0].sessions
        write(fleet, {"bmc": simulator.urls[0]})
        with running(part(kafka, "producer", "producer", "redfish", "--fleet", str(fleet))) as supervisor:
            left = until(lambda: has(kafka, "bmc", "up"))["session_uri"]
            assert [left.rpartition("/")[2]] == sessions.ids
            supervisor.kill("producer")
            until(lambda: sessions.opened == 2 and sessions.closed == 1, tend=supervisor.run_periodic)
            assert left.rpartition("/")[2] not in sessions.ids

    assert (2, 2) == (sessions.opened, sessions.closed)


def test_a_bmc_of_several_hosts_makes_one_record_for_each_and_one_for_the_enclosure(kafka, tmp_path):
    (tmp_path / "password").write_text("secret")
    fleet = tmp_path / "fleet.yaml"
    with RedfishSimulator(1, model="blade", username="monitor", password="secret") as simulator:
        url = simulator.urls[0]
        bmc = redfish.create_reader(
            RedfishTarget(host="any", address=url, username="monitor", password=f"file:{tmp_path}/password"), 1
        )
        systems = [system["system_id"] for system in bmc.read("system", 10).body["systems"]]
        bmc.close()
        mapped = {name: f"kvm-{n}" for n, name in enumerate(systems)}
        write(fleet, {"enclosure": url}, enclosure={"systems": mapped, "labels": {"rack": "r1"}})
        with running(part(kafka, "producer", "producer", "redfish", "--fleet", str(fleet))):
            hosts = {"enclosure", *mapped.values()}
            until(
                lambda: (
                    hosts
                    == {record["host"] for record in records(kafka, "raw-redfish") if record["category"] == "memory"}
                )
            )
            found = records(kafka, "raw-redfish")
            write(fleet, {"other": url})
            until(lambda: hosts == removed(kafka))

    assert {(("rack", "r1"),)} == {tuple(each["labels"].items()) for each in found}
    owners = {each["system_id"]: record["host"] for record in found for each in [*record["systems"], *record["dimms"]]}
    assert mapped == owners
    assert {} == amiss(kafka)
