"""Replay on a real Kafka: what was deleted is back, row by row, and what is there or will come is not stored twice."""

import collections
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from pyarrow import parquet

from processors.alerting import rule_pack
from processors.registry import STEPS
from rackstream.audit.audit import Audit
from rackstream.topics.lag import committed_with_ranges, lag
from runtime import kafka as clients
from runtime import topics
from runtime.settings import KafkaSettings
from schemas.testing import make_raw_record, make_record
from sinks import datasets
from sinks.files import archive_sink as archive
from sinks.files.retention import Retention, RetentionLimits
from tests.e2e.support.influxdb import INFLUXD, Influx
from tests.e2e.support.parts import part, publish, running, until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(480)]
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
BEGIN = HOUR - timedelta(seconds=10)
"""What is observed crosses an hour."""
HEAT = [50.0, 95.0, 96.0, 97.0, 50.0, 50.0, 50.0, 95.0, 96.0, 50.0]


def at(n):
    return BEGIN + timedelta(seconds=n)


def header(n, host, category, **fields):
    return {
        "at_s": n,
        "host": host,
        "category": category,
        "observed_at": at(n),
        "labels": {"rack": "r1"},
        "interval_s": 86400.0,
    } | fields


def libvirt(n, host):
    nics = [make_record("DomainNic", device=f"tap{d}", rxbytes=1000 * n + d, txbytes=n * n) for d in range(2)]
    disks = [make_record("DomainDisk", device="vda", rd_bytes=7 * n)]
    vms = [
        make_record(
            "Domain", vmid=str(v), name=f"one-{v}", uuid=f"{host}-{v}", domain_id=v, state=1, cputime=n * 10**8,
            memory_used_kb=100 + n, nics=nics, disks=disks,
        )
        for v in range(2)
    ]  # fmt: skip
    return make_raw_record("LibvirtSample", **header(n, host, "domains"), uri="test:///default", domains=vms)


def thermal(n, host):
    hot = make_record(
        "RedfishTemperature", chassis_id="1", sensor_id="0", sensor_name="CPU", upper_threshold_critical=100.0,
        reading_celsius=HEAT[n % len(HEAT)],
    )  # fmt: skip
    return make_raw_record("RedfishSample", **header(n, host, "thermal"), temperatures=[hot])


def power(n, host):
    watts = make_record("RedfishPowerControl", chassis_id="1", sensor_id="0", power_consumed_watts=300.0 + n)
    return make_raw_record("RedfishSample", **header(n, host, "power"), power_controls=[watts])


def beat(n):
    return make_record("Heartbeat", producer="p1", epoch="0-a", sequence=n, observed_at=at(n), source="host")


def target(n):
    return make_record(
        "TargetStatus", source="host", host=f"h{n}", observed_at=at(n), since=at(0), epoch="0-a", status="up"
    )


def produce(kafka, numbers):
    for n in numbers:
        publish(kafka, "raw-libvirt", *[libvirt(n, f"kvm-{h}") for h in range(3)])
        publish(kafka, "raw-redfish", *[make(n, f"node-{h}") for h in range(2) for make in (thermal, power)])
        publish(
            kafka,
            "raw-host",
            *[
                make_raw_record("HostSample", **header(n, f"h{h}", "host"), cpu_percent=n, swap_in=4096 * n)
                for h in range(2)
            ],
        )
        publish(kafka, "heartbeats", beat(n))
        publish(kafka, "state-targets", target(n))


def live(kafka, *names):
    made = {
        "processor": lambda: part(kafka, "processor", "processor"),
        "files": lambda: part(kafka, "files", "sink", "files", RACKSTREAM_FILES_MAX_SEC="0.5"),
        "archive": lambda: part(kafka, "archive", "sink", "archive", RACKSTREAM_ARCHIVE_MAX_SEC="0.5"),
    }
    return running(*[made[name]() for name in names])


def stepped(kafka):
    return lag(kafka, f"{kafka.topic_prefix}processors", {step.input for step in STEPS}) == 0


def stored(kafka, kind="files"):
    return lag(kafka, f"rackstream-{kind}", datasets.aliases()) == 0


def archived(kafka):
    return lag(kafka, "rackstream-archive", archive.archived_topics()) == 0


