"""Rules for schemas and topics: they hold, and each violation is reported."""

import copy
import json
import shutil
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


@pytest.mark.parametrize("name", catalog.schema_names())
def test_every_schema_keeps_the_rules(name):
    assert [] == policy.schema_problems(catalog.schema(name))


def test_the_topics_keep_the_rules():
    assert [] == policy.topic_problems(catalog.load())


def test_a_field_without_doc_is_named():
    broken = changed(lambda fields: fields[0].pop("doc"))

    assert ["VmTotals.host: no doc; describe the field"] == policy.schema_problems(broken)


def test_a_number_without_unit_is_named():
    broken = changed(lambda fields: fields[4].pop("unit"))

    [problem] = policy.schema_problems(broken)

    assert problem.startswith("VmTotals.sequence: number without unit")


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
        pytest.param({"name": "fleet.raw_host"}, "collide", id="an underscore in a name"),
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


@pytest.fixture
def avsc(tmp_path, monkeypatch):
    """The folder of the schema files, of a copy that a test may break."""
    caches = (catalog.load, catalog.schema, catalog.schema_names, catalog.published_schemas)
    shutil.copytree(catalog.SCHEMAS_DIR, tmp_path / "schemas", ignore=shutil.ignore_patterns("__pycache__"))
    with monkeypatch.context() as patched:
        patched.setattr(catalog, "SCHEMAS_DIR", tmp_path / "schemas")
        patched.setattr(catalog, "PUBLISHED_DIR", tmp_path / "schemas" / "published")
        for cached in caches:
            cached.cache_clear()
        yield tmp_path / "schemas" / "avsc"
    for cached in caches:
        cached.cache_clear()


@pytest.mark.parametrize(
    ("breakage", "problem"),
    [
        pytest.param(('"doc": "Host."', '"doc": ""'), "no doc", id="a missing doc"),
        pytest.param(('"name": "revision"', '"name": "version"'), "cannot read", id="a renamed field"),
    ],
)
def test_a_broken_schema_file_is_a_problem(avsc, breakage, problem):
    path = avsc / "Alert.avsc"
    path.write_text(path.read_text().replace(*breakage, 1))

    assert problem in "\n".join(policy.problems())


def test_a_file_that_is_not_an_avro_schema_is_named(avsc):
    path = avsc / "Alert.avsc"
    path.write_text(path.read_text().replace('"type": "record"', '"type": "recod"', 1))

    with pytest.raises(ValueError, match=r"Alert\.avsc is not an Avro schema"):
        policy.problems()


def test_the_topic_table_has_a_row_for_each_topic():
    document = tomllib.loads((catalog.SCHEMAS_DIR / "topics.toml").read_text())

    assert len(document["topics"]) + 2 == len(codegen.topic_table().splitlines())


def test_a_table_without_its_markers_is_an_error():
    with pytest.raises(ValueError, match="no lines"):
        codegen.replace_between_markers("text", "topics", "table")


def test_published_files_are_named_after_their_content():
    for path in sorted(catalog.PUBLISHED_DIR.glob("*.avsc")):
        name, number = path.stem.split(".")
        schema = catalog.read_schema(path)
        assert (name, number) == (schema.name, f"{schema.id:08x}")
        assert json.loads(path.read_text()) == schema.definition
