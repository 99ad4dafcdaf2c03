"""The view model: what lists, hosts, VMs, alerts and the pipeline show of the records that came."""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from rackstream.text.json import jsonable
from rackstream.view.model import View
from rackstream.view.packed_records import read_head
from schemas import catalog, codec
from schemas.sources import SOURCE_BY_TOPIC
from schemas.testing import START_TIME, make_raw_record, make_record

TOPICS = catalog.load()


def encoded(alias, record):
    """A record as the feed passes it to the view: alias, key, value."""
    topic = TOPICS[alias]
    return alias, topic.key_of(record), codec.encode(catalog.schema(topic.schema), record)


def seeing(*records, view=None):
    """A view to which these records were applied."""
    view = view or View()
    view.apply(encoded(alias, record) for alias, record in records)
    assert view.update_lists()
    return view


def target(host="h1", source="redfish", status="up", at_s=0.0, **fields):
    times = {"since": START_TIME, "observed_at": START_TIME + timedelta(seconds=at_s)}
    defaults = {"producer": f"{source}-p", "address": "https://bmc"} | times
    return "state-targets", make_record("TargetStatus", host=host, source=source, status=status, **(defaults | fields))


def thermal(host="h1", *readings, at_s=0.0):
    temperatures = [
        make_record(
            "RedfishTemperature", sensor_id=f"t{number}", reading_celsius=celsius, upper_threshold_critical=limit
        )
        for number, (celsius, limit) in enumerate(readings)
    ]
    return "raw-redfish", make_raw_record(
        "RedfishSample", host=host, category="thermal", at_s=at_s, temperatures=temperatures
    )


def domains(host="h1", *names, at_s=0.0):
    vms = [
        make_record(
            "Domain", uuid=f"{host}-{name}", name=name, state=1, cpus=2, memory_used_kb=1024,
            nics=[make_record("DomainNic", device="vnet0", mac="52:54:00:00:00:01", rxbytes=5)],
            disks=[make_record("DomainDisk", device="vda", rd_bytes=7)],
        )
        for name in names
    ]  # fmt: skip
    return "raw-libvirt", make_raw_record("LibvirtSample", host=host, category="domains", at_s=at_s, domains=vms)


def presence(status, *alerts, producer="redfish-p"):
    state = make_record("PresenceState", producer=producer, source="redfish", status=status, alerts=list(alerts))
    return "state-presence", state


def alert(name, revision=0, transition="raised", **fields):
    return "alerts", make_record(
        "Alert", id=name, revision=revision, transition=transition, **({"host": "h1"} | fields)
    )


@pytest.mark.parametrize("alias", sorted(SOURCE_BY_TOPIC))
def test_host_category_and_time_of_every_published_version_are_read_without_decoding(alias):
    versions = [schema for schema in catalog.published_schemas().values() if schema.name == TOPICS[alias].schema]
    fields = [[field["name"] for field in version.definition["fields"]][:3] for version in versions]

    assert fields == [["host", "category", "observed_at"]] * len(versions) != []
    _, _, value = encoded(alias, make_record(TOPICS[alias].schema, host="hömma", category="c"))
    assert ("hömma", "c", int(START_TIME.timestamp() * 1e6)) == tuple(read_head(value))


def test_a_host_is_listed_with_what_each_of_its_sources_tells():
    view = seeing(
        target(labels={"rack": "r1"}),
        target(source="libvirt", status="slow", labels={"site": "s1"}),
        thermal("h1", (40.0, 80.0), (60.0, 100.0)),
        ("power", make_record("Power", host="h1", consumed_watts=321.0)),
        ("state-health", make_record("Health", host="h1", overall="warning")),
        domains("h1", "a", "b"),
        ("raw-host", make_raw_record("HostSample", host="h1", cpu_percent=12.5, at_s=3)),
    )
    [row] = view.hosts().rows

    assert ("h1", "warning", {"libvirt": "slow", "redfish": "up"}) == (row.name, row.health, row.statuses)
    assert (321.0, 2, 12.5) == (row.watts, row.vms, row.cpu_percent)
    assert ("t1", 60.0, 100.0, 0.6) == (
        row.hottest.sensor, row.hottest.celsius, row.hottest.limit_celsius, row.hottest.nearness,
    )  # fmt: skip
    assert {"rack": "r1", "site": "s1"} == row.labels
    assert START_TIME + timedelta(seconds=3) == row.seen_at


