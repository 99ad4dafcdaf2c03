"""The audit: recounts raw, derived and stored data from the topics and files themselves. Reads only.

The pipeline may run meanwhile. What is stored and what is stepped is noted first, then the ends of the derived topics,
then those of the others: whatever is found was made of something that is read, and what is not there yet is pending.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from processors.alerting import rule_topic
from processors.engine.join import Joint
from processors.engine.partition import Encoded, Partition
from processors.engine.restore import at
from processors.engine.step import Join
from processors.engine.worker import ProcessorSettings
from processors.registry import joined, mounted
from rackstream.audit.counters import Facts, Series, Tally
from rackstream.dead_letters import store as letters
from rackstream.stored import files as history
from rackstream.topics.lag import positions
from runtime import kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec
from sinks import datasets
from sinks.files.coverage import Coverage
from sinks.files.manifest import Entry, read_manifest
from sinks.files.retention import kept_since
from sinks.settings import files_root


@dataclass
class Counts:
    """What an audit counts; `lost` and `twice` must be 0."""

    lost: int = 0
    twice: int = 0
    late: int = 0
    wrong: int = 0
    invented: int = 0
    gaps: int = 0
    """Raw records that a producer numbered and could not hand over, and said so."""
    republished: int = 0
    """Records on a topic more than once under one identity."""
    pending: int = 0
    """Records not stored yet, and facts not derived yet."""

    def add(self, tally: Tally) -> None:
        """Takes a comparison of stored or derived facts in."""
        self.lost += tally.lost
        self.wrong += tally.wrong
        self.invented += tally.invented
        self.pending += tally.pending


@dataclass
class Finding:
    """The result, as `rackstream demo --json` prints it."""

    topics: dict[str, int] = field(default_factory=dict)
    datasets: dict[str, int] = field(default_factory=dict)
    alerts: dict[str, int] = field(default_factory=lambda: {"raised": 0, "cleared": 0})
    raised: dict[str, int] = field(default_factory=dict)
    """Alerts raised, as rule and host."""
    dead_letters: int = 0
    holes: list[str] = field(default_factory=list)
    """What retention deleted unread, as the dead letters tell: not lost without a word."""
    false_alerts: int = 0
    """Transitions of alerts, on the topic or stored, that the rules do not lead to, or lead to with another value."""
    audit: Counts = field(default_factory=Counts)
    examples: list[str] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether nothing is lost, stored twice, wrong or invented."""
        return not (self.audit.lost or self.audit.twice or self.audit.wrong or self.audit.invented)

    def as_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def as_text(self) -> str:
        """Tables for people."""
        lines = [f"{'topic':34} records"] + [f"{name:34} {count:>7,}" for name, count in self.topics.items()]
        lines += ["", f"{'dataset':34}    rows"] + [f"{name:34} {count:>7,}" for name, count in self.datasets.items()]
        lines += ["", f"alerts  {self.alerts['raised']} raised, {self.alerts['cleared']} cleared"]
        lines += [f"dead letters  {self.dead_letters}", *(f"  deleted unread: {hole}" for hole in self.holes)]
        lines += ["audit  " + ", ".join(f"{count} {name}" for name, count in asdict(self.audit).items())]
        return "\n".join([*lines, *(f"  {example}" for example in self.examples)])


class _Read(NamedTuple):
    """One record as it is on its topic."""

    number: int
    offset: int
    record: dict[str, Any]
    appended_ms: int