def run_live(kafka, *names):
    """Runs these parts until they have nothing left to do."""
    with live(kafka, *names) as supervisor:
        if "processor" in names:
            until(lambda: stepped(kafka), tend=supervisor.run_periodic)
        if "files" in names:
            until(lambda: stored(kafka), tend=supervisor.run_periodic)
        if "archive" in names:
            until(lambda: archived(kafka), tend=supervisor.run_periodic)


def offsets(kafka):
    """What the live groups have committed."""
    topics = {step.input for step in STEPS} | set(datasets.aliases())
    groups = (f"{kafka.topic_prefix}processors", "rackstream-files")
    return {
        (group, alias): committed_with_ranges(kafka, group, kafka.catalog[alias].name)
        for group in groups
        for alias in topics
    }


def files(kafka):
    return kafka.data_dir / "files"


def rows(kafka):
    """Every row of every file there is, committed or not, by a reader that knows nothing of us."""
    found = {}
    for folder in sorted(files(kafka).glob("[a-z]*")):
        tables = [parquet.ParquetFile(path).read() for path in folder.rglob("*.parquet")]
        found[folder.name] = collections.Counter(plain(row) for table in tables for row in table.to_pylist())
    return found


def plain(row):
    return json.dumps(row, default=datetime.isoformat)


def listing(kafka):
    return {str(path): path.stat().st_mtime_ns for path in files(kafka).rglob("*.*")}


def environment(kafka):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "RACKSTREAM_"))}
    return clean | part(kafka, "replay").environment


def command(kafka, *arguments, period=(0, 1000), into="files", **more):
    since, until = (at(n).isoformat() for n in period)
    said = ["replay", "--from", since, "--to", until, "--into", into, "--json", *arguments]
    return subprocess.run(
        [sys.executable, "-m", "rackstream", *said],
        capture_output=True, text=True, timeout=120, check=False, env=environment(kafka) | more,
    )  # fmt: skip


def replay(kafka, *arguments, **options):
    done = command(kafka, *arguments, **options)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


def audit(kafka):
    """(lost, twice, wrong, invented, pending)."""
    found = Audit(kafka, files=files(kafka)).run()
    counts = found.audit
    return (counts.lost, counts.twice, counts.wrong, counts.invented, counts.pending), found.examples


WELL = (0, 0, 0, 0, 0)


def lived(kafka):
    """20 polls of all sources, stepped and stored; everything stopped. The rows there are."""
    produce(kafka, range(20))
    run_live(kafka, "processor", "files", "archive")
    found = rows(kafka)
    assert (WELL, []) == audit(kafka)
    assert found.keys() > {"vm_metrics", "vm_features", "vm_device_rates", "power", "alert", "target", "producer"}
    assert 2 == len({path.parent for path in (files(kafka) / "vm_totals").rglob("*.parquet")}), "hours"
    return found


@pytest.fixture
def before(kafka):
    """A history for tests that go on with it: topics and files of their own."""
    return lived(kafka)


@pytest.fixture(scope="module")
def history(broker, tmp_path_factory):
    """One history for all tests that only replay it."""
    made = KafkaSettings.read(
        bootstrap=broker.bootstrap, topic_prefix="history.", partitions=2, data_dir=tmp_path_factory.mktemp("history")
    )
    topics.create(made)
    topics.publish_schemas(made)
    return made, lived(made)


@pytest.fixture
def kept(history, kafka):
    """That history's topics with files of this test's own, and the rows in them."""
    made, found = history
    shutil.copytree(files(made), files(kafka))
    return made.model_copy(update={"data_dir": kafka.data_dir}), found


def test_the_whole_directory_deleted_and_replayed_has_the_same_rows(kept):
    kafka, before = kept
    offsets_before = offsets(kafka)
    shutil.rmtree(files(kafka))

    said = replay(kafka)

    assert before == rows(kafka)
    assert (WELL, []) == audit(kafka)
    assert {name: found.total() for name, found in before.items()} == said["rows"]
    assert ({}, 0, 0, 0) == (said["there"], said["later"], said["failed"], said["refused"])
    assert offsets_before == offsets(kafka)