def test_the_overview_sums_the_fleet():
    view = seeing(
        target("h1"), target("h2", status="unreachable"), target("h3"),
        thermal("h1", (50.0, 100.0)), thermal("h3", (90.0, 100.0), (None, 50.0)),
        ("power", make_record("Power", host="h1", consumed_watts=100.0)),
        ("power", make_record("Power", host="h3", consumed_watts=200.0)),
        ("state-health", make_record("Health", host="h1", overall="ok")),
        ("state-health", make_record("Health", host="h3", overall="critical")),
        domains("h2", "a"),
        alert("x", severity="critical"),
    )  # fmt: skip
    overview = view.overview()

    assert (3, 300.0, 1) == (overview.hosts, overview.watts, overview.vms)
    assert {"ok": 1, "warning": 0, "critical": 1, "unknown": 1} == overview.health
    assert {"up": 2, "unreachable": 1} == overview.statuses
    assert [("h3", 90.0), ("h1", 50.0)] == [(sensor.host, sensor.celsius) for sensor in overview.hottest]
    assert {"critical": 1, "warning": 0} == overview.alerts


def test_a_stale_record_of_a_host_that_is_read_no_more_does_not_bring_it_back():
    gone = make_raw_record("RedfishSample", host="h1", category="removed", at_s=20)
    removed = target(removed=True, at_s=20)
    late = thermal("h1", (40.0, 80.0), at_s=10)
    view = seeing(target(at_s=10), late, ("raw-redfish", gone), removed, late)

    assert [] == view.hosts().rows
    assert ["h1"] == [row.name for row in seeing(target(at_s=30), thermal("h1", at_s=31), view=view).hosts().rows]


def test_the_order_of_topics_does_not_matter_to_a_host_that_is_read_again():
    health = make_record("Health", host="h1", category="removed", observed_at=START_TIME + timedelta(seconds=20))
    view = seeing(target(at_s=30), ("state-health", health))

    assert [{"redfish": "up"}] == [row.statuses for row in view.hosts().rows]


def test_a_host_keeps_what_its_other_source_tells_when_one_is_removed():
    view = seeing(target(), target(source="libvirt"), thermal("h1", (40.0, 80.0)), domains("h1", "a"))
    [row] = seeing(target(removed=True, at_s=9), view=view).hosts().rows

    assert ({"libvirt": "up"}, None, 1) == (row.statuses, row.hottest, row.vms)


def test_targets_of_a_silent_producer_are_unknown_until_it_is_heard():
    view = View()
    changes = (target(), presence("silent"), target(), presence("alive"))
    statuses = [seeing(change, view=view).hosts().rows[0].statuses["redfish"] for change in changes]

    assert ["up", "unknown", "unknown", "up"] == statuses


def test_hosts_are_found_by_words_in_name_and_labels_by_health_and_by_status():
    view = seeing(
        target("kvm-1", labels={"rack": "R1"}), target("kvm-2", labels={"rack": "r2"}, status="late"),
        target("db-1", labels={"rack": "r1"}), ("state-health", make_record("Health", host="db-1", overall="critical")),
    )  # fmt: skip

    def names(*arguments, **options):
        return [row.name for row in view.hosts(*arguments, **options).rows]

    assert ["db-1", "kvm-1"] == names("rack=r1")
    assert ["kvm-1"] == names("KVM r1")
    assert ["db-1"] == names(health="critical")
    assert ["kvm-2"] == names(status="late")
    assert ["kvm-2", "kvm-1", "db-1"] == names(sort="name", descending=True)
    assert (3, ["kvm-1"]) == (view.hosts(offset=1, limit=1).total, names(offset=1, limit=1))


def test_hosts_without_a_value_come_last_whichever_way_they_are_ordered():
    watts = {"a": 100.0, "b": None, "c": 300.0}
    view = seeing(*(("power", make_record("Power", host=name, consumed_watts=value)) for name, value in watts.items()))

    def names(*, descending):
        return "".join(row.name for row in view.hosts(sort="watts", descending=descending).rows)

    assert ("acb", "cab") == (names(descending=False), names(descending=True))


