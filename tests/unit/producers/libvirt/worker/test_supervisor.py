"""A connection in a process of its own: VMs and daemons that hang, on a stand-in for libvirt-python in that process."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from structlog.testing import capture_logs

from producers.fleet.targets import LibvirtTarget
from producers.libvirt.reader import LibvirtReader
from producers.libvirt.worker import supervisor
from producers.libvirt.worker.process import WorkerProcess
from producers.libvirt.worker.supervisor import WorkerLimits
from producers.reader import PollFailed, Sample

ROOT = Path(__file__).parents[5]
SOFT_S = 0.2
LONG_S = 60.0
"""Never reached; a slow machine may take its time."""


class RecordedProcess(WorkerProcess):
    """A worker process of which a test sees when it begins and ends, and what is asked of it."""

    begun: ClassVar[list[weakref.ref[RecordedProcess]]] = []
    """References that keep no process alive: it ends with its reader."""
    lives: ClassVar[list[tuple[str, int]]] = []
    """`begins` and `ends` of the processes, with their numbers, in order."""

    def __init__(self, *arguments: Any) -> None:
        self.begun.append(weakref.ref(self))
        self.number = len(self.begun)
        self.requests: list[str] = []
        self.lives.append(("begins", self.number))
        super().__init__(*arguments)

    def request(self, method: str, *arguments: object) -> int:
        number = super().request(method, *arguments)
        self.requests.append(method)
        return number

    def kill(self) -> None:
        self.lives.append(("ends", self.number))
        super().kill()


class Host:
    """The stand-in hypervisor and its reader."""

    def __init__(self, path: Path) -> None:
        self.path = path / "host.json"
        self.said: dict[str, Any] = {}
        self.say(vms=["a", "b", "c"], hung=[])
        self.reader = self.another()

    def another(self, hard_s: float = LONG_S, soft_s: float = SOFT_S) -> LibvirtReader:
        target = LibvirtTarget.model_construct(host="kvm-01", uri=f"stand-in://{self.path}")
        return LibvirtReader(target, 1.0, WorkerLimits(soft_s, hard_s, 300.0))

    def say(self, **what: Any) -> None:
        self.said |= what
        aside = self.path.with_suffix(".new")
        aside.write_text(json.dumps(self.said))
        aside.rename(self.path)

    def read(self, timeout_s: float = LONG_S) -> Sample:
        return self.reader.read("domains", timeout_s)

    @property
    def processes(self) -> list[RecordedProcess]:
        """The worker processes that were not ended."""
        ended = {number for life, number in RecordedProcess.lives if life == "ends"}
        begun = [process for reference in RecordedProcess.begun if (process := reference()) is not None]
        return [process for process in begun if process.number not in ended]

    @property
    def pid(self) -> int:
        [process] = self.processes
        return process.pid


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "libvirt_stand_in"))
    monkeypatch.setattr(supervisor, "WorkerProcess", RecordedProcess)
    RecordedProcess.begun.clear()
    RecordedProcess.lives.clear()
    stand_in = Host(tmp_path)
    yield stand_in
    stand_in.reader.close()


def freshness(sample: Sample) -> dict[str, bool]:
    """VM → whether its values are new."""
    return {domain["name"]: not domain["stale"] for domain in sample.body["domains"]}


def until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + LONG_S
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text()


ALL = {"a": True, "b": True, "c": True}
WITHOUT_B = ALL | {"b": False}


def test_a_hung_vm_is_marked_and_the_others_are_read_until_it_answers(host):
    with capture_logs() as logs:
        host.say(cpu=5)
        before = freshness(host.read())
        first = host.pid
        host.say(hung=["b"], cpu=6)
        samples = [host.read() for _ in range(3)]
        left_out, second = host.reader.facts().left_out, host.pid
        host.say(hung=[])
        after = freshness(host.read())

    assert (ALL, [WITHOUT_B] * 3, ALL) == (before, [freshness(sample) for sample in samples], after)
    values = {domain["name"]: domain["cputime"] for domain in samples[0].body["domains"]}
    assert {"a": 6, "b": 5, "c": 6} == values, "the last known ones"
    assert {("domain", "b does not answer"): None} == samples[0].problems.whole
    assert (("b",), ()) == (left_out, host.reader.facts().left_out)
    assert is_gone(first), "the process that hung was killed"
    assert (second, ["warning", "info"]) == (host.pid, [log["log_level"] for log in logs]), "and no other; said once"


def test_the_process_that_takes_over_begins_before_the_one_that_hangs_is_killed(host):
    host.say(hung=["b"])

    assert WITHOUT_B == freshness(host.read())
    assert [("begins", 1), ("begins", 2), ("ends", 1)] == RecordedProcess.lives


def test_where_a_vm_that_was_suspected_answers_the_process_that_was_to_take_over_ends(host):
    host.reader.close()
    host.reader = host.another(soft_s=4.0)
    host.read()
    host.say(hung=["b"])
    samples: list[Sample] = []
    thread = threading.Thread(target=lambda: samples.append(host.read()))
    thread.start()
    until(lambda: ("begins", 2) in RecordedProcess.lives)
    host.say(hung=[])
    thread.join(LONG_S)

    assert [ALL] == [freshness(sample) for sample in samples]
    assert [("begins", 1), ("begins", 2), ("ends", 2)] == RecordedProcess.lives


def test_a_vm_that_never_answered_is_there_without_values(host):
    host.say(hung=["b"])
    [domain] = [domain for domain in host.read().body["domains"] if domain["name"] == "b"]

    assert (True, None, [], 0) == tuple(domain[key] for key in ("stale", "cputime", "nics", "state"))


def test_a_vm_that_somebody_else_waits_for_is_marked_without_a_process_killed(host):
    host.read()
    first = host.pid
    host.say(hung=["b"])
    waits = host.path.with_name("b.waits")
    waits.touch()
    os.utime(waits, (time.time() - 10,) * 2)

    assert (WITHOUT_B, first) == (freshness(host.read()), host.pid)


def test_several_hung_vms_are_found_in_one_round(host):
    host.say(hung=["a", "c"])

    assert {"a": False, "b": True, "c": False} == freshness(host.read())


def test_when_many_hang_libvirtd_is_not_filled_with_calls_that_wait(host):
    names = [f"vm{n}" for n in range(7)]
    host.say(vms=names, hung=names)
    seen = freshness(host.read())

    assert 5 == len(list(host.path.parent.glob("*.waits")))
    assert 5 == list(seen.values()).count(False), "of the others comes what needs no hypervisor process"


def test_a_slow_host_is_waited_for_and_no_vm_is_blamed(host):
    host.read()
    first = host.pid
    host.say(vm_s=0.35)

    assert (ALL, first) == (freshness(host.read()), host.pid)


def test_a_round_that_takes_longer_than_a_poll_may_is_late_and_the_next_poll_has_it(host):
    host.read()
    host.say(vm_s=0.35)
    with pytest.raises(PollFailed, match="no answer to poll") as caught:
        host.read(0.7)

    assert "late" == caught.value.status
    assert ALL == freshness(host.read())


def test_an_answer_that_came_between_two_polls_is_not_passed_off_as_new(host):
    host.read()
    host.say(vm_s=0.35, cpu=5)
    with pytest.raises(PollFailed):
        host.read(0.7)
    [process] = host.processes
    assert process.wait(time.monotonic() + LONG_S), "the answer came"
    host.say(vm_s=0, cpu=6)

    assert {6} == {domain["cputime"] for domain in host.read().body["domains"]}


def test_a_daemon_that_answers_nobody_is_unreachable_and_no_vm_is_blamed(host):
    host.read()
    host.say(silent=True)
    with pytest.raises(PollFailed) as caught:
        host.read(2.0)
    host.say(silent=False)

    assert "unreachable" == caught.value.status
    assert ALL == freshness(host.read())


@pytest.mark.parametrize("open_first", [True, False], ids=["in a round", "at the opening"])
def test_a_call_that_takes_longer_than_libvirt_may_ends_the_process(host, open_first):
    host.reader.close()
    host.reader = host.another(2.0)
    if open_first:
        host.read()
    host.say(silent=True)
    with pytest.raises(PollFailed, match="within 2 s") as caught:
        host.read()
    host.say(silent=False)

    assert "unreachable" == caught.value.status
    assert [] == host.processes
    assert ALL == freshness(host.read())


def test_a_connection_lost_since_the_last_round_costs_nothing_if_another_is_to_be_had(host):
    host.read()
    host.say(die=3)
    with pytest.raises(PollFailed, match="exit code 3"):
        host.read()
    host.say(die=0)
    before = freshness(host.read())
    os.kill(host.pid, 9)

    assert (ALL, ALL) == (before, freshness(host.read()))


@pytest.mark.parametrize(
    ("trouble", "text"), [("refused", "Connection refused"), ("lost", "Broken pipe")], ids=["refused", "lost"]
)
def test_a_host_that_is_away_is_unreachable_and_read_when_it_is_back(host, trouble, text):
    host.say(**{trouble: True})
    with pytest.raises(PollFailed, match=text) as caught:
        host.read()
    host.say(**{trouble: False})

    assert "unreachable" == caught.value.status
    assert ALL == freshness(host.read())


def test_the_process_ends_with_its_reader_however_that_ends(host):
    host.read()
    closed = host.pid
    host.reader.close()
    assert is_gone(closed)

    host.read()
    forgotten = host.pid
    host.reader = host.another()
    gc.collect()
    assert is_gone(forgotten)


READING = """
    import os, sys, time
    from producers.fleet.targets import LibvirtTarget
    from producers.libvirt.reader import LibvirtReader
    from producers.libvirt.worker import supervisor

    class Printed(supervisor.WorkerProcess):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            print(self.pid, flush=True)

    supervisor.WorkerProcess = Printed
    limits = supervisor.WorkerLimits(60.0, 60.0, 300.0)
    reader = LibvirtReader(LibvirtTarget.model_construct(host="kvm-01", uri=sys.argv[1]), 1.0, limits)
    reader.read("domains", 60.0)
    time.sleep(60)
