"""The command overview: sections, short helps, and aliases of renamed commands."""

from __future__ import annotations

import contextlib
import json

import click
import pytest
from click.testing import CliRunner

from rackstream.cli import cli
from rackstream.command_groups import MAX_HELP

RESULT = {"status": "stopped", "message": "paused", "desired": {}, "observed": {}}
STATE = {"desired": [], "observed": {}, "pending": []}


def visible(command, path=()):
    """Yields the path and the command of each command that a help lists."""
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield (*path, name), child
            yield from visible(child, (*path, name))


def test_every_visible_command_has_a_short_help():
    short_helps = {" ".join(path): command.get_short_help_str(1000) for path, command in visible(cli)}

    assert {} == {path: text for path, text in short_helps.items() if not 0 < len(text) <= MAX_HELP}


def test_every_visible_command_is_in_one_section():
    listed = [name for names in cli.sections.values() for name in names]

    assert sorted(listed) == sorted(name for name, command in cli.commands.items() if not command.hidden)


def test_the_overview_begins_with_examples_and_lists_sections():
    text = CliRunner().invoke(cli, ["--help"]).output

    assert text.index("rackstream demo ") < text.index("rackstream up ") < text.index("Options:")
    positions = [text.index(f"\n{title}:\n") for title in cli.sections]
    assert positions == sorted(positions)
    assert not [line for line in text.splitlines() if len(line) > 80]


class FakeControl:
    """Records commands to the fleet."""

    def __init__(self):
        self.calls = []

    def start(self, source, host, **_):
        self.calls.append(("start", source, host))
        return RESULT

    def stop(self, source, host, **_):
        self.calls.append(("stop", source, host))
        return RESULT

    def state(self):
        self.calls.append(("state", None, None))
        return STATE


@pytest.fixture
def fleet(monkeypatch):
    fake = FakeControl()
    monkeypatch.setattr("rackstream.commands.control.connected", lambda _: contextlib.nullcontext((None, True)))
    monkeypatch.setattr("rackstream.control.FleetControl", lambda _: fake)
    return fake


OPTIONS = ["--host", "node-1", "--who", "ann", "--reason", "fan"]


@pytest.mark.parametrize(
    ("old", "new", "options", "call"),
    [
        ("stop", "targets pause", OPTIONS, ("stop", None, "node-1")),
        ("start", "targets resume", OPTIONS, ("start", None, "node-1")),
        ("control", "targets commands", [], ("state", None, None)),
    ],
)
def test_an_old_name_prints_the_new_one_once_and_works(fleet, old, new, options, call):
    renamed = CliRunner().invoke(cli, [old, *options, "--json"])
    current = CliRunner().invoke(cli, [*new.split(), *options, "--json"])

    assert (0, 0) == (renamed.exit_code, current.exit_code), (renamed.output, current.output)
    assert [call, call] == fleet.calls
    assert f"`rackstream {old}` is now `rackstream {new}`\n" == renamed.stderr
    assert "" == current.stderr
    assert json.loads(renamed.stdout) == json.loads(current.stdout)


def test_an_old_name_is_hidden_and_keeps_its_options():
    text = CliRunner().invoke(cli, ["--help"]).output

    for old, new in (("stop", "pause"), ("start", "resume"), ("control", "commands")):
        alias, command = cli.commands[old], cli.commands["targets"].commands[new]
        assert alias.hidden
        assert f"\n  {old} " not in text
        assert [option.opts for option in command.params] == [option.opts for option in alias.params]
        assert new in alias.get_help(click.Context(alias))
