"""Names that users rely on are still there: commands, options, settings, topics, metrics, and the Python API."""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path
from pkgutil import resolve_name

import pytest

from rackstream.cli import cli
from rackstream.reference import settings
from runtime import metrics
from schemas import catalog

NAMES = tomllib.loads((Path(__file__).parents[2] / "cases" / "public" / "names.toml").read_text())


def commands(command, path):
    """Yields the path of each command, hidden ones included, with its options."""
    yield path, {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{path} {name}")


def members(thing):
    """Returns the attributes of a class, or the parameters of a function."""
    if not inspect.isclass(thing):
        return set(inspect.signature(thing).parameters)
    return {name for base in thing.__mro__ for name in (*vars(base), *vars(base).get("__annotations__", {}))}


def test_commands_and_options_are_there():
    existing = dict(commands(cli, "rackstream"))
    missing = {
        command: set(options.split()) - existing.get(command, set())
        for command, options in NAMES["commands"].items()
        if command not in existing or not set(options.split()) <= existing[command]
    }

    assert {} == missing


@pytest.mark.parametrize(
    ("kind", "existing"),
    [
        ("settings", lambda: {setting.name for _, own in settings.classes() for setting in own}),
        ("topics", lambda: {topic.name for topic in catalog.load().topics.values()}),
        ("metrics", lambda: {metric.name for metric in metrics.METRICS}),
    ],
)
def test_settings_topics_and_metrics_are_there(kind, existing):
    assert set() == set(NAMES[kind]) - existing()


def test_the_python_api_is_there():
    missing = {}
    for path, expected in NAMES["python"].items():
        module, _, names = path.partition(":")
        try:
            thing = resolve_name(f"{module}:{names}")
        except (ImportError, AttributeError) as error:
            missing[path] = str(error)
            continue
        if absent := set(expected.split()) - members(thing):
            missing[path] = sorted(absent)

    assert {} == missing


def test_every_command_is_listed():
    assert [] == [path for path, _ in commands(cli, "rackstream") if path not in NAMES["commands"]]
