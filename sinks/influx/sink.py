"""The InfluxDB sink. Lines have deterministic times and tags, so writing a batch again changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from runtime.errors import Reject
from runtime.metrics import LINES_STORED
from sinks import datasets
from sinks.influx import line_protocol_fast
from sinks.influx.client import InfluxClient
from sinks.influx.connector import InfluxConnector
from sinks.influx.line_protocol import LineEncoder

if TYPE_CHECKING:
    from runtime.kafka import OffsetRange
    from sinks.rows import Dataset, RowSource
    from sinks.settings import InfluxSettings
    from sinks.sink import AnyRecord, Batch, Item, Partition

__all__ = ["InfluxConnector", "InfluxSink"]

MAX_QUOTED_BYTES: Final = 300
"""A refused line is quoted up to this length in its dead letter."""


class RecordLines:
    """Converts records into lines. Not thread-safe."""

    def __init__(self) -> None:
        self._writers = {
            alias: [write for dataset in datasets.for_topic(alias) for write in _line_writers(dataset)]
            for alias in datasets.aliases()
        }

    def __call__(self, item: Item) -> list[bytes]:
        """Returns the lines of one record."""
        record = item.record
        return [line for write in self._writers[item.alias] for line in write(record)]


class InfluxSink:
    """Stores rows as lines. Keeps no state: the group's committed offsets count."""

    name = "influx"
    topics = datasets.aliases()

    def __init__(self, settings: InfluxSettings) -> None:
        self._client = InfluxClient(settings)
        self._lines = RecordLines()

    def assign(self, partition: Partition, span: OffsetRange) -> int | None:  # noqa: ARG002  the signature of a sink
        """Returns None: reading resumes from the committed offset."""
        return None

    def revoke(self, partition: Partition) -> None:
        """Does nothing: the sink keeps no state."""

    def close(self) -> None:
        """Closes connections."""
        self._client.close()

    def write(self, batch: Batch) -> None:
        """Stores a batch.

        Raises:
            Retry: The server is unreachable or busy.
            Reject: It refuses lines of some records; all other lines are stored.
            Misconfigured: Token, database or endpoint is wrong.
        """
        lines: list[bytes] = []
        item_indices: list[int] = []
        refused: dict[int, str] = {}
        for index, item in enumerate(batch.items):
            try:
                item_lines = self._lines(item)
            except Exception as error:  # noqa: BLE001  one record must never stop a partition
                refused[index] = f"cannot be converted to lines: {error!r}"
                continue
            lines += item_lines
            item_indices += [index] * len(item_lines)
        refused_lines = self._client.write(lines)
        LINES_STORED.inc(len(lines) - len(refused_lines))
        for number, reason in refused_lines.items():
            quoted = lines[number][:MAX_QUOTED_BYTES].decode(errors="replace")
            refused.setdefault(item_indices[number], f"{reason}; line: {quoted}")
        if refused:
            raise Reject(refused)


def _line_writers(dataset: Dataset) -> Iterator[Callable[[AnyRecord], Iterable[bytes]]]:
    """Yields a function for each part of a dataset that returns the part's lines of a record."""
    encoder = LineEncoder(dataset)
    for part in dataset.parts:
        if line_protocol_fast.is_supported(dataset, part):
            yield line_protocol_fast.FastLineWriter(dataset, part, encoder)
        else:
            yield _row_writer(part, encoder)


def _row_writer(part: RowSource, encode: LineEncoder) -> Callable[[AnyRecord], Iterable[bytes]]:
    return lambda record: [line for row in part.rows(record) if (line := encode(row))]
