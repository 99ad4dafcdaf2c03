"""The registry of sinks: one specification for each kind, from which roles, commands and the pipeline are derived."""

import re

import pytest
from click.testing import CliRunner

from rackstream.access.roles import ROLES
from rackstream.commands.run import sink
from schemas import catalog
from sinks.files.archive_sink import ArchiveSink
from sinks.files.sink import FilesSink
from sinks.influx.sink import InfluxSink
from sinks.registry import SINKS
from sinks.webhook.sink import WebhookSink

CLASSES = {"files": FilesSink, "influx": InfluxSink, "archive": ArchiveSink, "webhook": WebhookSink}


def test_every_kind_is_listed_by_the_command_with_its_help():
    listed = CliRunner().invoke(sink, ["--help"]).output

    assert [] == [
        kind
        for kind, spec in SINKS.items()
        if not re.search(rf"^ +{kind} +{re.escape(spec.help)}$", listed, re.MULTILINE)
    ]


@pytest.mark.parametrize("kind", CLASSES)
def test_a_specification_names_the_topics_that_its_sink_consumes(kind):
    spec = SINKS[kind]

    assert CLASSES[kind].topics == spec.topics()
    assert {*spec.topics(), *spec.also_reads} <= catalog.load().topics.keys()


@pytest.mark.parametrize("kind", SINKS)
def test_a_role_is_derived_from_the_specification(kind):
    spec = SINKS[kind]
    role = ROLES[f"sink-{kind}"]()

    assert {*spec.topics(), *spec.also_reads, "schemas"} == set(role.reads)
    assert ("dead-letter",) == role.writes
    assert spec.group() == role.group


def test_several_sinks_of_a_kind_have_groups_of_their_own():
    assert "rackstream-webhook" == SINKS["webhook"].group()
    assert "rackstream-webhook-oncall" == SINKS["webhook"].group("oncall")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["files", "--check"], "--check and --set-up are options of `rackstream sink` influx"),
        (["files", "--name", "a"], "--name is an option of webhook"),
        (["webhook", "--name", "A b"], "lower-case letters and digits"),
    ],
    ids=["a check of what needs none", "a name where one is enough", "a name that is no part of a group's"],
)
def test_an_option_of_another_kind_is_refused(arguments, reason):
    refused = CliRunner().invoke(sink, arguments)

    assert reason in refused.output or reason in str(refused.exception)


def test_what_is_configured_in_the_environment_runs_with_everything_else(monkeypatch, tmp_path):
    for name in ("INFLUX_URL", "INFLUX_DB", "INFLUX_TOKEN", "RACKSTREAM_WEBHOOK_URL", "RACKSTREAM_ARCHIVE_ROOT"):
        monkeypatch.delenv(name, raising=False)

    assert ["files"] == [kind for kind, spec in SINKS.items() if spec.is_configured()]

    monkeypatch.setenv("RACKSTREAM_WEBHOOK_URL", "http://127.0.0.1:9093")
    monkeypatch.setenv("RACKSTREAM_ARCHIVE_ROOT", str(tmp_path))

    assert ["files", "archive", "webhook"] == [kind for kind, spec in SINKS.items() if spec.is_configured()]
