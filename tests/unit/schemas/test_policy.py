"""The contract's rules: that they hold, and that breaking each is noticed."""

import copy
import json
import subprocess
import sys
import tomllib
from dataclasses import replace

import pytest

from schemas import catalog, codegen, policy


def as_schema(definition):
    return catalog.Schema(definition["name"], catalog.fingerprint_id(definition), definition, None)


def changed(change, name="VmTotals"):
    definition = copy.deepcopy(catalog.schema(name).definition)
    change(definition["fields"])
    return as_schema(definition)


@pytest.mark.parametrize("name", catalog.names())
def test_every_schema_keeps_the_rules(name):
    assert [] == policy.schema_problems(catalog.schema(name))


def test_the_topics_keep_the_rules():
    assert [] == policy.topic_problems(catalog.load())


def test_a_field_without_doc_is_named():
    broken = changed(lambda fields: fields[0].pop("doc"))

    assert ["VmTotals.host: no doc; say what it is"] == policy.schema_problems(broken)


def test_a_number_without_unit_is_named():
    broken = changed(lambda fields: fields[4].pop("unit"))

    assert [problem] == policy.schema_problems(broken) if (problem := policy.schema_problems(broken)[0]) else False
    assert problem.startswith("VmTotals.sequence: a number without unit")


STRING = {"name": "new", "type": "string", "doc": "New."}
OPTIONAL = STRING | {"type": ["null", "string"], "default": None}


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        pytest.param(lambda fields: fields.append(OPTIONAL), True, id="a new field with a default"),
        pytest.param(lambda fields: fields.append(STRING), False, id="a new field without a default"),
        pytest.param(lambda fields: fields.pop(0), False, id="a field without default is gone"),
        pytest.param(lambda fields: fields[4].update(type="string"), False, id="another type"),
        pytest.param(lambda fields: fields[2].update(type="long"), False, id="another logical type"),
        pytest.param(lambda fields: fields[5].update(default={"a": "b"}), False, id="another default"),
        pytest.param(lambda fields: fields[0].update(doc="Better."), True, id="another doc"),
    ],
)
def test_evolution_is_allowed_only_where_old_and_new_read_each_other(change, allowed):
    problems = policy.evolution_problems(catalog.schema("VmTotals"), changed(change))

    assert allowed == (problems == [])


def test_a_better_doc_is_the_same_schema():
    assert catalog.schema("VmTotals").id == changed(lambda fields: fields[0].update(doc="Better.")).id


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        pytest.param({"name": "fleet.raw_host"}, "brokers fold", id="an underscore in a name"),
        pytest.param({"key": ("nobody",)}, "has no field nobody", id="a key that is no field"),
        pytest.param({"schema": "Nothing"}, "there is no avsc/Nothing.avsc", id="a schema that is not there"),
        pytest.param({"retention": None}, "only a compacted topic", id="kept forever without compaction"),
    ],
)
def test_a_topic_that_breaks_a_rule_is_named(fields, says):
    topics = catalog.load()
    broken = replace(topics, topics=topics.topics | {"raw-host": replace(topics["raw-host"], **fields)})

    assert any(says in problem for problem in policy.topic_problems(broken))


def test_a_schema_that_no_topic_uses_is_named():
    topics = catalog.load()
    fewer = {alias: topic for alias, topic in topics.topics.items() if alias != "power"}

    assert ["avsc/Power.avsc: no topic uses it"] == policy.topic_problems(replace(topics, topics=fewer))


def test_what_is_generated_is_fresh():
    done = subprocess.run([sys.executable, "-m", "schemas", "--check"], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    ("breakage", "says"),
    [
        pytest.param(('"doc": "Host."', '"doc": ""'), "no doc", id="a missing doc"),
        pytest.param(('"name": "revision"', '"name": "version"'), "cannot read", id="a renamed field"),
        pytest.param(('"type": "record"', '"type": "recod"'), "is not an Avro schema", id="not Avro"),
    ],
)
def test_check_fails_on_a_broken_schema_file(tmp_path, breakage, says):
    import shutil

    shutil.copytree(catalog.HERE, tmp_path / "schemas", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "schemas" / "avsc" / "Alert.avsc"
    path.write_text(path.read_text().replace(*breakage, 1))
    done = subprocess.run(
        [sys.executable, "-m", "schemas", "--check"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert 1 == done.returncode
    assert says in done.stderr


def test_the_topic_table_has_a_row_for_each_topic():
    document = tomllib.loads((catalog.HERE / "topics.toml").read_text())

    assert len(document["topics"]) + 2 == len(codegen.topic_table().splitlines())


def test_a_table_without_its_markers_is_an_error():
    with pytest.raises(ValueError, match="no lines"):
        codegen.between_markers("text", "topics", "table")


def test_published_versions_are_the_files_own_definitions():
    for path in sorted((catalog.HERE / "published").glob("*.avsc")):
        name, number = path.stem.split(".")
        schema = catalog.read_schema(path)
        assert (name, number) == (schema.name, f"{schema.id:08x}")
        assert json.loads(path.read_text()) == schema.definition
