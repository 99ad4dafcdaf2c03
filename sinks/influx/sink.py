"""The InfluxDB sink. Lines have deterministic times and tags, so writing a batch again changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from runtime.errors import Reject
from runtime.metrics import LINES_STORED
from sinks import datasets
from sinks.influx import line_protocol_fast
from sinks.influx.client import InfluxClient
from sinks.influx.connector import InfluxConnector
from sinks.influx.line_protocol import Encoder

if TYPE_CHECKING:
    from runtime.kafka import Span
    from sinks.rows import Dataset, Part, Record
    from sinks.settings import InfluxSettings
    from sinks.sink import Batch, Item, Partition

__all__ = ["InfluxConnector", "InfluxSink"]


class Lines:
    """The lines of records. Not for use by two threads at once."""

    def __init__(self) -> None:
        self._writers = {
            alias: [writer for each in datasets.of(alias) for writer in _writers(each)] for alias in datasets.aliases()
        }

    def __call__(self, item: Item) -> list[bytes]:
        """The lines of one record."""
        record = item.record
        return [line for write in self._writers[item.alias] for line in write(record)]


class InfluxSink:
    """Stores rows as lines. Offsets on Kafka are its only memory."""

    name = "influx"
    topics = datasets.aliases()

    def __init__(self, settings: InfluxSettings) -> None:
        self._client = InfluxClient(settings)
        self._lines = Lines()

    def assigned(self, partition: Partition, span: Span) -> int | None:  # noqa: ARG002  the signature of a sink
        """Nothing to prepare."""
        return None

    def released(self, partition: Partition) -> None:
        """Nothing to let go."""

    def close(self) -> None:
        """Lets connections go."""
        self._client.close()

    def write(self, batch: Batch) -> None:
        """Stores a batch.

        Raises:
            Retry: the server is away or busy.
            Reject: it refuses lines of some records; all other lines are stored.
            Misconfigured: token, database or endpoint is wrong.
        """
        lines: list[bytes] = []
        owners: list[int] = []
        refused: dict[int, str] = {}
        for index, item in enumerate(batch.items):
            try:
                made = self._lines(item)
            except Exception as error:  # noqa: BLE001  one record must never stop a partition
                refused[index] = f"no lines can be made of it: {error!r}"
                continue
            lines += made
            owners += [index] * len(made)
        bad = self._client.write(lines)
        LINES_STORED.inc(len(lines) - len(bad))
        for at, why in bad.items():
            refused.setdefault(owners[at], f"{why}; line: {lines[at][:300].decode(errors='replace')}")
        if refused:
            raise Reject(refused)


def _writers(dataset: Dataset) -> Iterator[Callable[[Record], Iterable[bytes]]]:
    """What writes the lines of each part of a dataset."""
    encoder = Encoder(dataset)
    for part in dataset.parts:
        yield (
            line_protocol_fast.Leaves(dataset, part, encoder)
            if line_protocol_fast.fits(dataset, part)
            else _by_rows(part, encoder)
        )


def _by_rows(part: Part, encode: Encoder) -> Callable[[Record], Iterable[bytes]]:
    return lambda record: [line for row in part.rows(record) if (line := encode(row))]