def test_the_whole_directory_deleted_and_replayed_from_the_archive_has_the_same_rows(kept, history):
    kafka, before = kept
    offsets_before = offsets(kafka)
    shutil.rmtree(files(kafka))

    said = replay(kafka, "--archive", str(history[0].data_dir / "archive"))

    assert before == rows(kafka)
    assert (WELL, []) == audit(kafka)
    assert ({}, 0, [], []) == (said["there"], said["failed"], said["not_recomputed"], said["left_out"])
    assert offsets_before == offsets(kafka)


def test_an_archive_alone_gives_the_same_rows_where_kafka_is_gone(kept, history):
    kafka, before = kept
    shutil.rmtree(files(kafka))
    archive = ("--archive", str(history[0].data_dir / "archive"))
    nobody = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    given = command(kafka, *archive, **nobody)
    assert (1, True) == (given.returncode, "no answer from Kafka at 127.0.0.1:9" in given.stderr)

    said = [replay(kafka, *archive, "--without-kafka", **nobody) for _ in range(2)]

    assert before == rows(kafka)
    assert {name: found.total() for name, found in before.items()} == said[0]["rows"] == said[1]["there"]
    assert ([], []) == (said[0]["not_recomputed"], said[0]["left_out"])


def test_what_kafka_no_longer_holds_comes_from_the_archive(kafka, before):
    """Everything is gone from Kafka but the offsets."""
    admin = clients.create_admin_client(kafka)
    for alias in datasets.aliases():
        spans = clients.watermarks(kafka, kafka.catalog[alias].name)
        ends = [TopicPartition(kafka.catalog[alias].name, number, end) for number, (_, end) in spans.items()]
        if "compact" not in kafka.catalog[alias].cleanup:
            for future in admin.delete_records(ends).values():
                future.result(10)
    shutil.rmtree(files(kafka))

    replay(kafka, "--archive", str(kafka.data_dir / "archive"))

    assert before == rows(kafka)


def changed(path, change):
    """Writes a Parquet file again with its rows changed."""
    table = parquet.ParquetFile(path).read()
    parquet.write_table(table.from_pylist(change(table.to_pylist()), schema=table.schema), path)


def test_verify_names_every_difference_and_stores_nothing(kept):
    kafka, _ = kept
    one = {name: min((files(kafka) / name).rglob("*.parquet")) for name in ("vm_totals", "power", "host", "alert")}
    gone = parquet.ParquetFile(one["host"]).metadata.num_rows
    assert {"missing": 0, "additional": 0, "different": 0, "twice": 0} == verified(kafka, 0)["counts"]
    one["host"].unlink()
    changed(one["vm_totals"], lambda rows: [rows[0] | {"net_rxbytes": -7}, *rows[1:]])
    changed(one["power"], lambda rows: [*rows, rows[0] | {"host": "ghost"}])
    changed(one["alert"], lambda rows: [*rows, rows[0]])
    before = listing(kafka)

    said = verified(kafka, 1)

    assert {"missing": gone, "additional": 1, "different": 1, "twice": 1} == said["counts"]
    found = {difference["what"]: difference for difference in said["differences"]}
    assert -7 == found["different"]["fields"]["net_rxbytes"][0]
    assert ("power", "ghost") == (found["additional"]["dataset"], found["additional"]["row"]["host"])
    assert ("host", "alert") == (found["missing"]["dataset"], found["twice"]["dataset"])
    assert before == listing(kafka)


def test_what_retention_deleted_is_neither_lost_nor_a_difference(kept):
    kafka, _ = kept

    assert 0 < Retention(files(kafka), RetentionLimits(days=1), now=lambda: HOUR + timedelta(days=1)).delete_expired()

    assert {True} == {observed(row) >= HOUR for found in rows(kafka).values() for row in found}
    assert (WELL, []) == audit(kafka)
    assert [] == verified(kafka, 0)["differences"]


def verified(kafka, code, **more):
    done = command(kafka, "--verify", **more)
    assert code == done.returncode, done.stdout[-1500:] + done.stderr
    return json.loads(done.stdout)


