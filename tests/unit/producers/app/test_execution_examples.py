"""Every code example of seed 001, run beside `producers.execution`."""

import inspect
import re
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest

from producers.app.execution import TelemetryCollector

CASES = Path(__file__).parents[3] / "cases" / "seeds" / "001.md"
EXAMPLES = dict(re.findall(r"^## (.+?)\n\n```python\n(.*?)^```", CASES.read_text(), re.MULTILINE | re.DOTALL))
NAMES = {"time": time, "Dict": dict, "Any": Any}


def executed(title, **names):
    names |= NAMES
    exec(compile(textwrap.dedent(EXAMPLES[title]), title, "exec"), names)
    return SimpleNamespace(**names)


def shape(title):
    """A dictionary of types, as the seed prints it."""
    return eval(EXAMPLES[title], dict(NAMES))


def test_there_are_all_examples_of_the_document():
    assert [
        "Complete Signature & Definition", "Recording Process", "Real-time System Metrics",
        "Comprehensive Statistics Output", "Statistics Calculation",
    ] == list(EXAMPLES)  # fmt: skip


def test_the_class_has_the_signatures_and_the_statistics_of_the_seeds():
    theirs = executed("Complete Signature & Definition").TelemetryCollector

    for name in ("__init__", "record_execution", "get_system_metrics", "get_stats"):
        ours = inspect.signature(getattr(TelemetryCollector, name)).parameters
        assert list(inspect.signature(getattr(theirs, name)).parameters) == list(ours)
    hints = get_type_hints(TelemetryCollector.record_execution)
    assert (bool, float) == (hints["success"], hints["execution_time"])
    started = theirs().stats, TelemetryCollector().stats
    assert abs(started[0].pop("start_time") - started[1].pop("start_time")) < 5
    assert started[0] == started[1]


@pytest.mark.parametrize(
    "executions", [[], [(True, 1.25)], [(True, 0.1), (False, 0.2), (True, 0.4)], [(False, 3.0)] * 7]
)
def test_recording_and_calculation_come_out_as_the_seeds(executions):
    theirs, ours = SimpleNamespace(stats=dict(TelemetryCollector().stats)), TelemetryCollector()
    record_execution = executed("Recording Process").record_execution
    for success, execution_time in executions:
        record_execution(theirs, success, execution_time)
        ours.record_execution(success, execution_time)
    theirs.stats["start_time"] = ours.stats["start_time"]
    assert theirs.stats == ours.stats

    expected = executed("Statistics Calculation", self=theirs)
    stats = ours.get_stats()
    assert f"{expected.success_rate:.1f}%" == stats["success_rate"]
    assert f"{expected.avg_execution_time:.2f}s" == stats["average_execution_time"]
    assert expected.uptime <= stats["uptime_seconds"] < expected.uptime + 30


@pytest.mark.parametrize(
    ("title", "ask"),
    [
        ("Real-time System Metrics", TelemetryCollector.get_system_metrics),
        ("Comprehensive Statistics Output", TelemetryCollector.get_stats),
    ],
)
def test_the_answers_have_the_keys_and_types_of_the_seeds(title, ask):
    answer = ask(TelemetryCollector())

    assert list(shape(title)) == list(answer)
    for name, kind in shape(title).items():
        assert isinstance(answer[name], getattr(kind, "__origin__", kind)), name
