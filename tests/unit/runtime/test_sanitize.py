"""Text logs hold what machines and browsers send: none of it controls the terminal that shows the log."""

import io
import logging
import subprocess
import sys

import structlog

from runtime import sanitize

HOSTILE = "n1\x1b]0;owned\x07\x9b31m"


def harmless(text):
    return all(char.isprintable() or char in "\n\t" for char in text)


def test_events_values_and_tracebacks_of_a_text_log_are_cleaned():
    program = f"""
import pathlib, structlog
from runtime import observability
from runtime.settings import ProcessSettings
class Device:
    def __repr__(self): return {HOSTILE!r}
observability.set_up(ProcessSettings.read(log_format="text"), "sink-files", pathlib.Path("."))
log = structlog.get_logger()
log.warning({HOSTILE!r}, host={HOSTILE!r}, device=Device(), **{{{HOSTILE!r}: 1}})
try:
    raise ValueError({HOSTILE!r})
except ValueError:
    log.exception("failed")
import logging
logging.getLogger("nicegui").warning("http://h/ui/" + {HOSTILE!r} + " not found")
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert harmless(run.stderr), run.stderr
    assert 6 <= run.stderr.count("n1�]0;owned��31m")
    assert "WARNING nicegui http://h/ui/n1" in run.stderr


def test_a_log_keeps_its_values_and_colours():
    stream = io.StringIO()
    log = structlog.wrap_logger(
        structlog.PrintLogger(stream), [sanitize.clean_event, structlog.dev.ConsoleRenderer(colors=True)]
    )
    log.info("stored", records=3, took_s=0.5, path="a b")

    assert "\x1b[" in stream.getvalue()
    assert "3" in stream.getvalue()
    assert "'a b'" in stream.getvalue()


def test_a_message_of_a_library_is_cleaned():
    record = logging.LogRecord("x", logging.WARNING, "", 0, "404 %s", (HOSTILE,), None)

    assert "404 n1�]0;owned��31m" == sanitize.CleanFormatter("%(message)s").format(record)