def test_a_replay_into_topics_leaves_live_topics_alone_and_is_completed_by_its_id(kept, history):
    kafka, _ = kept
    ends = {topic.name: clients.watermarks(kafka, topic.name) for topic in kafka.catalog.topics.values()}
    archive = ("--archive", str(history[0].data_dir / "archive"))

    first = replay(kafka, "--id", "one", "--topic", "vm-totals", "--host", "kvm-1", into="topic")
    second = replay(kafka, "--id", "one", "--topic", "vm-totals", "--topic", "raw-libvirt", *archive, into="topic")

    prefix = kafka.topic_prefix
    totals, raws = f"{prefix}replay.one.derived.vm-totals", f"{prefix}replay.one.raw.libvirt"
    assert ({totals: 20}, {}) == (first["rows"], first["there"])
    assert ({totals: 40, raws: 60}, {totals: 20}) == (second["rows"], second["there"])
    for alias, name in (("vm-totals", totals), ("raw-libvirt", raws)):
        live_topic = kafka.catalog[alias].name
        assert clients.watermarks(kafka, live_topic).keys() == clients.watermarks(kafka, name).keys()
        assert content(kafka, live_topic) == content(kafka, name)
    assert ends == {name: clients.watermarks(kafka, name) for name in ends}


def content(kafka, name):
    return sorted((each.partition(), each.key(), each.value()) for each in clients.read_all(kafka, name))


def test_raw_recomputes_nothing_and_another_pack_of_rules_judges_anew(kept, tmp_path):
    kafka, before = kept
    shutil.rmtree(files(kafka))
    pack = tmp_path / "quiet.toml"
    pack.write_text(rule_pack.BUILTIN_PATH.read_text().replace("[[rules]]", "[[rules]]", 1))

    said = replay(kafka, "--raw", "--topic", "vm-features", "--topic", "alerts")
    again = replay(kafka, "--rules", str(pack), "--topic", "alerts", "--dry-run")

    assert {name: before[name].total() for name in ("vm_features", "alert")} == said["rows"]
    assert ({}, {"alert": before["alert"].total()}) == (again["rows"], again["there"])


def test_a_second_replay_changes_nothing_and_the_sink_goes_on_where_it_was(kafka, before):
    shutil.rmtree(files(kafka))
    replay(kafka)
    listed = listing(kafka)

    said = replay(kafka)

    assert listed == listing(kafka)
    assert ({}, {name: found.total() for name, found in before.items()}) == (said["rows"], said["there"])
    produce(kafka, range(20, 25))
    run_live(kafka, "processor", "files")
    assert (WELL, []) == audit(kafka)
    assert 25 * 3 * 2 == rows(kafka)["vm_totals"].total()
    assert {} == replay(kafka)["rows"]


def test_datasets_and_files_deleted_under_running_parts_are_filled_up(kept):
    kafka, before = kept
    offsets_before = offsets(kafka)
    with live(kafka, "processor", "files") as supervisor:
        for name in ("vm_features", "redfish_temperature"):
            shutil.rmtree(files(kafka) / name)
        victims = [
            next(iter(sorted((files(kafka) / name).rglob("*.parquet")))) for name in ("alert", "vm_totals", "host")
        ]
        for victim in victims:
            victim.unlink()
        gone = sum((found - rows(kafka).get(name, collections.Counter())).total() for name, found in before.items())
        assert (gone, 0, 0, 0, 0) == audit(kafka)[0]

        said = replay(kafka)
        supervisor.run_periodic()

    assert before == rows(kafka)
    assert gone == sum(said["rows"].values())
    assert (WELL, []) == audit(kafka)
    assert offsets_before == offsets(kafka)


def test_a_part_of_the_time_brings_that_part_back_with_the_rates_of_its_first_sample(kept):
    kafka, before = kept
    shutil.rmtree(files(kafka))

    replay(kafka, period=(5, 12))

    some = {
        name: collections.Counter({row: count for row, count in found.items() if at(5) <= observed(row) < at(12)})
        for name, found in before.items()
    }
    assert {name: found for name, found in some.items() if found} == rows(kafka)
    assert (0, 0, 0, 0) == audit(kafka)[0][:4]
    replay(kafka, period=(0, 15))
    replay(kafka)
    assert before == rows(kafka)
    assert (WELL, []) == audit(kafka)


def observed(row):
    return datetime.fromisoformat(json.loads(row)["time"])