def test_one_host_tells_all_that_its_newest_records_tell():
    drives = [make_record("RedfishDrive", drive_id="d0", name="SSD 0", capacity_bytes=10, failure_predicted=True)]
    supplies = [make_record("RedfishPowerSupply", sensor_id="p1", power_output_watts=90.0)]
    health = make_record(
        "Health", host="h1", overall="critical", alerts=[make_record("HealthAlert", text="SSD 0 will fail")]
    )
    disk_rates = make_record("HostDiskRates", device="sda", read_bytes_rate=5.0)
    view = seeing(
        target(vendor="Dell", firmware="7.1", detail="fans left out", left_out=["fans"]),
        thermal("h1", (40.0, 80.0)),
        ("raw-redfish", make_raw_record("RedfishSample", host="h1", category="storage", drives=drives)),
        ("raw-redfish", make_raw_record("RedfishSample", host="h1", category="power", power_supplies=supplies)),
        ("state-health", health),
        ("raw-host", make_raw_record("HostSample", host="h1", cpu_percent=3.0, memory_total=64)),
        ("host-rates", make_record("HostRates", host="h1", disks=[disk_rates])),
        alert("x"), alert("y", host="h2"),
    )  # fmt: skip
    host = view.host("h1")

    [status] = host.targets
    assert ("Dell", "7.1", "fans left out") == (status.vendor, status.firmware, status.detail)
    assert ["fans"] == status.left_out
    assert [("t0", 40.0, 80.0)] == [
        (temperature.name, temperature.celsius, temperature.upper_critical) for temperature in host.temperatures
    ]
    assert [("SSD 0", True)] == [(drive.name, drive.failure_predicted) for drive in host.drives]
    assert [("p1", 90.0)] == [(supply.name, supply.output_watts) for supply in host.supplies]
    assert "system" in [component.name for component in host.components]
    assert ["SSD 0 will fail"] == host.findings
    assert (3.0, 64) == (host.own.figures["cpu_percent"], host.own.figures["memory_total"])
    assert [("sda", 5.0)] == [(disk.device, disk.read_bytes_rate) for disk in host.own.disks]
    assert ["x"] == [alert.id for alert in host.alerts]
    assert None is view.host("h9")


def test_one_vm_tells_its_devices_with_their_rates():
    feature = make_record("VmFeature", uuid="h1-a", cputime_rate=5e8, net_rxbytes_rate=10.0, net_txbytes_rate=None)
    rate = make_record("DeviceRate", uuid="h1-a", device="vnet0", rxbytes_rate=8.0)
    watts = make_record("VmWatts", uuid="h1-a", estimated_watts=33.0)
    view = seeing(
        domains("h1", "a", "b"), ("vm-features", make_record("VmFeatures", host="h1", vms=[feature])),
        ("device-rates", make_record("DeviceRates", host="h1", devices=[rate])),
        ("vm-power", make_record("VmPower", host="h1", vms=[watts])),
    )  # fmt: skip
    vm = view.vm("h1", "h1-a")

    assert ("running", 50.0, 10.0, None) == (
        vm.row.state, vm.row.cpu_percent, vm.row.net_bytes_s, vm.row.disk_bytes_s,
    )  # fmt: skip
    [nic], [disk] = vm.nics, vm.disks
    assert ("52:54:00:00:00:01", 5, 8.0) == (nic.about["mac"], nic.counters["rxbytes"], nic.rates["rxbytes"])
    assert ("vda", 7, {}) == (disk.name, disk.counters["rd_bytes"], disk.rates)
    assert (5e8, 33.0) == (vm.rates["cputime"], vm.watts)
    assert (None, None) == (view.vm("h1", "other"), view.vm("h9", "h1-a"))
    assert ["a", "b"] == [vm.name for vm in view.vms(sort="cpu", descending=True).rows]
    assert ["b"] == [vm.name for vm in view.vms("h1-B").rows]


def test_a_vm_that_has_ended_is_not_shown():
    view = seeing(domains("h1", "a", "b"), domains("h1", "b", at_s=1))

    assert ["b"] == [vm.name for vm in view.vms().rows]


