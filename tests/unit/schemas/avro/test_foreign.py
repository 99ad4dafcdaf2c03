"""A schema from outside is believed within limits: no definition makes a decoder hang, crash or fill the memory."""

import copy
import json
import random
import struct
import subprocess
import sys

import pytest

from schemas import catalog, codec
from schemas.avro.foreign import MAX_DEPTH, MAX_NODES, BadSchema, check_schema
from schemas.testing import make_record

SCHEMA = catalog.schema("VmTotals")


def record_of(avro, name="x"):
    """VmTotals with one more field."""
    definition = copy.deepcopy(SCHEMA.definition)
    definition["fields"].append({"name": name, "type": avro})
    return definition


def nested(depth):
    avro = "long"
    for _ in range(depth):
        avro = {"type": "array", "items": avro}
    return avro


def doubling(levels):
    """A type of 2^levels parts, in a text of a few lines."""
    avro = {"type": "record", "name": "r0", "fields": [{"name": "a", "type": "long"}]}
    for level in range(1, levels):
        fields = [{"name": "a", "type": avro}, {"name": "b", "type": f"rackstream.r{level - 1}"}]
        avro = {"type": "record", "name": f"r{level}", "fields": fields}
    return avro


EMPTY_RECORD = {"type": "record", "name": "e", "fields": []}
HOSTILE = {
    "an array of null": {"type": "array", "items": "null"},
    "an array of arrays of null": {"type": "array", "items": {"type": "array", "items": "null"}},
    "an array of an empty record": {"type": "array", "items": EMPTY_RECORD},
    "a map of an empty record": {"type": "map", "values": EMPTY_RECORD},
    "an array of records of null": {
        "type": "array",
        "items": {"type": "record", "name": "n", "fields": [{"name": "a", "type": "null"}]},
    },
    "an array of fixed 0": {"type": "array", "items": {"type": "fixed", "name": "f", "size": 0}},
    "a negative fixed": {"type": "fixed", "name": "f", "size": -1},
    "a fixed of any size": {"type": "fixed", "name": "f", "size": 1 << 60},
    "a record that has itself": "rackstream.VmTotals",
    "a record that has itself in an array": {"type": "array", "items": "VmTotals"},
    "a record that has itself, perhaps": ["null", "VmTotals"],
    "a record inside that has itself": {"type": "record", "name": "r", "fields": [{"name": "a", "type": "r"}]},
    "too deep": nested(MAX_DEPTH + 1),
    "too many parts": doubling(30),
    "too many fields": {
        "type": "record",
        "name": "r",
        "fields": [{"name": f"a{number}", "type": "long"} for number in range(MAX_NODES)],
    },
    "a name that is unknown": "elsewhere.Thing",
    "a number": 7,
    "nothing": None,
    "a union of nothing": [],
    "a union of unions": [["null"]],
    "symbols that are none": {"type": "enum", "name": "s", "symbols": [1]},
    "a name that is none": {"type": "enum", "name": {"a": 1}, "symbols": ["A"]},
    "fields that are none": {"type": "record", "name": "r", "fields": {"a": 1}},
    "two fields of a name": {
        "type": "record",
        "name": "r",
        "fields": [{"name": "a", "type": "long"}, {"name": "a", "type": "string"}],
    },
    "a type defined again": {"type": "record", "name": "VmTotals", "fields": [{"name": "a", "type": "long"}]},
}


@pytest.mark.parametrize("avro", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_writer_schema_is_refused_before_a_byte_is_read_with_it(avro):
    definition = record_of(avro)
    decoder = codec.Decoder(SCHEMA, lambda _: definition)

    with pytest.raises(codec.DecodeError) as caught:
        decoder.decode(struct.pack(">bI", 0, 7) + b"\xfe\xff\xff\xff\x0f" * 20)

    assert "bad-schema" == caught.value.reason


@pytest.mark.parametrize("definition", [None, [], "string", {}, {"type": "record"}, {"type": "array", "items": "long"}])
def test_what_defines_no_record_is_refused(definition):
    with pytest.raises(BadSchema):
        check_schema(definition)


def test_a_definition_that_calls_itself_parsed_is_parsed_all_the_same():
    definition = record_of({"type": "long"}) | {"__fastavro_parsed__": True, "__named_schemas__": {}}

    assert not [key for key in check_schema(definition) if key.startswith("_")]


@pytest.mark.parametrize("version", catalog.published_schemas().values(), ids=lambda version: version.name)
def test_every_schema_of_ours_is_accepted_and_keeps_its_fingerprint(version):
    assert version.id == catalog.fingerprint_id(check_schema(version.definition))


def test_a_type_that_is_named_again_is_accepted():
    checked = check_schema(record_of(doubling(5)))

    assert "rackstream.r3" == checked["fields"][-1]["type"]["fields"][1]["type"]


FUZZ = """
import copy, json, random, struct, sys
from schemas import catalog, codec
sys.path.insert(0, "")
seed = int(sys.argv[1])
rng = random.Random(seed)
schema = catalog.schema("VmTotals")
hostile = json.loads(sys.stdin.read())
values = [*hostile, "null", "long", "bytes", [], {}, None, 1 << 70, -1, "", "VmTotals", True, 1e308]

def places(node, found):
    if isinstance(node, dict | list):
        for key in node if isinstance(node, dict) else range(len(node)):
            found.append((node, key))
            places(node[key], found)
    return found

for number in range(600):
    definition = copy.deepcopy(schema.definition)
    for _ in range(rng.randint(1, 3)):
        node, key = rng.choice(places(definition, []))
        node[key] = copy.deepcopy(rng.choice(values))
    decoder = codec.Decoder(schema, lambda _: definition)
    for _ in range(3):
        huge = b"\\xfe\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x7f"
        body = rng.choice([rng.randbytes(rng.randint(1, 300)), huge * 9, b"\\x02" * 90])
        try:
            decoder.decode(struct.pack(">bI", 0, 7) + body)
        except codec.DecodeError:
            pass
print("through")
"""


def test_no_mutated_schema_makes_a_decoder_hang_or_crash():
    seed = random.randrange(1 << 30)
    values = json.dumps(list(HOSTILE.values()))
    run = [sys.executable, "-c", FUZZ, str(seed)]
    done = subprocess.run(run, input=values, capture_output=True, text=True, timeout=120, check=False)

    assert (0, "through\n") == (done.returncode, done.stdout), (seed, done.stderr[-2000:])


def test_the_values_of_an_additional_field_are_read_and_left_out():
    definition = record_of({"type": "array", "items": "long"})
    newer = catalog.Schema("VmTotals", catalog.fingerprint_id(definition), definition, definition)
    record = make_record("VmTotals")
    value = codec.encode(newer, record | {"x": [1, 2]})

    assert record == codec.Decoder(SCHEMA, {newer.id: definition}.get).decode(value)
