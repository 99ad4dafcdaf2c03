"""The host reader: the real machine, parts that fail, CPU use between two reads, file systems that hang."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from threading import Event
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from producers.fleet.targets import HostTarget
from producers.host import reader as host
from producers.host.readings import PARTS
from producers.reader import PollFailed
from schemas import catalog, codec

TARGET = HostTarget(host="kvm-01", labels={"rack": "a1"})
SCHEMA = catalog.schema("HostSample")
HEADER = {
    "host": "kvm-01",
    "category": "host",
    "observed_at": datetime(2026, 11, 21, tzinfo=UTC),
    "monotonic_s": 1.0,
    "producer": "test",
    "epoch": "1",
    "sequence": 0,
    "previous_epoch": None,
    "previous_sequence": None,
    "dropped": [],
    "duration_s": 0.1,
    "interval_s": 1.0,
    "labels": {},
}


class Ps:
    """psutil, with some answers replaced."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        if name not in self._answers:
            return getattr(psutil, name)
        answer = self._answers[name]

        def call(*arguments: Any, **options: Any) -> Any:
            if isinstance(answer, type) and issubclass(answer, Exception):
                raise answer
            return answer(*arguments, **options) if callable(answer) else answer

        return call


def read(ps: Any = psutil, timeout_s: float = 5.0) -> Any:
    return host.HostReader(TARGET, 1.0, ps).read("host", timeout_s)


def test_a_reading_of_this_machine_has_every_field_of_its_schema_and_fits_it():
    sample = host.create_reader(TARGET, 1.0).read("host", 5.0)
    record = HEADER | {"errors": sample.problems.as_records()} | sample.body

    assert {field["name"] for field in SCHEMA.definition["fields"]} == record.keys()
    assert record == codec.Decoder(SCHEMA).decode(codec.encode(SCHEMA, record))


def test_a_reading_lies_between_two_direct_ones():
    memory = psutil.virtual_memory()
    before, body, after = psutil.cpu_times(), read().body, psutil.cpu_times()

    assert before.user + before.nice <= body["cpu"]["user_s"] <= after.user + after.nice
    assert (memory.total, psutil.cpu_count()) == (body["memory_total"], len(body["cores"]))
    assert abs(psutil.boot_time() - body["boot_at"].timestamp()) < 2  # the kernel recomputes it as its clock is set
    assert 0 < body["uptime_s"]


@pytest.mark.parametrize("error", [PermissionError, NotImplementedError, AttributeError, psutil.AccessDenied])
@pytest.mark.parametrize(
    ("call", "part", "nothing"),
    [
        pytest.param("boot_time", "boot", {"boot_at": None, "uptime_s": None}, id="boot"),
        pytest.param("cpu_times", "cpu", {"cpu": None, "cores": [], "cpu_percent": None}, id="cpu"),
        pytest.param("getloadavg", "load", {"load_1": None}, id="load"),
        pytest.param("virtual_memory", "memory", {"memory_total": None}, id="memory"),
        pytest.param("swap_memory", "swap", {"swap_used": None}, id="swap"),
        pytest.param("pids", "processes", {"processes": None}, id="processes"),
        pytest.param("disk_io_counters", "disks", {"disks": []}, id="disks"),
        pytest.param("net_io_counters", "interfaces", {"interfaces": []}, id="interfaces"),
        pytest.param("sensors_temperatures", "temperatures", {"temperatures": []}, id="temperatures"),
        pytest.param("sensors_fans", "fans", {"fans": []}, id="fans"),
        pytest.param("disk_partitions", "filesystems", {"filesystems": []}, id="file systems"),
    ],
)
def test_a_part_that_fails_is_null_and_counted_and_the_rest_is_there(call, part, nothing, error):
    def fail(*_: Any, **__: Any) -> None:
        raise error

    sample = read(Ps(**{call: fail}))

    assert nothing == {name: sample.body[name] for name in nothing}
    assert {(part, error.__name__): 1} == dict(sample.problems.counts)


def test_a_machine_of_which_nothing_can_be_read_fails_the_poll():
    with pytest.raises(PollFailed):
        read(SimpleNamespace())


def times(**seconds: float) -> SimpleNamespace:
    fields = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
    return SimpleNamespace(**dict.fromkeys(fields, 0.0) | seconds)


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [
        pytest.param(times(), times(user=1, idle=3), 25.0, id="a quarter busy"),
        pytest.param(times(), times(nice=1, system=1, softirq=1, steal=1, idle=1), 80.0, id="all that is not idle"),
        pytest.param(times(), times(user=2, guest=2, idle=2), 50.0, id="guests are in user already"),
        pytest.param(times(), times(idle=1, iowait=1), 0.0, id="waiting is not busy"),
        pytest.param(times(iowait=9), times(iowait=5, user=1, idle=1), 50.0, id="a time that fell counts as none"),
        pytest.param(times(user=5), times(user=5), None, id="no time has passed"),
    ],
)
def test_cpu_use_is_measured_between_two_reads_and_unknown_at_first(before, after, percent):
    answers = iter([before, after])
    ps = Ps(cpu_times=lambda percpu=False: [] if percpu else next(answers))
    reader = host.HostReader(TARGET, 1.0, ps)

    assert [None, percent] == [reader.read("host", 5.0).body["cpu_percent"] for _ in range(2)]