def test_an_alert_is_active_until_it_is_cleared_and_its_story_is_kept():
    view = seeing(alert("x"), alert("x", 1, "updated"), alert("y", severity="critical"), alert("x", 2, "cleared"))
    story = view.alert("x")

    assert ["y"] == [row.id for row in view.alerts().rows]
    assert ["raised", "updated", "cleared"] == [transition.transition for transition in story.transitions]
    assert not story.alert.active
    assert [("x", 2), ("y", 0), ("x", 1), ("x", 0)] == [
        (row.id, row.revision) for row in view.alerts(state="history").rows
    ]
    assert ["y"] == [row.id for row in view.alerts("y", severity="critical", host="h1").rows]
    assert None is view.alert("z")


def test_what_mutes_an_active_alert_is_told():
    now = datetime.now(UTC)
    silence = make_record(
        "Silence", id="s1", matchers=[make_record("Matcher", name="host", pattern="h*")],
        starts_at=now - timedelta(hours=1), ends_at=now + timedelta(hours=1),
    )  # fmt: skip
    quiet = make_record("PresenceAlert", rule="producer-silent", host="redfish-p", component="redfish-p")
    view = seeing(target(), alert("x", category="thermal"))

    assert [] == view.alerts().rows[0].muted_by
    seeing(("silences", silence), presence("silent", quiet), view=view)
    assert ["silence s1", "producer-silent redfish-p"] == view.alerts().rows[0].muted_by
    view.apply([("silences", b"s1", None)])
    seeing(presence("alive"), view=view)
    assert [] == view.alerts().rows[0].muted_by
    seeing(target(status="stopped", stopped_by="ann", detail="stopped by ann"), view=view)
    assert [] == view.alerts().rows[0].muted_by, "any producer may write that"
    command = make_record("Control", key="host:h1", desired="stopped", by="ann", reason="")
    view.apply([encoded("control", command)])
    assert ["stopped by ann"] == view.alerts().rows[0].muted_by
    view.apply([("control", b"host:h1", None)])
    assert [] == view.alerts().rows[0].muted_by
    view.apply([encoded("control", command)])
    seeing(target(), view=view)
    assert [] == view.alerts().rows[0].muted_by


def test_an_alert_that_is_older_than_the_log_is_known_from_the_memory_until_the_log_clears_it():
    memory = make_record(
        "AlertState", host="h1", source="raw-redfish", active=[make_record("ActiveAlert", id=name) for name in "abc"]
    )
    view = seeing(alert("a", 3, "cleared"), target(labels={"rack": "r1"}))
    view.restore_alerts([encoded("state-alerts", memory)[2]])

    assert {"b", "c"} == {row.id for row in view.alerts().rows}
    assert {"rack": "r1"} == view.alerts().rows[0].labels
    assert ["c"] == [row.id for row in seeing(alert("b", 1, "cleared"), view=view).alerts().rows]


def test_an_ended_dead_letter_counts_no_more():
    letters = [
        (
            "dead-letter",
            make_record("DeadLetter", topic="t", offset=number, stage="processors", reason="truncated", value=b"x"),
        )
        for number in range(3)
    ]
    view = seeing(*letters)
    view.apply([("dead-letter", TOPICS["dead-letter"].key_of(letters[0][1]), None)])

    assert [("processors", "truncated", 2)] == [
        (letter.stage, letter.reason, letter.count) for letter in view.pipeline().letters
    ]


def test_the_pipeline_lists_producers_by_heartbeat_and_presence():
    spool = {"spooled": 4, "spooled_bytes": 4000, "spool_oldest_at": START_TIME, "rejected": 1}
    beat = make_record(
        "Heartbeat", producer="redfish-p", source="redfish", queued=7, dropped=1, failing_count=2, **spool
    )
    view = seeing(("heartbeats", beat), presence("silent"))
    [producer] = view.pipeline().producers

    assert ("silent", 7, 1, 2) == (producer.status, producer.queued, producer.dropped, producer.failing)
    assert spool == {name: getattr(producer, name) for name in spool}
    assert ["redfish-p"] == view.overview().silent