"""


def test_the_process_ends_when_that_of_its_reader_is_killed(host):
    program = [sys.executable, "-c", textwrap.dedent(READING), f"stand-in://{host.path}"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=ROOT) as reading:
        pid = int(reading.stdout.readline())
        assert not is_gone(pid)
        reading.kill()
    until(lambda: is_gone(pid))


def test_a_reader_closed_while_it_reads_gives_up_and_starts_nothing(host):
    host.read()
    host.say(silent=True)
    statuses: list[Any] = []

    def read() -> None:
        try:
            host.read()
        except PollFailed as error:
            statuses.append(error.status)

    requests = host.processes[0].requests
    thread = threading.Thread(target=read)
    thread.start()
    until(lambda: requests.count("poll") == 2)
    host.reader.close()
    thread.join(LONG_S)

    assert ["unreachable"] == statuses
    assert ([], 1) == (host.processes, len(RecordedProcess.begun))


def test_a_fault_of_ours_ends_the_process_at_once(host, capfd):
    host.say(vms=[None])
    with pytest.raises(PollFailed, match="exit code 1"):
        host.read()

    assert "Traceback" in capfd.readouterr().err


def test_the_uri_is_not_among_the_arguments_of_the_process(host):
    host.read()

    assert "stand-in" not in Path(f"/proc/{host.pid}/cmdline").read_text().replace("libvirt_stand_in", "")


def test_a_survey_tells_what_each_group_gives(host):
    host.read()
    groups = host.reader.survey(LONG_S)

    assert "block.N.rd.reqs" in groups["block"]["keys"]
    assert [None] == list({group["error"] for group in groups.values()})
    assert {"hypervisor": "STAND-IN", "version": "1.2.3", "libvirt": "1.2.3"} == host.reader.server_info