def test_one_host_and_one_topic_bring_back_just_their_rows(kept):
    kafka, before = kept
    shutil.rmtree(files(kafka))

    said = replay(kafka, "--host", "kvm-1", "--topic", "fleet.derived.vm-totals".replace("fleet.", kafka.topic_prefix))

    expected = {
        name: {row: count for row, count in before[name].items() if "kvm-1" == json.loads(row)["host"]}
        for name in ("vm_totals", "host_totals")
    }
    assert expected == rows(kafka)
    assert {"vm_totals": 20 * 2, "host_totals": 20} == said["rows"]
    assert (0, 0, 0, 0) == audit(kafka)[0][:4]
    replay(kafka)
    assert before == rows(kafka)
    assert (WELL, []) == audit(kafka)


def test_a_dry_run_counts_and_stores_nothing(kept):
    kafka, before = kept
    shutil.rmtree(files(kafka))

    said = replay(kafka, "--dry-run")

    assert {name: found.total() for name, found in before.items()} == said["rows"]
    assert not files(kafka).exists()


def test_what_the_live_parts_have_not_stored_yet_is_left_to_them(kafka, before):
    produce(kafka, range(20, 24))
    run_live(kafka, "processor")
    produce(kafka, range(24, 27))
    shutil.rmtree(files(kafka))

    said = replay(kafka)

    assert before == rows(kafka)
    assert said["later"] > 0
    run_live(kafka, "processor", "files")
    assert (WELL, []) == audit(kafka)
    assert {"vm_totals": 27 * 6, "vm_features": 26 * 6} == {
        name: rows(kafka)[name].total() for name in ("vm_totals", "vm_features")
    }


def test_facts_whose_raw_records_are_gone_come_from_their_own_topics(kafka, before):
    name = kafka.catalog["raw-redfish"].name
    ends = {number: (first + end) // 2 for number, (first, end) in clients.watermarks(kafka, name).items()}
    admin = clients.create_admin_client(kafka)
    deleted = admin.delete_records([TopicPartition(name, *each) for each in ends.items()])
    for future in deleted.values():
        future.result(10)
    shutil.rmtree(files(kafka))

    said = replay(kafka)

    assert ["alerts", "power", "vm-power"] == said["not_recomputed"]
    found = rows(kafka)
    raw_rows = {"redfish_temperature", "redfish_power_control"}
    assert {each: some for each, some in before.items() if each not in raw_rows} == {
        each: some for each, some in found.items() if each not in raw_rows
    }
    assert all(found[raw_row] < before[raw_row] for raw_row in raw_rows)


KILLED = """
    import os, signal, sys
    from rackstream.cli import main
    from sinks.files import manifest

    calls = 0

    def die(*_):
        global calls
        calls += 1
        if calls == int(moment):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*_)

    moment = sys.argv.pop(1)
    original, manifest.ManifestFile.append = manifest.ManifestFile.append, die
    main()
"""


@pytest.mark.parametrize("moment", [pytest.param(1, marks=pytest.mark.soak), 4], ids="at commit {}".format)
def test_a_replay_killed_leaves_what_is_committed_and_the_next_one_completes_it(kept, moment):
    kafka, before = kept
    shutil.rmtree(files(kafka) / "vm_totals")
    shutil.rmtree(files(kafka) / "redfish_temperature")
    shutil.rmtree(files(kafka) / "vm_device_rates")
    shutil.rmtree(files(kafka) / "power")
    said = ["replay", "--from", at(0).isoformat(), "--into", "files"]
    code = [sys.executable, "-c", textwrap.dedent(KILLED), str(moment), *said]
    killed = subprocess.run(code, env=environment(kafka), cwd=Path(__file__).parents[3], timeout=60, check=False)
    assert -signal.SIGKILL == killed.returncode
    lost, *others = audit(kafka)[0]
    assert lost > 0
    assert [0, 0, 0, 0] == others

    replay(kafka)

    assert before == rows(kafka)
    assert (WELL, []) == audit(kafka)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--from", "yesterday", "--into", "files"], "'yesterday' is not a time", id="no time"),
        pytest.param(["--from", "-1h", "--to", "-2h", "--into", "files"], "is not before", id="the wrong way round"),
        pytest.param(["--from", "-1h", "--into", "files", "--topic", "fleet.x"], "no topic 'fleet.x'", id="no topic"),
        pytest.param(
            ["--from", "-1h", "--into", "files", "--topic", "dead-letter"], "have no rows", id="a topic without rows"
        ),
        pytest.param(["--from", "-1h", "--into", "influx"], "INFLUX_URL", id="no InfluxDB"),
        pytest.param(["--from", "-1h", "--into", "topic", "--verify"], "not with topics", id="topics are not compared"),
        pytest.param(
            ["--from", "-1h", "--into", "files", "--without-kafka"],
            "needs --archive",
            id="nothing to read",
        ),
    ],
)
def test_what_cannot_be_replayed_is_said_with_exit_code_2(kafka, arguments, says):
    done = subprocess.run(
        [sys.executable, "-m", "rackstream", "replay", *arguments],
        capture_output=True, text=True, timeout=60, check=False, env=environment(kafka),
    )  # fmt: skip

    assert (2, "") == (done.returncode, done.stdout)
    assert says in done.stderr