def test_what_happens_after_the_view_is_ready_is_an_event_and_what_was_before_is_none():
    view = seeing(target(), alert("old"))
    view.set_ready()
    _, before, _ = view.events()
    seeing(target(status="unreachable", at_s=1), alert("new"), presence("silent"), view=view)
    events, newest, missed = view.events(before)

    assert [("status", "unreachable"), ("alert", None), ("producer", None)] == [
        (event.kind, event.data.get("status")) for event in events
    ]
    assert ("new", newest, False) == (events[1].data["id"], events[-1].number, missed)
    assert ([], newest, False) == view.events(newest)


def test_a_reader_of_events_that_was_away_too_long_is_told_so():
    view = View()
    view.set_ready()
    for number in range(1500):
        seeing(alert(f"a{number}"), view=view)
    events, newest, missed = view.events(10)

    assert (1000, 1500, True) == (len(events), newest, missed)


def test_bytes_that_are_no_record_are_counted_and_change_nothing():
    view = seeing(target())
    for alias in ("raw-redfish", "alerts", "dead-letter", "state-targets", "raw-host"):
        view.apply(
            [(alias, b"k", b"\x00rubbish"), (alias, b"k", b"{}"), (alias, b"k", b"\x00\x00\x00\x00\x01\x02h\x02")]
        )
    view.update_lists()

    assert ["h1"] == [row.name for row in view.hosts().rows if row.statuses]
    assert view.pipeline().undecodable >= 10


def test_every_answer_is_json():
    view = seeing(target(), thermal("h1", (40.0, None)), domains("h1", "a"), alert("x"), presence("alive"))
    answers = [
        view.overview(), view.hosts(), view.host("h1"), view.vms(), view.vm("h1", "h1-a"), view.alerts(),
        view.alert("x"), view.pipeline(),
    ]  # fmt: skip

    assert all(json.loads(json.dumps(jsonable(asdict(answer)), allow_nan=False)) for answer in answers)


@pytest.fixture(scope="module")
def fleet():
    """10,000 hosts of 50 sensors."""
    temperatures = [
        make_record(
            "RedfishTemperature", chassis_id="System.Embedded.1", sensor_id=f"iDRAC.Embedded.1#TempSensor{number}",
            sensor_name=f"CPU{number} Temp", reading_celsius=30.0 + number, upper_threshold_critical=93.0, health="OK",
            odata_id=f"/redfish/v1/Chassis/System.Embedded.1/Thermal#/Temperatures/{number}", state="Enabled",
        )
        for number in range(50)
    ]  # fmt: skip
    view = View()
    for number in range(10_000):
        host = f"node-{number:05}"
        record = make_raw_record(
            "RedfishSample", host=host, category="thermal", temperatures=temperatures[number % 20 :]
        )
        view.apply(
            [
                encoded("raw-redfish", record),
                encoded(*target(host, labels={"rack": f"r{number % 100}", "site": "here"})),
                encoded("power", make_record("Power", host=host, consumed_watts=float(number % 700))),
                encoded(
                    "state-health", make_record("Health", host=host, overall="critical" if number % 50 == 0 else "ok")
                ),
            ]
        )
    view.update_lists()
    return view


def milliseconds(question):
    """This thread's time on a processor, the shortest of five: others use this machine, too."""
    times = []
    for _ in range(5):
        began_s = time.thread_time()
        question()
        times.append(time.thread_time() - began_s)
    return min(times) * 1000


@pytest.mark.parametrize(
    "question",
    [
        pytest.param(lambda view: view.overview(), id="overview"),
        pytest.param(lambda view: view.hosts(), id="first page"),
        pytest.param(lambda view: view.hosts("rack=r7 node", sort="temperature", descending=True), id="search"),
        pytest.param(lambda view: view.hosts(sort="watts", offset=9000), id="a far page"),
        pytest.param(lambda view: view.hosts(health="critical", sort="status"), id="by health"),
        pytest.param(lambda view: view.host("node-05000"), id="one host"),
    ],
)
def test_questions_about_10_000_hosts_are_answered_at_once(fleet, question):
    took_ms = milliseconds(lambda: question(fleet))
    print(f"{took_ms:.1f} ms")

    assert took_ms < 200  # 50 on a machine that does nothing else
