"""Deduplication of the records of a partition by their identity. Pure.

A producer that is killed while Kafka accepts its spool, or that gets no answer, sends again what it had not marked as
delivered: the record is then on its topic twice, at two offsets. Neither offsets nor time limit how far apart the two
are, for other producers write in between, and the producer may be restarted days later. But the records of its own
series are limited: it can send again only what was in flight at once (`producers.publishing.spooler.WINDOW`), and in
between its series gains only the epochs of its restarts. So the sequences stored of each series are remembered, as
ranges. A sequence that is in none of them is stored, whatever came before it.

Forgotten records would be stored again, should they come: of a series, all epochs but the newest `MAX_EPOCHS`; of an
epoch, all but the highest `MAX_RANGES` ranges; of a partition, all but the `MAX_SERIES` series (up to twice as many)
that were active last. A host has about six series, one per source and category.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.catalog import Topic
from sinks.files.int_ranges import IntRanges
from sinks.sink import AnyRecord, Json

Series = tuple[str, ...]
RecordIdentity = tuple[Series, str, int]
"""Series of a record, its epoch (empty if the topic has none), and its number within them."""
IdentityReader = Callable[[AnyRecord], RecordIdentity]
MAX_EPOCHS: Final = 8
MAX_RANGES: Final = 32
MAX_SERIES: Final = 50_000
UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def identity_reader(topic: Topic) -> IdentityReader | None:
    """Returns a function that reads the identity of a topic's records.

    The number is the last field of the topic's identity: a sequence, a revision or a time. Returns None for topics of
    states, which may repeat: their identity has no number.
    """
    *fields, number_field = topic.identity
    if number_field not in ("sequence", "revision", "minute"):
        return None
    names = tuple(field for field in fields if field != "epoch")
    has_epoch = "epoch" in fields

    def read(record: AnyRecord) -> RecordIdentity:
        number = record[number_field]
        if isinstance(number, datetime):
            number = (number - UNIX_EPOCH) // timedelta(microseconds=1)
        return tuple([record[name] for name in names]), record["epoch"] if has_epoch else "", number

    return read


class _Epoch(IntRanges):
    """Stored numbers of one epoch."""

    __slots__ = ("name",)

    def __init__(self, name: str, bounds: Iterable[int] = ()) -> None:
        super().__init__(bounds)
        self.name = name


class StoredIdentities:
    """Identities of the stored records of one partition."""

    def __init__(self) -> None:
        self._newer: dict[Series, tuple[_Epoch, ...]] = {}
        self._older: dict[Series, tuple[_Epoch, ...]] = {}
        self._interned: dict[str, str] = {}
        """One object per text: each decoded record brings its own copies."""

    def __contains__(self, identity: RecordIdentity) -> bool:
        series, name, number = identity
        return any(number in epoch for epoch in self._epochs(series) if epoch.name == name)

    def add(self, identity: RecordIdentity) -> None:
        """Marks a record as stored."""
        series, name, number = identity
        epochs = self._epochs(series)
        for epoch in epochs:
            if epoch.name == name:
                break
        else:
            epoch = self._add_epoch(series, epochs, _Epoch(self._intern(name)))
        epoch.add(number, number)
        epoch.keep_highest(MAX_RANGES)

    def _add_epoch(self, series: Series, epochs: tuple[_Epoch, ...], epoch: _Epoch) -> _Epoch:
        self._newer[series if epochs else tuple(map(self._intern, series))] = (*epochs, epoch)[-MAX_EPOCHS:]
        if len(self._newer) > MAX_SERIES:
            self._older, self._newer, self._interned = self._newer, {}, {}
        return epoch

    def _epochs(self, series: Series) -> tuple[_Epoch, ...]:
        epochs = self._newer.get(series)
        if epochs is None:
            epochs = self._older.pop(series, None)
            if epochs is None:
                return ()
            self._newer[series] = epochs
        return epochs

    def _intern(self, text: str) -> str:
        return self._interned.setdefault(text, text)

    def dump(self) -> Iterator[list[Json]]:
        """Yields each series in a form that JSON can represent, the most recently active last."""
        for generation in (self._older, self._newer):
            for series, epochs in generation.items():
                yield [list(series), [[epoch.name, list(epoch.bounds)] for epoch in epochs]]

    @classmethod
    def load(cls, dumped: Iterable[Json]) -> StoredIdentities:
        """Restores what `dump` returned.

        Raises:
            TypeError, ValueError: It is something else.
        """
        identities = cls()
        for names, epochs in dumped:
            series = tuple(map(str, names))
            for name, bounds in epochs:
                epoch = _Epoch(identities._intern(str(name)), map(int, bounds))
                identities._add_epoch(series, identities._epochs(series), epoch)
        return identities


class NewRecords:
    """Selects the records of a batch that are not stored yet. They count as stored once `commit` is called."""

    def __init__(self, stored: StoredIdentities, read: IdentityReader) -> None:
        self._stored, self._read = stored, read
        self._added: dict[RecordIdentity, None] = {}

    def add(self, record: AnyRecord) -> bool:
        """Adds a record; returns False if it is stored or was added before."""
        identity = self._read(record)
        if identity in self._added or identity in self._stored:
            return False
        self._added[identity] = None
        return True

    def discard(self, record: AnyRecord) -> None:
        """Removes an added record, which then will not count as stored."""
        self._added.pop(self._read(record), None)

    def commit(self) -> None:
        """Marks the added records as stored."""
        for identity in self._added:
            self._stored.add(identity)