def test_a_platform_with_fewer_cpu_times_has_nulls_for_them():
    mac = SimpleNamespace(user=1.0, nice=0.0, system=2.0, idle=3.0)
    cpu = read(Ps(cpu_times=lambda percpu=False: [mac] if percpu else mac)).body["cpu"]

    assert (1.0, 2.0, 3.0) == (cpu["user_s"], cpu["system_s"], cpu["idle_s"])
    assert {None} == {cpu[name] for name in ("iowait_s", "irq_s", "steal_s", "guest_s")}


def io(count: int) -> SimpleNamespace:
    return SimpleNamespace(read_bytes=1, write_bytes=2, read_count=count, write_count=count, busy_time=5)


def test_loop_devices_are_left_out_until_they_are_used():
    disks = read(Ps(disk_io_counters={"sda": io(0), "loop0": io(0), "loop1": io(3)})).body["disks"]

    assert ["sda", "loop1"] == [disk["device"] for disk in disks]


def test_an_unknown_link_speed_is_null_and_an_interface_without_a_state_is_kept():
    names = ("bytes_sent", "bytes_recv", "packets_sent", "packets_recv", "errin", "errout", "dropin", "dropout")
    counters = SimpleNamespace(**{name: number for number, name in enumerate(names, 1)})
    states = {"eth0": SimpleNamespace(isup=True, speed=0), "eth1": SimpleNamespace(isup=False, speed=1000)}
    ps = Ps(net_io_counters=dict.fromkeys(("eth0", "eth1", "tap0"), counters), net_if_stats=states)
    found = {interface["device"]: interface for interface in read(ps).body["interfaces"]}

    assert [(True, None), (False, 1000), (None, None)] == [(each["up"], each["speed_mbps"]) for each in found.values()]
    assert [2, 4, 5, 7, 1, 3, 6, 8] == list(found["eth0"].values())[3:]


def test_sensors_of_one_name_are_told_apart_and_odd_readings_are_null():
    def sensor(label: str, current: float, critical: float | None = None) -> SimpleNamespace:
        return SimpleNamespace(label=label, current=current, critical=critical)

    chips = {"coretemp": [sensor("Core 0", 40.0, 100.0), sensor("Core 0", float("nan"))], "nvme": [sensor("", 30)]}
    body = read(Ps(sensors_temperatures=chips, sensors_fans={"it87": [sensor("", 900)]})).body

    assert [("coretemp/Core 0/0", 40.0, 100.0), ("coretemp/Core 0/1", None, None), ("nvme/0", 30.0, None)] == [
        tuple(temperature.values()) for temperature in body["temperatures"]
    ]
    assert [{"sensor": "it87/0", "speed_rpm": 900.0}] == body["fans"]


def mount(path: str, device: str, fstype: str = "ext4") -> SimpleNamespace:
    return SimpleNamespace(mountpoint=path, device=device, fstype=fstype)


USAGE = SimpleNamespace(total=10, used=6, free=3)


def test_each_device_is_one_file_system_and_images_are_none():
    mounts = [mount("/etc/hosts", "/dev/sda1"), mount("/", "/dev/sda1"), mount("/snap/a/1", "/dev/loop1", "squashfs")]
    found = read(Ps(disk_partitions=mounts, disk_usage=USAGE)).body["filesystems"]

    assert [("/", "/dev/sda1", "ext4", 10, 6, 3)] == [tuple(each.values()) for each in found]


def test_a_hung_file_system_costs_one_wait_and_its_own_sizes_only():
    answering = Event()
    asked = []

    def usage(path: str) -> SimpleNamespace:
        asked.append(path)
        if path == "/b":
            answering.wait()
        return USAGE

    mounts = [mount("/a", "a"), mount("/b", "b"), mount("/c", "c")]
    reader = host.HostReader(TARGET, 1.0, Ps(disk_partitions=mounts, disk_usage=usage))
    try:
        sizes = [[filesystem["total"] for filesystem in reader.read("host", 0.1).body["filesystems"]] for _ in range(2)]
        started = time.monotonic()
        sample = reader.read("host", 60.0)
    finally:
        answering.set()

    assert [[10, None, None], [10, None, 10]] == sizes
    assert 1 == asked.count("/b")
    assert time.monotonic() - started < 10
    assert {("filesystems", "no answer in time"): 1} == dict(sample.problems.counts)


def test_a_file_system_that_may_not_be_asked_is_listed_without_sizes():
    def usage(path: str) -> None:
        raise PermissionError(path)

    sample = read(Ps(disk_partitions=[mount("/a", "a")], disk_usage=usage))

    assert [None] == [filesystem["total"] for filesystem in sample.body["filesystems"]]
    assert {("filesystems", "PermissionError"): 1} == dict(sample.problems.counts)


def test_every_part_writes_fields_that_are_there_when_it_fails():
    body = host.empty_body()
    for part in PARTS.values():
        part(psutil, body)

    assert host.empty_body().keys() == body.keys()
