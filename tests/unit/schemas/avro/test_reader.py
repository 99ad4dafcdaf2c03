"""The compiled readers read what fastavro reads, refuse what it refuses, and leave to it what is unusual."""

import contextlib
import itertools
from io import BytesIO

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import catalog, codec
from schemas.avro import primitives, reader, varint, writer
from schemas.testing import START_TIME, make_record
from tests.unit.schemas.avro.test_writer import by_fastavro, values

COMPILED = [
    name for name in catalog.schema_names() if reader.compile_reader(catalog.schema(name).definition) is not None
]
LONGS = st.integers(-(2**63), 2**63 - 1) | st.integers(-200, 200) | st.integers(2**54, 2**56)


def compiled(definition):
    """A compiled reader that must take all bytes it is given."""
    read = reader.compile_reader(definition)

    def whole(data):
        record, end = read(data, 0)
        if end != len(data):
            raise ValueError("not as long as its bytes")
        return record

    return whole


def fastavros(schema, data):
    """What fastavro makes of the bytes, or None."""
    buffer = BytesIO(data)
    with contextlib.suppress(Exception):  # it raises many types for bytes that are no record
        record = fastavro.schemaless_reader(buffer, schema.parsed, None)
        return record if buffer.tell() == len(data) else None
    return None


def test_nearly_every_record_type_has_a_compiled_reader():
    assert {"AppSample"} >= set(catalog.schema_names()) - set(COMPILED)


@pytest.mark.parametrize("name", COMPILED)
def test_the_values_are_fastavros_in_the_same_order(name):
    schema = catalog.schema(name)
    read = compiled(schema.definition)

    @settings(max_examples=20)
    @given(values(schema.definition, {}))
    def check(record):
        data = by_fastavro(schema, record)

        # repr tells 1 from True, 0.0 from -0.0, and shows NaN and the order of fields.
        assert repr(fastavros(schema, data)) == repr(read(data))

    check()


FULL = {"string": "a", "long": 300, "double": 0.5, "boolean": True, "bytes": b"b"}


def full(avro, named):  # noqa: PLR0911  one return per Avro type
    """A value of which nothing is null or empty."""
    if isinstance(avro, list):
        return full(avro[1], named)
    if isinstance(avro, str):
        return FULL[avro] if avro in FULL else full(named[avro], named)
    if "name" in avro:
        named[avro["name"]] = avro
    match avro:
        case {"logicalType": _}:
            return START_TIME
        case {"type": "array"}:
            return [full(avro["items"], named)]
        case {"type": "map"}:
            return {"k": full(avro["values"], named)}
        case {"type": "enum"}:
            return avro["symbols"][-1]
        case {"type": "record"}:
            return {field["name"]: full(field["type"], named) for field in avro["fields"]}
    return full(avro["type"], named)


@pytest.mark.parametrize("name", COMPILED)
def test_a_changed_byte_is_never_read_otherwise_than_by_fastavro(name):
    schema = catalog.schema(name)
    read = compiled(schema.definition)
    whole = by_fastavro(schema, full(schema.definition, {}))

    assert repr(fastavros(schema, whole)) == repr(read(whole))
    for at, byte in itertools.product(range(len(whole)), (0, 1, 2, 3, 4, 5, 0x7F, 0x80, 0xFF)):
        changed = whole[:at] + bytes([byte]) + whole[at + 1 :]
        record = refused = object()
        with contextlib.suppress(Exception):
            record = read(changed)
        assert record is refused or repr(fastavros(schema, changed)) == repr(record), (at, byte)


@given(st.lists(st.none() | LONGS, max_size=2 * varint.LANES + 2))
def test_numbers_put_together_at_once_are_the_numbers_written(numbers):
    tokens = [b"" if number is None else writer.long(number) for number in numbers]

    assert numbers == list(varint.longs(tokens))


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(b"\xff" * 9 + b"\x02", id="65 bits"),
        pytest.param(b"\x80" * 10 + b"\x01", id="eleven bytes"),
        pytest.param(b"\x80", id="no end"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_is_no_number_of_64_bits_is_not_read(token):
    with pytest.raises((ValueError, OverflowError)):
        varint.long(token, 0)


@given(st.lists(st.none() | st.floats(), min_size=1, max_size=12))
def test_a_run_of_doubles_is_read_whatever_is_null(found):
    data = writer.nullable_doubles(tuple(found))
    values, end = primitives.nullable_doubles(len(found))(data, 0)

    assert (repr(found), len(data)) == (repr(list(values)), end)


@pytest.mark.parametrize("length", [63, 64, 8191, 8192])
def test_a_text_of_any_length_is_read(length):
    schema = catalog.schema("VmTotals")
    record = make_record("VmTotals", host="x" * length, vms=[make_record("VmTotal", name="ß" * length)])

    assert record == compiled(schema.definition)(by_fastavro(schema, record))


RICH = make_record(
    "LibvirtSample", host="größe", labels={"rack": "r1"}, previous_epoch="e",
    errors=[make_record("PollError", whole=True)],
    domains=[
        make_record("Domain", name="one", cputime=2**62, state=-1, title="t",
             nics=[make_record("DomainNic", rxbytes=5), make_record("DomainNic", mac="m")]),
        make_record("Domain", stale=True, disks=[make_record("DomainDisk", device="vda", errors=-7)]),
    ],
)  # fmt: skip


def test_a_record_cut_anywhere_is_refused():
    schema = catalog.schema("LibvirtSample")
    whole, decoder = codec.encode(schema, RICH), codec.Decoder(schema)

    assert RICH == decoder.decode(whole)
    for end in range(len(whole)):
        with pytest.raises(codec.DecodeError):
            decoder.decode(whole[:end])


def test_blocks_as_other_writers_make_them_are_read():
    schema = catalog.schema("VmPower")
    one = make_record("VmPower", labels={"a": "b", "c": "d"})
    whole = by_fastavro(schema, one)
    pairs = [b"\x02a\x02b", b"\x02c\x02d"]
    at = whole.index(b"\x04" + b"".join(pairs))
    end = at + 1 + len(b"".join(pairs))
    blocks = {
        "several": b"\x02" + pairs[0] + b"\x02" + pairs[1],
        "with their size": b"\x03\x10" + b"".join(pairs),
        "with a long number": b"\x84\x00" + b"".join(pairs),
    }
    for name, block in blocks.items():
        data = codec.HEADER.pack(0, schema.id) + whole[:at] + block + whole[end:]

        assert one == codec.Decoder(schema).decode(data), name
