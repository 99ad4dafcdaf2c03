"""The systemd units: systemd accepts them, and they start commands there are."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from rackstream.cli import cli
from rackstream.local.supervisor import FATAL_EXIT_CODES

ROOT = Path(__file__).parents[3]
UNITS = sorted((ROOT / "systemd").glob("*.service"))
INSTANCES = {"producer": ("host", "libvirt", "redfish"), "sink": ("files", "influx", "archive", "webhook")}
INSTALLED = "/opt/rackstream/.venv/bin/rackstream"

pytestmark = pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
analyze = shutil.which("systemd-analyze")
analyzed = pytest.mark.skipif(analyze is None, reason="systemd-analyze is not here: package systemd")


def setting(unit, name):
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


@analyzed
def test_systemd_accepts_it(unit, tmp_path):
    for each in UNITS:  # with a program that is there
        (tmp_path / each.name).write_text(each.read_text().replace(INSTALLED, sys.executable))
    done = subprocess.run([analyze, "verify", tmp_path / unit.name], text=True, capture_output=True)

    assert (0, "") == (done.returncode, done.stderr)


@analyzed
def test_it_may_do_little(unit):
    command = [analyze, "security", "--offline=yes", "--threshold=20", unit]  # of 100; without sandboxing it is 92
    done = subprocess.run(command, text=True, capture_output=True)

    assert 0 == done.returncode, done.stdout[-300:]


def test_it_starts_a_command_there_is(unit):
    [line] = setting(unit, "ExecStart")
    assert line.startswith(INSTALLED)
    name, *arguments = line.removeprefix(INSTALLED).split()
    command = cli.commands[name]
    for instance in INSTANCES.get(name, ("1",)):
        given = [word.replace("%i", instance) for word in arguments]
        given = [word.replace("/etc/rackstream/fleet.yaml", str(ROOT / "fleet.example.yaml")) for word in given]
        assert isinstance(command.make_context(name, given), click.Context)


def test_what_a_person_must_act_on_is_not_started_again(unit):
    assert [" ".join(map(str, FATAL_EXIT_CODES))] == setting(unit, "RestartPreventExitStatus")
