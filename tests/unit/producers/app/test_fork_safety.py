"""The SDK in processes of its own: what it imports, what is left at their end, and forks."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from producers.app.storage import FileStorage

ROOT = Path(__file__).parents[4]
HEAD = """
import os, sys, threading
from producers.app import TelemetryCollector, TelemetryConfig
from producers.app.storage import FileStorage, MemoryStorage
from producers.app.streaming import TelemetryStream
config = TelemetryConfig(flush_interval=3600, storage_backend="file", storage_path=sys.argv[1])
"""


def run(path, body, code=0):
    program = HEAD + textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (code, "") == (done.returncode, done.stderr)
    return done.stdout


def stored(path):
    return [event.message for event in FileStorage(path).retrieve().events]


def test_the_sdk_needs_nothing_but_the_standard_library(tmp_path):
    body = """
        import producers.execution
        with TelemetryCollector(config) as collector:
            collector.collect_event("s", "m")
        print(*sorted({name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names - {"__main__"}))
    """
    others = {name.partition(".")[0] for name in bare_modules()}

    assert {"producers"} == set(run(tmp_path / "t", body).split()) - others


def bare_modules():
    """What an interpreter of this environment has loaded before anything is imported."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("c = TelemetryCollector(config); c.collect_event('s', 'm')", id="at exit"),
        pytest.param("TelemetryCollector(config).collect_event('s', 'm')", id="at exit, with no reference left"),
        pytest.param("TelemetryCollector(config).collect_event('s', 'm'); sys.exit(0)", id="at sys.exit"),
        pytest.param(
            "c = TelemetryCollector(config); c.collect_event('s', 'm'); c.close(); os._exit(0)", id="at close"
        ),
        pytest.param(
            "c = TelemetryCollector(config); import atexit; atexit.register(c.collect_event, 's', 'm')",
            id="collected at exit",
        ),
        pytest.param(
            "import atexit; late = []; c = TelemetryCollector(config); c.collect_event('s', 'm'); "
            "threading.Thread(target=c.flush, daemon=True).start()",
            id="while a thread is flushing",
        ),
        pytest.param(
            "c = TelemetryCollector(); s = TelemetryStream(c, FileStorage(sys.argv[1]), 3600); s.start(); "
            "c.collect_event('s', 'm'); s.stop(); os._exit(0)",
            id="when a stream stops",
        ),
        pytest.param(
            "c = TelemetryCollector(); s = TelemetryStream(c, FileStorage(sys.argv[1]), 3600); s.start(); "
            "c.collect_event('s', 'm')",
            id="at exit, into a stream that runs",
        ),
    ],
)
def test_nothing_buffered_is_lost(tmp_path, body):
    run(tmp_path / "t", body)

    assert ["m"] == stored(tmp_path / "t")


def test_nothing_buffered_is_lost_when_the_program_fails(tmp_path):
    program = HEAD + "TelemetryCollector(config).collect_event('s', 'm'); 1 / 0"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "t")], cwd=ROOT, capture_output=True, check=False
    )

    assert 1 == done.returncode
    assert ["m"] == stored(tmp_path / "t")


def test_a_forked_child_delivers_its_own_items_only_and_the_parent_its_own(tmp_path):
    body = """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads, from Python 3.12
        collector = TelemetryCollector(config)
        stream = TelemetryStream(collector, FileStorage(sys.argv[1]), 3600)
        stream.start()
        parent, held, start = os.getpid(), threading.Event(), threading.Thread.start
        def start_later(thread):  # the collector starts its timer while it holds its lock
            if os.getpid() == parent:
                held.set()
                threading.Event().wait(3600)
            start(thread)
        hold = threading.Thread(target=collector.collect_event, args=("s", "parent"), daemon=True)
        threading.Thread.start = start_later
        start(hold)
        held.wait()
        child = os.fork()
        if child == 0:
            collector.collect_event("s", "child")
            stream.stop()
            os._exit(0)
        os.waitpid(child, 0)
        sys.stdout.write(open(sys.argv[1]).read().count("child") * "c")
        os._exit(0)
    """
    assert "c" == run(tmp_path / "t", body)
    assert ["child"] == stored(tmp_path / "t")


def test_several_processes_append_to_one_file(tmp_path):
    body = """
        with TelemetryCollector(TelemetryConfig(buffer_size=3, storage_backend="file", storage_path=sys.argv[1])) as c:
            for number in range(300):
                c.collect_event(str(os.getpid()), str(number) + "x" * 3000)
    """
    program = [sys.executable, "-c", HEAD + textwrap.dedent(body), str(tmp_path / "t")]
    processes = [subprocess.Popen(program, cwd=ROOT) for _ in range(3)]
    assert [0, 0, 0] == [process.wait(60) for process in processes]
    events = FileStorage(tmp_path / "t").retrieve().events

    for process in processes:
        mine = [event.message.rstrip("x") for event in events if event.source == str(process.pid)]
        assert [str(number) for number in range(300)] == mine


def test_a_killed_process_loses_at_most_what_it_had_not_flushed(tmp_path):
    body = """
        config.buffer_size = 10
        collector = TelemetryCollector(config)
        for number in range(25):
            collector.collect_event("s", str(number))
        os.kill(os.getpid(), 9)
    """
    run(tmp_path / "t", body, code=-9)

    assert [str(number) for number in range(20)] == stored(tmp_path / "t")
