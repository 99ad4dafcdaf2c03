"""The wire format: whole records come back, anything else has a reason."""

import contextlib
import copy
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalog, codec
from schemas.testing import make_raw_record, make_record

SCHEMA = catalog.schema("VmTotals")
RECORD = make_record("VmTotals", host="h", vms=[make_record("VmTotal", name="größe", net_rxbytes=2**63 - 1)])
BYTES = codec.encode(SCHEMA, RECORD)
FOREIGN = codec.encode(catalog.schema("HostSample"), make_raw_record("HostSample"))


@pytest.mark.parametrize("name", catalog.schema_names())
def test_a_record_of_every_type_comes_back(name):
    record = make_record(name)

    assert record == codec.Decoder(catalog.schema(name)).decode(codec.encode(catalog.schema(name), record))


def test_the_frame_is_magic_0_and_the_schema_id():
    assert (0, SCHEMA.id) == struct.unpack_from(">bI", BYTES)


@pytest.fixture
def registry_id():
    """An id of a schema registry, used by this process during a test."""
    codec.use_registry_ids({SCHEMA.id: 7})
    yield 7
    codec.use_registry_ids({SCHEMA.id: SCHEMA.id})


def test_a_registrys_id_is_written_and_read_like_our_own(registry_id):
    value = codec.encode(SCHEMA, RECORD)

    assert (0, registry_id) == struct.unpack_from(">bI", value)
    assert BYTES[5:] == value[5:]
    assert RECORD == codec.Decoder(SCHEMA, {registry_id: SCHEMA.definition}.get).decode(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(None, "empty", id="a tombstone"),
        pytest.param(b"", "empty", id="no bytes"),
        pytest.param(b"\0\0", "not-framed", id="shorter than a frame"),
        pytest.param(b"plain text", "not-framed", id="not our magic"),
        pytest.param(b"\0\0\0\0\7more", "unknown-schema", id="an id nobody knows"),
        pytest.param(FOREIGN, "foreign-schema", id="another type"),
        pytest.param(BYTES[:-1], "truncated", id="a byte short"),
        pytest.param(BYTES + b"x", "truncated", id="a byte too many"),
    ],
)
def test_what_is_not_a_record_has_a_reason(value, reason):
    with pytest.raises(codec.DecodeError) as caught:
        codec.Decoder(SCHEMA).decode(value)

    assert reason == caught.value.reason


@given(st.binary(max_size=200))
def test_random_bytes_behind_a_right_frame_never_raise_anything_else(noise):
    with contextlib.suppress(codec.DecodeError):
        codec.Decoder(SCHEMA).decode(BYTES[:5] + noise)


@given(st.integers(0, len(BYTES) - 1), st.integers(0, 255))
def test_a_flipped_byte_never_raises_anything_else(at, value):
    with contextlib.suppress(codec.DecodeError):
        codec.Decoder(SCHEMA).decode(BYTES[:at] + bytes([value]) + BYTES[at + 1 :])


def test_a_record_that_does_not_fit_is_refused_by_name():
    with pytest.raises(ValueError, match="not a VmTotals"):
        codec.encode(SCHEMA, RECORD | {"host": None})


def older():
    """VmTotals as it might have been before labels."""
    definition = copy.deepcopy(SCHEMA.definition)
    definition["fields"] = [field for field in definition["fields"] if field["name"] != "labels"]
    return catalog.Schema("VmTotals", catalog.fingerprint_id(definition), definition, definition)


def test_a_record_of_another_version_is_read_by_its_writers_schema():
    old = older()
    value = codec.encode(old, {name: each for name, each in RECORD.items() if name != "labels"})
    asked = []
    decoder = codec.Decoder(SCHEMA, lambda number: asked.append(number) or old.definition)

    assert RECORD == decoder.decode(value) == decoder.decode(value)
    assert [old.id] == asked
