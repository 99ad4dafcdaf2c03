"""Which records of a partition are stored, by identity, so that a second copy of one is left out. Pure.

A producer that is killed while Kafka takes its spool, or that gets no answer, sends again what it had not noted as
delivered: a record is on its topic twice, at two offsets. How far apart they are has no bound in offsets or in time,
for what other producers write lies between, and the producer may be started again days later. But it has one in what
its own series have: what it can send again is what was on its way at once (`producers.publishing.spooler.WINDOW`), and
what comes of a series meanwhile are the epochs of the restarts in between. So all of each series is remembered: as
ranges of its sequences. A sequence that is in none of them is stored, whatever came before it.

What is forgotten is stored again, should it come: of a series all epochs but the `EPOCHS` that came last, of an epoch
all but the highest `RANGES`, and of a partition all but the `SERIES`, to twice as many, that came last. A host has some
six series, one per source and category.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from schemas.catalog import Topic
from sinks.files.int_ranges import Ranges

Record = dict[str, Any]
Series = tuple[str, ...]
Fact = tuple[Series, str, int]
"""What a record is: its series, its epoch (empty: the topic knows none), its number."""
Read = Callable[[Record], Fact]
EPOCHS: Final = 8
RANGES: Final = 32
SERIES: Final = 50_000
BEGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)


def reader(topic: Topic) -> Read | None:
    """Reads what a record of a topic is; None: its identity is of a state, which may come as often as it likes.

    The number is the last field of the identity: a sequence, a revision, or a time.
    """
    *fields, number = topic.identity
    if number not in ("sequence", "revision", "minute"):
        return None
    names = tuple(field for field in fields if field != "epoch")
    has_epoch = "epoch" in fields

    def read(record: Record) -> Fact:
        value = record[number]
        if isinstance(value, datetime):
            value = (value - BEGIN) // timedelta(microseconds=1)
        return tuple([record[name] for name in names]), record["epoch"] if has_epoch else "", value

    return read


class _Epoch(Ranges):
    """The numbers of one epoch."""

    __slots__ = ("name",)

    def __init__(self, name: str, bounds: Iterable[int] = ()) -> None:
        super().__init__(bounds)
        self.name = name


class Stored:
    """What is stored of one partition of one topic."""

    def __init__(self) -> None:
        self._newer: dict[Series, tuple[_Epoch, ...]] = {}
        self._older: dict[Series, tuple[_Epoch, ...]] = {}
        self._texts: dict[str, str] = {}
        """Each text once: every record that is decoded brings its own."""

    def __contains__(self, fact: Fact) -> bool:
        series, name, number = fact
        return any(number in each for each in self._epochs(series) if each.name == name)

    def add(self, fact: Fact) -> None:
        """Takes a record in."""
        series, name, number = fact
        epochs = self._epochs(series)
        for epoch in epochs:
            if epoch.name == name:
                break
        else:
            epoch = self._begin(series, epochs, _Epoch(self._text(name)))
        epoch.add(number, number)
        epoch.keep_highest(RANGES)

    def _begin(self, series: Series, epochs: tuple[_Epoch, ...], epoch: _Epoch) -> _Epoch:
        self._newer[series if epochs else tuple(map(self._text, series))] = (*epochs, epoch)[-EPOCHS:]
        if len(self._newer) > SERIES:
            self._older, self._newer, self._texts = self._newer, {}, {}
        return epoch

    def _epochs(self, series: Series) -> tuple[_Epoch, ...]:
        known = self._newer.get(series)
        if known is None:
            known = self._older.pop(series, None)
            if known is None:
                return ()
            self._newer[series] = known
        return known

    def _text(self, text: str) -> str:
        return self._texts.setdefault(text, text)

    def dump(self) -> Iterator[list[Any]]:
        """As JSON takes it, for `load`: a list per series, those that came last at the end."""
        for half in (self._older, self._newer):
            for series, epochs in half.items():
                yield [list(series), [[each.name, list(each.bounds)] for each in epochs]]

    @classmethod
    def load(cls, dumped: Iterable[Any]) -> Stored:
        """From what `dump` gave.

        Raises:
            TypeError, ValueError: it is something else.
        """
        made = cls()
        for names, epochs in dumped:
            series = tuple(map(str, names))
            for name, bounds in epochs:
                made._begin(series, made._epochs(series), _Epoch(made._text(str(name)), map(int, bounds)))
        return made


class Fresh:
    """Picks what is not stored out of some records of one partition. They are stored when `keep` is called."""

    def __init__(self, stored: Stored, read: Read) -> None:
        self._stored, self._read = stored, read
        self._taken: dict[Fact, None] = {}

    def take(self, record: Record) -> bool:
        """Whether a record is new; from then on it is not."""
        fact = self._read(record)
        if fact in self._taken or fact in self._stored:
            return False
        self._taken[fact] = None
        return True

    def leave(self, record: Record) -> None:
        """Has a record that was taken not count as stored."""
        self._taken.pop(self._read(record), None)

    def keep(self) -> None:
        """Those taken are stored."""
        for fact in self._taken:
            self._stored.add(fact)
