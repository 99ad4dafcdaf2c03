"""The second Ctrl-C ends everything at once, whatever was being started, and leaves no process."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from rackstream.local.supervisor import PipelinePart, Supervisor
from tests.unit.support.waiting import until

PROGRAM = """
import subprocess, sys, time
from rackstream.commands.common import stop_event
stop = stop_event()
sleeper = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleeper!r}], start_new_session=True)"
subprocess.Popen([sys.executable, "-c", nested], start_new_session=True)
print("started", flush=True)
while not stop.is_set():
    time.sleep(0.01)
print("stopping", flush=True)
while True:  # a signal just before a long sleep would be handled after it
    time.sleep(0.01)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_leaves_no_process_even_of_those_that_ignore_signals(number):
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert "started\n" == process.stdout.readline()
            main = psutil.Process(process.pid)
            until(lambda: len(main.children(recursive=True)) == 2)
            started = main.children(recursive=True)
            process.send_signal(number)
            assert "stopping\n" == process.stdout.readline(), "the first stops in order"
            assert process.poll() is None
            process.send_signal(number)
            assert -number == process.wait(10)
            until(lambda: not any(child.is_running() and child.status() != "zombie" for child in started))
        finally:
            process.kill()


def test_a_part_that_is_starting_is_not_waited_for_once_a_stop_is_asked_for(tmp_path):
    supervisor = Supervisor()
    supervisor.stopping = lambda: True
    part = PipelinePart("p", [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "p.log")
    supervisor.start(part)  # returns
    pid = part.pid
    supervisor.close()

    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
