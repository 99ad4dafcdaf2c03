"""Data is for its user only, however permissive the umask of the shell is."""

import os
import stat
import subprocess
import sys

import pytest

from producers.publishing.sequence_journal import SequenceJournal
from producers.publishing.spool import Spool
from rackstream.api.settings import ConsoleSettings, read_token
from rackstream.local.broker_dir import BrokerDirectory
from rackstream.local.supervisor import PipelinePart, Supervisor


@pytest.fixture(autouse=True)
def open_umask():
    before = os.umask(0o000)
    yield
    os.umask(before)


def modes(directory):
    """Mode of each file and directory below, as octal text."""
    return {
        path.relative_to(directory).as_posix(): f"{stat.S_IMODE(path.stat().st_mode):o}"
        for path in directory.rglob("*")
    }


def readable_by_others(directory):
    return {name: mode for name, mode in modes(directory).items() if mode[-2:] != "00"}


def test_spools_and_journals_are_private(tmp_path):
    SequenceJournal(tmp_path / "data" / "journals" / "p.journal")
    spool = Spool(tmp_path / "data" / "spools" / "p.spool", max_bytes=1 << 20, max_age_s=60)

    assert {} == readable_by_others(tmp_path)
    assert spool.path.exists()


def test_the_directory_of_the_embedded_kafka_and_logs_of_parts_are_private(tmp_path):
    with BrokerDirectory(tmp_path / "data").locked():
        pass
    supervisor = Supervisor()
    supervisor.start(
        PipelinePart("p", [sys.executable, "-c", "pass"], tmp_path / "data" / "logs" / "p.log"), wait=False
    )
    supervisor.close()
    read_token(ConsoleSettings(token=None), tmp_path / "data")

    assert {} == {name: mode for name, mode in readable_by_others(tmp_path).items() if not name.endswith(".json")}
    assert "700" == modes(tmp_path)["data"]


def test_every_command_creates_files_for_its_user_only(tmp_path):
    program = """
import sys
from rackstream import cli
cli.cli.callback = lambda: open("made", "w").close()
sys.argv = ["rackstream", "topics", "--nonsense"]
cli.main()
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, umask=0)

    assert 2 == run.returncode, run.stderr
    assert {"made": "600"} == modes(tmp_path)


def test_a_directory_that_an_operator_shares_keeps_its_mode(tmp_path):
    (tmp_path / "data").mkdir(mode=0o750)
    SequenceJournal(tmp_path / "data" / "p.journal")

    assert "750" == modes(tmp_path)["data"]
    assert "600" == modes(tmp_path)["data/p.journal"]
