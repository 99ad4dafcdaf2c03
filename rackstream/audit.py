"""The audit: recounts raw, derived and stored data from the topics and files themselves. Reads only."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from processors import rulebook
from processors.drive import Partition
from processors.join import Joint
from processors.mounts import joined, mounted
from processors.restore import at
from processors.steps import Join, Step
from rackstream import history, letters
from rackstream.recount import Facts, Series, Tally, collect, compare
from runtime import kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec
from sinks import datasets
from sinks.retention import kept_since


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
    """Records not stored yet."""

    def add(self, tally: Tally) -> None:
        """Takes a comparison of stored or derived facts in."""
        self.lost += tally.lost
        self.wrong += tally.wrong
        self.invented += tally.invented


@dataclass
class Finding:
    """The result, as `rackstream demo --json` prints it."""

    topics: dict[str, int] = field(default_factory=dict)
    datasets: dict[str, int] = field(default_factory=dict)
    alerts: dict[str, int] = field(default_factory=lambda: {"raised": 0, "cleared": 0})
    raised: dict[str, int] = field(default_factory=dict)
    """Alerts raised, as rule and host."""
    dead_letters: int = 0
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
        lines += [f"dead letters  {self.dead_letters}"]
        lines += ["audit  " + ", ".join(f"{count} {name}" for name, count in asdict(self.audit).items())]
        return "\n".join([*lines, *(f"  {example}" for example in self.examples)])


class _Read(NamedTuple):
    """One record as it is on its topic."""

    number: int
    offset: int
    record: dict[str, Any]
    appended_ms: int


class Audit:
    """One audit of everything on the topics now."""

    def __init__(self, settings: KafkaSettings, *, files: Path | None = None) -> None:
        self._settings = settings
        self._files = files or history.root(settings)
        self._finding = Finding()
        self._records: dict[str, list[_Read]] = {}
        self._from_start: dict[str, bool] = {}

    def run(self) -> Finding:
        """Reads, recounts and compares."""
        for alias in self._settings.catalog.topics:
            self._records[alias] = self._read(alias)
        for alias in [alias for alias in self._records if alias.startswith("raw-")]:
            self._raw(alias)
        self._derived()
        self._stored()
        transitions = {identity for identity, _ in self._identified("alerts")}
        by_kind = collect((record["transition"], record) for _, _, record, _ in self._records["alerts"])
        self._finding.alerts = {kind: len(by_kind.get(kind, ())) for kind in ("raised", "cleared")}
        raised = sorted(f"{record['rule']} {record['host']}" for record in by_kind.get("raised", ()))
        self._finding.raised = dict(Counter(raised))
        self._finding.audit.republished += len(self._records["alerts"]) - len(transitions)
        self._finding.dead_letters = len(letters.read(self._settings))
        return self._finding

    def _read(self, alias: str) -> list[_Read]:
        """The records of one topic; counts it. Undecodable bytes are counted but not returned."""
        topic = self._settings.catalog[alias]
        spans = kafka.watermarks(self._settings, topic.name)
        self._from_start[alias] = all(first == 0 for first, _ in spans.values())
        decode = json.loads if topic.schema == "json" else decoder(self._settings, alias).decode
        found = []
        count = 0
        for message in kafka.read(self._settings, topic.name, spans):
            count += 1
            try:
                record = decode(message.value()) if message.value() else None
            except (codec.Undecodable, ValueError):
                continue
            if record is not None:
                found.append(_Read(message.partition(), message.offset(), record, message.timestamp()[1]))
        self._finding.topics[topic.name] = count
        return found

    def _identified(self, alias: str) -> Iterator[tuple[Any, dict[str, Any]]]:
        topic = self._settings.catalog[alias]
        return ((topic.identity_of(record), record) for _, _, record, _ in self._records[alias])

    def _raw(self, alias: str) -> None:
        """Sequences: what is missing, late, or on the topic twice."""
        counts = self._finding.audit
        names = [name for name in self._settings.catalog[alias].identity if name not in ("epoch", "sequence")]
        series: dict[tuple[str, ...], Series] = {}
        for _, _, record, _ in self._records[alias]:
            series.setdefault(tuple(record[name] for name in names), Series()).see(record)
        for name, each in series.items():
            lost, named = each.gaps(from_start=self._from_start[alias])
            counts.lost += lost
            counts.gaps += named
            counts.late += each.late
            counts.republished += each.twice
            if lost:
                self._finding.examples.append(f"raw {alias} {' '.join(name)}: {lost} sequences missing")

    def _derived(self) -> None:
        """Steps the raw records again, by the rules of then, and compares with what is on the derived topics."""
        steps: dict[str, list[Step]] = {}
        for step in mounted():
            steps.setdefault(step.input, []).append(step)
        expected: dict[str, Facts] = {alias: {} for step in mounted() for alias in step.outputs}
        packs = rulebook.read(self._settings)
        for source, mounts in steps.items():
            partitions: dict[int, Partition] = {}
            for number, _, record, appended_ms in self._records[source]:
                partition = partitions.setdefault(number, Partition(self._settings.catalog, mounts))
                partition.packs = packs
                for output in partition.apply(record, appended_at=at(appended_ms)).outputs:
                    if not output.is_memory:
                        identity = self._settings.catalog[output.alias].identity_of(output.record)
                        expected[output.alias].setdefault(identity, []).append(_wire(output.value, output.alias))
        sources = {alias: {step.input for step in mounted() if alias in step.outputs} for alias in expected}
        for alias, facts in expected.items():
            self._compare({alias: facts}, complete=all(self._from_start[source] for source in sources[alias]))
        for join in joined():
            self._compare(self._joined(join), complete=all(self._from_start[alias] for alias in join.inputs))

    def _joined(self, join: Join) -> dict[str, Facts]:
        """What a join makes of its inputs, in the order in which they were appended."""
        expected: dict[str, Facts] = {alias: {} for alias in join.outputs}
        joints: dict[int, Joint] = {}
        merged = [(read.appended_ms, alias, read) for alias in join.inputs for read in self._records[alias]]
        for appended_ms, source, read in sorted(merged, key=lambda each: each[0]):
            joint = joints.setdefault(read.number, Joint(self._settings.catalog, join))
            outputs = [each for alias in join.inputs for each in joint.quiet(alias, appended_ms - 1)]
            for output in outputs + joint.take(source, read.offset, read.record, appended_ms):
                identity = self._settings.catalog[output.alias].identity_of(output.record)
                expected[output.alias].setdefault(identity, []).append(_wire(output.value, output.alias))
        return expected

    def _compare(self, expected: dict[str, Facts], *, complete: bool) -> None:
        for alias, facts in expected.items():
            tally = compare(facts, collect(self._identified(alias)), complete=complete)
            self._finding.audit.add(tally)
            self._finding.audit.republished += tally.twice
            self._finding.examples += [f"derived {alias} {example}" for example in tally.examples]

    def _stored(self) -> None:
        """Expands the records of each topic into rows and compares with the rows in the files."""
        coverage, since = history.coverage(self._files), kept_since(self._files)  # what retention deleted is not lost
        held: dict[str, list[dict[str, Any]]] = {}
        for alias in datasets.aliases():
            name, records = self._settings.catalog[alias].name, self._records[alias]
            held[alias] = [record for number, at, record, _ in records if coverage.holds((name, number), at, record)]
            self._finding.audit.pending += len(records) - len(held[alias])
        for dataset in datasets.ALL:
            topic = self._settings.catalog[dataset.alias]
            expected: Facts = {}
            for record in held[dataset.alias]:
                for row in dataset.rows(record):
                    if since is None or row[0] >= since:
                        expected.setdefault(dataset.identity(row), []).append(row)
            rows = [row for row in history.rows(self._files, dataset) if since is None or row[0] >= since]
            if rows:
                self._finding.datasets[dataset.name] = len(rows)
            whole = self._from_start[dataset.alias] and "compact" not in topic.cleanup
            tally = compare(expected, collect((dataset.identity(row), row) for row in rows), complete=whole)
            self._finding.audit.add(tally)
            self._finding.audit.twice += tally.twice
            self._finding.examples += [f"stored {dataset.name} {example}" for example in tally.examples]


def _wire(value: bytes, alias: str) -> dict[str, Any]:
    """A record as a reader gets it: through the codec, with defaults filled in and times cut to microseconds."""
    from schemas import catalog

    return codec.Decoder(catalog.schema(catalog.load()[alias].schema)).decode(value)
