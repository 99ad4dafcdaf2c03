"""The registry of sources: what it promises of each, and what follows from it."""

import importlib

import pytest
from click.testing import CliRunner

from producers.fleet import config
from producers.registry import SOURCE_SPECS
from rackstream.access.roles import ROLES
from rackstream.cli import cli
from schemas import catalog
from schemas.sources import SOURCES


def test_every_source_of_the_contract_has_a_spec():
    assert SOURCES.keys() == SOURCE_SPECS.keys()


@pytest.mark.parametrize("name", SOURCE_SPECS)
def test_a_source_has_a_topic_a_section_a_role_and_a_maker_of_readers(name):
    spec = SOURCE_SPECS[name]
    topic = catalog.load()[spec.source.raw_topic]

    assert f"producers.{name}" == topic.owner
    assert isinstance(config.Fleet().sections[name], spec.section)
    assert topic.alias in ROLES[spec.role]().writes
    assert callable(importlib.import_module(spec.reader_module).create_reader)


@pytest.mark.parametrize("name", SOURCE_SPECS)
def test_what_is_shared_is_reached_by_an_address_from_any_machine(name):
    spec = SOURCE_SPECS[name]

    assert spec.source.is_shareable == bool(spec.target.address_field)
    assert not spec.target.address_field or spec.target.address_field in spec.target.model_fields


def test_an_unknown_source_is_refused_with_those_there_are():
    result = CliRunner().invoke(cli, ["producer", "nothing"])

    assert 2 == result.exit_code
    for name in SOURCE_SPECS:
        assert name in result.output
