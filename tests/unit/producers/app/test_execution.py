"""The execution collector of seed 001: its counts, what it reads of this machine, and what it does when it cannot."""

import asyncio
import threading
import time
from types import SimpleNamespace

import psutil
import pytest

from producers.app import execution
from producers.app.execution import Sampler, TelemetryCollector


@pytest.fixture
def without_waiting(monkeypatch):
    """This machine's CPU use is known already."""
    monkeypatch.setattr(execution, "SAMPLE_S", 0.01)
    monkeypatch.setattr(execution, "SAMPLER", Sampler())


def test_a_new_collector_has_the_five_counts_at_zero():
    before = time.time()
    stats = TelemetryCollector().stats

    assert before <= stats.pop("start_time") <= time.time()
    assert {
        "commands_executed": 0,
        "successful_commands": 0,
        "failed_commands": 0,
        "total_execution_time": 0.0,
    } == stats


@pytest.mark.parametrize(
    ("executions", "rate", "average"),
    [
        pytest.param([], "0.0%", "0.00s", id="nothing executed is no division by zero"),
        pytest.param([(True, 1.0), (True, 2.0), (False, 0.5)], "66.7%", "1.17s", id="two of three"),
        pytest.param([(False, 0.0)], "0.0%", "0.00s", id="one that failed at once"),
        pytest.param([(True, 1234.567)], "100.0%", "1234.57s", id="all"),
    ],
)
def test_statistics_are_formatted_as_the_seed_says(without_waiting, executions, rate, average):
    collector = TelemetryCollector()
    for success, execution_time in executions:
        collector.record_execution(success, execution_time)
    stats = collector.get_stats()

    assert ["uptime_seconds", "commands_executed", "success_rate", "average_execution_time", "system_metrics"] == list(
        stats
    )
    assert (len(executions), rate, average) == tuple(list(stats.values())[1:4])
    assert 0 <= stats["uptime_seconds"] < 60
    assert ["cpu_percent", "memory_percent", "disk_usage", "network_io"] == list(stats["system_metrics"])


def test_no_count_is_lost_between_threads():
    collector = TelemetryCollector()

    def work():
        for number in range(5000):
            collector.record_execution(number % 2 == 0, 1.0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert [40_000, 20_000, 20_000, 40_000.0] == list(collector.stats.values())[:4]


def test_blocks_functions_and_async_functions_record_themselves():
    collector = TelemetryCollector()

    @collector.recorded
    def command(number):
        """Its own."""
        return 1 / number

    @collector.recorded
    async def waiting():
        await asyncio.sleep(0.02)
        return "done"

    assert (0.5, "Its own.", "command") == (command(2), command.__doc__, command.__name__)
    with pytest.raises(ZeroDivisionError):
        command(0)
    assert "done" == asyncio.run(waiting())
    with collector.recording():
        time.sleep(0.02)
    with pytest.raises(KeyboardInterrupt), collector.recording():
        raise KeyboardInterrupt

    assert [5, 3, 2] == list(collector.stats.values())[:3]
    assert 0.04 <= collector.stats["total_execution_time"] < 10


def test_the_metrics_are_this_machines():
    metrics = TelemetryCollector().get_system_metrics()

    assert all(0 <= metrics[name] <= 100 for name in ("cpu_percent", "memory_percent", "disk_usage"))
    assert set(psutil.net_io_counters()._fields) == set(metrics["network_io"])


def test_only_the_first_call_waits_a_second():
    TelemetryCollector().get_system_metrics()
    began_s = time.monotonic()
    for _ in range(20):
        assert TelemetryCollector().get_system_metrics()["cpu_percent"] is not None

    assert time.monotonic() - began_s < 10  # of 20


def test_cpu_use_is_measured_over_a_full_second_again_and_again(monkeypatch):
    asked = []
    enough = threading.Event()

    def cpu_percent(interval):
        asked.append(interval)
        if len(asked) > 2:
            enough.set()
            threading.Event().wait()  # the thread is a daemon
        return float(len(asked))

    monkeypatch.setattr(execution, "SAMPLE_S", 0.01)
    monkeypatch.setattr(psutil, "cpu_percent", cpu_percent)
    sampler = Sampler()
    sampler.percent()
    assert enough.wait(60)
    assert (2.0, [0.01] * 3) == (sampler.percent(), asked)
    assert 1.0 == SECOND


SECOND = execution.SAMPLE_S


@pytest.mark.parametrize("error", [psutil.AccessDenied(1), OSError(), NotImplementedError(), RuntimeError()])
@pytest.mark.parametrize(
    ("call", "name", "nothing"),
    [
        ("cpu_percent", "cpu_percent", None),
        ("virtual_memory", "memory_percent", None),
        ("disk_usage", "disk_usage", None),
        ("net_io_counters", "network_io", {}),
    ],
)
def test_what_psutil_cannot_read_is_unknown_and_the_rest_is_there(
    without_waiting, monkeypatch, call, name, nothing, error
):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(psutil, call, fail)
    metrics = TelemetryCollector().get_system_metrics()

    assert nothing == metrics.pop(name)
    assert None not in metrics.values()


def test_a_machine_without_a_network_has_no_counters(without_waiting, monkeypatch):
    monkeypatch.setattr(psutil, "net_io_counters", lambda: None)

    assert {} == TelemetryCollector().get_system_metrics()["network_io"]


def test_without_psutil_the_counts_go_on(without_waiting, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psutil", None)
    collector = TelemetryCollector()
    collector.record_execution(True, 1.0)
    stats = collector.get_stats()

    assert "100.0%" == stats["success_rate"]
    assert [None, None, None, {}] == list(stats["system_metrics"].values())


def test_statistics_are_published_when_asked_and_only_then():
    published = []
    collector = TelemetryCollector()
    collector.record_execution(True, 2.0)
    assert [] == published
    collector.publish(SimpleNamespace(store_execution=published.append))

    [stats] = published
    assert 0 <= stats.pop("uptime_seconds") < 60
    assert collector.stats == stats