def test_files_without_a_manifest_are_refused(kept):
    kafka, before = kept
    shutil.rmtree(files(kafka) / "_manifest")

    done = command(kafka)

    assert 2 == done.returncode
    assert "has files but no _manifest" in done.stderr
    assert before == rows(kafka)


@pytest.fixture
def influx(tmp_path):
    made = Influx(tmp_path)
    made.start()
    yield made
    made.kill()


def points(influx):
    """Every point of every measurement."""
    names = [each["name"] for each in influx.query("SHOW MEASUREMENTS")]
    return {
        name: collections.Counter(json.dumps(each) for each in influx.query(f'SELECT * FROM "{name}"'))
        for name in names
    }


@pytest.mark.influx
@pytest.mark.skipif(not INFLUXD, reason="no influxd: see influxdb.py")
def test_a_database_dropped_and_replayed_has_the_same_points_once_and_again(kafka, influx):
    login = {
        "INFLUX_URL": influx.url, "INFLUX_DB": "lab", "INFLUX_TOKEN": "user:pw", "RACKSTREAM_INFLUX_API": "v2"
    }  # fmt: skip
    influx.query("CREATE DATABASE lab")
    produce(kafka, range(12))
    event = make_record("AppEvent", event_id="1", source="cart", event_type="INFO", message="paid", timestamp=at(-90))
    publish(kafka, "raw-app", make_raw_record("AppSample", **header(0, "h1", "app"), source="shop", events=[event]))
    sink = part(kafka, "influx", "sink", "influx", **login)
    with running(part(kafka, "processor", "processor"), sink) as supervisor:
        until(lambda: stepped(kafka), tend=supervisor.run_periodic)
        until(lambda: stored(kafka, "influx"), tend=supervisor.run_periodic)
    before = points(influx)
    assert before.keys() > {"vm_totals", "vm_features", "vm_device_rates", "redfish_temperature", "alert", "target"}
    influx.query("DROP DATABASE lab")
    influx.query("CREATE DATABASE lab")

    said = [replay(kafka, into="influx", **login) for _ in range(2)]

    assert before == points(influx)
    assert {name: found.total() for name, found in before.items()} == said[0]["rows"] == said[1]["rows"]
    compared = verified(kafka, 0, into="influx", **login)
    assert compared["there"] == said[0]["rows"], "no difference to the topics"
    right = spoil(influx, before)
    compared = verified(kafka, 1, into="influx", **login)
    gone = before["vm_devices"].total() + before["app_event"].total()
    assert {"missing": gone, "additional": 1, "different": 1, "twice": 0} == compared["counts"]
    found = {difference["what"]: difference for difference in compared["differences"]}
    assert {"net_rxbytes": [-7, right]} == found["different"]["fields"]
    assert ("power", "ghost") == (found["additional"]["dataset"], found["additional"]["row"]["host"])


def spoil(influx, before):
    """Loses measurements, makes a point up, and changes a value of another, which is returned."""
    for name in ("vm_devices", "app_event"):
        influx.query(f"DROP MEASUREMENT {name}")
    power, totals = (json.loads(min(before[name])) for name in ("power", "vm_totals"))
    tags = ",".join(f"{name}={totals[name]}" for name in ("VMID", "host", "label_rack", "name", "uuid"))
    lines = [f"power,host=ghost consumed_watts=1 {power['time']}", f"vm_totals,{tags} net_rxbytes=-7i {totals['time']}"]
    url = f"{influx.url}/api/v2/write?bucket=lab&precision=ns"
    urllib.request.urlopen(url, data="\n".join(lines).encode(), timeout=10).close()
    return totals["net_rxbytes"]
