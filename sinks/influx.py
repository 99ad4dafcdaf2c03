"""The InfluxDB sink. Lines have deterministic times and tags, so writing a batch again changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import Reject
from runtime.metrics import LINES_STORED
from sinks import datasets
from sinks.connector import InfluxConnector
from sinks.influx_client import InfluxClient
from sinks.line import Encoder

if TYPE_CHECKING:
    from runtime.kafka import Span
    from sinks.settings import InfluxSettings
    from sinks.sink import Batch, Item, Partition

__all__ = ["InfluxConnector", "InfluxSink"]


class InfluxSink:
    """Stores rows as lines. Offsets on Kafka are its only memory."""

    name = "influx"
    topics = datasets.aliases()

    def __init__(self, settings: InfluxSettings) -> None:
        self._client = InfluxClient(settings)
        self._encoders = {alias: [(each, Encoder(each)) for each in datasets.of(alias)] for alias in datasets.aliases()}

    def assigned(self, partition: Partition, span: Span) -> int | None:  # noqa: ARG002  the signature of a sink
        """Nothing to prepare."""
        return None

    def released(self, partition: Partition) -> None:
        """Nothing to let go."""

    def close(self) -> None:
        """Lets connections go."""
        self._client.close()

    def lines(self, item: Item) -> list[bytes]:
        """The lines of one record."""
        encoders = self._encoders[item.alias]
        return [line for dataset, write in encoders for row in dataset.rows(item.record) if (line := write(row))]

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
                made = self.lines(item)
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