class Audit:
    """One audit of everything on the topics now. Each topic is read once, inputs of a join twice; nothing is kept."""

    def __init__(self, settings: KafkaSettings, *, files: Path | None = None) -> None:
        self._settings = settings
        self._files = files or files_root(settings)
        self._finding = Finding()
        self._entries: list[Entry] = []
        """What is stored."""
        self._coverage = Coverage(())
        self._stepped: dict[str, dict[int, int]] = {}
        """Input of steps → up to where each partition is stepped."""
        self._spans: dict[str, dict[int, kafka.Span]] = {}
        self._raised: Counter[str] = Counter()

    def run(self) -> Finding:
        """Reads, recounts and compares."""
        catalog = self._settings.catalog
        self._note()
        with Facts() as facts:
            for alias in catalog.topics:
                self._topic(alias, facts)
            for join in joined():
                self._join(join, facts)
            self._derived(facts)
            self._stored(facts)
        self._finding.raised = dict(sorted(self._raised.items()))
        open_letters = letters.read(self._settings)
        self._finding.dead_letters = len(open_letters)
        self._finding.holes = [
            f"{letter.record['stage']}, {letter.record['topic']}/{letter.record['partition']}: {letter.record['detail']}"  # noqa: E501
            for letter in open_letters
            if letter.record["reason"] == "retention"
        ]
        return self._finding

    def _note(self) -> None:
        """Where everything stands, against the stream."""
        topics, made = self._settings.catalog, _made()
        self._entries = list(read_manifest(self._files))
        self._coverage = Coverage(self._entries)
        group = ProcessorSettings.read().group
        for alias in {alias for sources in made.values() for alias in sources}:
            known = positions(self._settings, group, topics[alias].name)
            # Where nobody ever stepped anything, what is missing is lost.
            self._stepped[alias] = {at: end if done is None else done for at, (done, (_, end)) in known.items()}
        for alias in sorted(topics.topics, key=lambda alias: alias not in made):
            self._spans[alias] = kafka.watermarks(self._settings, topics[alias].name)

    def _from_start(self, alias: str) -> bool:
        """Whether a topic still holds its first record."""
        return all(first == 0 for first, _ in self._spans[alias].values())

    def _read(self, alias: str, numbers: Iterable[int] | None = None) -> Iterator[_Read]:
        """The records of one topic, or of some of its partitions. Undecodable bytes are left out."""
        topic = self._settings.catalog[alias]
        spans = {number: self._spans[alias][number] for number in numbers or self._spans[alias]}
        decode = json.loads if topic.schema == "json" else decoder(self._settings, alias).decode
        for message in kafka.read(self._settings, topic.name, spans):
            if numbers is None:
                self._finding.topics[topic.name] += 1
            try:
                record = decode(message.value()) if message.value() else None
            except (codec.Undecodable, ValueError):
                continue
            if record is not None:
                yield _Read(message.partition(), message.offset(), record, message.timestamp()[1])

    def _topic(self, alias: str, facts: Facts) -> None:
        """Reads one topic: what it holds, what has to be made of it, and which rows it must have led to."""
        topic, counts = self._settings.catalog[alias], self._finding.audit
        self._finding.topics[topic.name] = 0
        names = [name for name in topic.identity if name not in ("epoch", "sequence")]
        series: dict[tuple[str, ...], Series] | None = {} if alias.startswith("raw-") else None
        stepping = self._stepping(alias, facts)
        storing = self._storing(alias, facts)
        made = alias in _made()
        for read in self._read(alias):
            if series is not None:
                series.setdefault(tuple(read.record[name] for name in names), Series()).see(read.record)
            if made:
                facts.find(_derived(alias), topic.identity_of(read.record), read.record)
            if alias == "alerts" and read.record["transition"] in self._finding.alerts:
                self._finding.alerts[read.record["transition"]] += 1
                if read.record["transition"] == "raised":
                    self._raised[f"{read.record['rule']} {read.record['host']}"] += 1
            stepping(read)
            storing(read)
        for name, each in (series or {}).items():
            lost, named = each.gaps(from_start=self._from_start(alias))
            counts.lost += lost
            counts.gaps += named
            counts.late += each.late
            counts.republished += each.twice
            if lost:
                self._finding.examples.append(f"raw {alias} {' '.join(name)}: {lost} sequences missing")
            if each.late:
                self._finding.examples.append(f"raw {alias} {' '.join(name)}: {each.late} late")

    def _stepping(self, alias: str, facts: Facts) -> Callable[[_Read], None]:
        """Steps the raw records again, by the rules of then: what must be on the derived topics."""
        mounts = [step for step in mounted() if step.input == alias]
        packs = rule_topic.read(self._settings) if mounts else None
        partitions: dict[int, Partition] = {}

        def step(read: _Read) -> None:
            if packs is None:
                return
            partition = partitions.get(read.number)
            if partition is None:
                partition = partitions[read.number] = Partition(self._settings.catalog, mounts)
                partition.packs = packs
            stepped = self._is_stepped(alias, read)
            for output in partition.apply(read.record, appended_at=at(read.appended_ms)).outputs:
                self._expect(output, facts, yet=stepped)

        return step

    def _join(self, join: Join, facts: Facts) -> None:
        """What a join makes of its inputs, in the order in which they were appended."""
        for number in self._spans[join.inputs[0]]:
            joint, stepped = Joint(self._settings.catalog, join), True
            sides = (self._side(source, number) for source in join.inputs)
            for source, read in heapq.merge(*sides, key=lambda each: each[1].appended_ms):
                stepped = stepped and self._is_stepped(source, read)
                outputs = [each for alias in join.inputs for each in joint.quiet(alias, read.appended_ms - 1)]
                for output in outputs + joint.take(source, read.offset, read.record, read.appended_ms):
                    self._expect(output, facts, yet=stepped)

    def _side(self, alias: str, number: int) -> Iterator[tuple[str, _Read]]:
        return ((alias, read) for read in self._read(alias, [number]))

    def _is_stepped(self, alias: str, read: _Read) -> bool:
        return read.offset < self._stepped[alias].get(read.number, 0)

    def _expect(self, output: Encoded, facts: Facts, *, yet: bool) -> None:
        if not output.is_memory:
            identity = self._settings.catalog[output.alias].identity_of(output.record)
            facts.expect(_derived(output.alias), identity, _wire(output.value, output.alias), yet=yet)

    def _derived(self, facts: Facts) -> None:
        """Compares what must be on the derived topics with what is."""
        for alias, sources in _made().items():
            tally = facts.tally(_derived(alias), complete=all(map(self._from_start, sources)))
            self._finding.audit.add(tally)
            self._finding.audit.republished += tally.twice
            if alias == "alerts":
                self._finding.false_alerts = tally.wrong + tally.invented
            self._finding.examples += [f"derived {alias} {example}" for example in tally.examples]

    def _storing(self, alias: str, facts: Facts) -> Callable[[_Read], None]:
        """Expands the records of a topic that are stored into rows: what must be in the files."""
        name, mine = self._settings.catalog[alias].name, datasets.of(alias)
        since = kept_since(self._files)  # what retention deleted is not lost

        def store(read: _Read) -> None:
            if not mine:
                return
            if not self._coverage.holds((name, read.number), read.offset, read.record):
                self._finding.audit.pending += 1
                return
            for dataset in mine:
                for row in dataset.rows(read.record):
                    if since is None or row[0] >= since:
                        facts.expect(_stored(dataset.name), dataset.identity(row), row)

        return store

    def _stored(self, facts: Facts) -> None:
        """Compares the rows that must be in the files with those that are."""
        since = kept_since(self._files)
        for dataset in datasets.ALL:
            kind = _stored(dataset.name)
            for row in history.rows(self._files, dataset, self._entries):
                if since is None or row[0] >= since:
                    facts.find(kind, dataset.identity(row), row)
            if rows := facts.found(kind):
                self._finding.datasets[dataset.name] = rows
            whole = self._from_start(dataset.alias)
            whole = whole and "compact" not in self._settings.catalog[dataset.alias].cleanup
            tally = facts.tally(kind, complete=whole)
            self._finding.audit.add(tally)
            self._finding.audit.twice += tally.twice
            if dataset.alias == "alerts":
                self._finding.false_alerts += tally.wrong + tally.invented
            self._finding.examples += [f"stored {dataset.name} {example}" for example in tally.examples]


def _made() -> dict[str, set[str]]:
    """What processors make: alias → those it is made of."""
    sources: dict[str, set[str]] = {}
    for step in mounted():
        for alias in step.outputs:
            sources.setdefault(alias, set()).add(step.input)
    return sources | {alias: set(join.inputs) for join in joined() for alias in join.outputs}


def _derived(alias: str) -> str:
    return f"derived {alias}"


def _stored(dataset: str) -> str:
    return f"stored {dataset}"


def _wire(value: bytes, alias: str) -> dict[str, Any]:
    """A record as a reader gets it: through the codec, with defaults filled in and times cut to microseconds."""
    from schemas import catalog

    return codec.Decoder(catalog.schema(catalog.load()[alias].schema)).decode(value)
