"""The compiled writers write what fastavro writes, and leave to it what they do not."""

from datetime import UTC, datetime
from io import BytesIO

import pytest
from fastavro import schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import catalog, codec
from schemas.avro import writer
from schemas.testing import make_record

COMPILED = [
    name for name in catalog.schema_names() if writer.compile_writer(catalog.schema(name).definition) is not None
]
PLAIN = {
    "string": st.text(max_size=8), "long": st.integers(-(2**63), 2**63 - 1) | st.integers(-200, 200),
    "double": st.floats(), "boolean": st.booleans(), "bytes": st.binary(max_size=8),
}  # fmt: skip
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def values(avro, named):  # noqa: PLR0911  one return per Avro type
    """Whatever fits a schema."""
    if isinstance(avro, list):
        return st.one_of([st.none() if each == "null" else values(each, named) for each in avro])
    if isinstance(avro, str):
        return PLAIN[avro] if avro in PLAIN else named[avro]
    match avro:
        case {"logicalType": _}:
            return TIMES
        case {"type": "array"}:
            return st.lists(values(avro["items"], named), max_size=3)
        case {"type": "map"}:
            return st.dictionaries(st.text(max_size=3), values(avro["values"], named), max_size=2)
        case {"type": "enum"}:
            named[avro["name"]] = st.sampled_from(avro["symbols"])
        case {"type": "record"}:
            fields = {field["name"]: values(field["type"], named) for field in avro["fields"]}
            named[avro["name"]] = st.fixed_dictionaries(fields)
        case _:
            return values(avro["type"], named)
    return named[avro["name"]]


def by_fastavro(schema, record):
    buffer = BytesIO()
    schemaless_writer(buffer, schema.parsed, record)
    return buffer.getvalue()


def test_nearly_every_record_type_has_a_compiled_writer():
    assert {"AppSample"} >= set(catalog.schema_names()) - set(COMPILED)


@pytest.mark.parametrize("name", COMPILED)
def test_the_bytes_are_fastavros(name):
    schema = catalog.schema(name)
    write = writer.compile_writer(schema.definition)

    @settings(max_examples=15)
    @given(values(schema.definition, {}))
    def check(record):
        assert by_fastavro(schema, record) == write(record)

    check()


@given(st.lists(st.none() | st.floats(), max_size=12))
def test_a_run_of_doubles_is_the_same_whatever_is_null(found):
    one_by_one = b"".join(b"\0" if value is None else b"\2" + writer.double(value) for value in found)

    assert one_by_one == writer.nullable_doubles(tuple(found))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"vms": [make_record("VmTotal", net_rxbytes=2**63)]}, id="a number beyond 64 bits"),
        pytest.param({"vms": [make_record("VmTotal", net_rxbytes="7")]}, id="a text for a number"),
        pytest.param({"vms": [make_record("VmTotal", net_rxbytes=0.5)]}, id="half a count"),
        pytest.param({"host": None}, id="no text"),
        pytest.param({"observed_at": "now"}, id="no time"),
        pytest.param({"vms": None}, id="no list"),
    ],
)
def test_what_does_not_fit_is_refused(change):
    with pytest.raises(ValueError, match="not a VmTotals"):
        codec.encode(catalog.schema("VmTotals"), make_record("VmTotals") | change)


def test_a_field_left_out_has_its_default():
    schema, record = catalog.schema("VmTotals"), make_record("VmTotals")
    del record["labels"]

    assert {} == codec.Decoder(schema).decode(codec.encode(schema, record))["labels"]
