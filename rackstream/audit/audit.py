"""Audit: reconciles raw, derived and stored data, read from the topics and files themselves.

It only reads, and the pipeline may be running: manifests and committed offsets are read first, then the ends of the
derived topics, then those of the others. So whatever is found was made from records that are read, and what is missing
but not yet due counts as pending.
"""

from __future__ import annotations

import heapq
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

from processors.alerting import rule_topic
from processors.engine.join import JoinPartition
from processors.engine.partition import EncodedOutput, Partition
from processors.engine.restore import utc_from_ms
from processors.engine.step import AnyJoin
from processors.engine.worker import ProcessorSettings
from processors.registry import JOINS, STEPS
from rackstream.audit.counters import FactSets, RawRecord, Reconciliation, SequenceRanges
from rackstream.audit.legend import legend_lines
from rackstream.dead_letters import store
from rackstream.stored.files import stored_rows
from rackstream.topics.lag import committed_with_ranges
from runtime import kafka
from runtime.errors import Retry
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec
from schemas.records import Alert
from sinks import datasets
from sinks.files.coverage import Coverage
from sinks.files.manifest import ManifestEntry, read_manifest
from sinks.files.retention import kept_since
from sinks.settings import files_root
from sinks.sink import AnyRecord


@dataclass
class AuditCounts:
    """Result counters; `lost` and `twice` must be 0."""

    lost: int = 0
    twice: int = 0
    late: int = 0
    wrong: int = 0
    invented: int = 0
    gaps: int = 0
    """Raw records that a producer numbered but reported as dropped."""
    republished: int = 0
    """Surplus copies of records on a topic."""
    pending: int = 0
    """Records not stored yet, and facts not derived yet."""

    def add(self, result: Reconciliation) -> None:
        """Adds the differences of one comparison."""
        self.lost += result.lost
        self.wrong += result.wrong
        self.invented += result.invented
        self.pending += result.pending


@dataclass
class AuditResult:
    """Result of an audit; `rackstream demo --json` prints the same fields."""

    topics: dict[str, int] = field(default_factory=dict)
    datasets: dict[str, int] = field(default_factory=dict)
    alerts: dict[str, int] = field(default_factory=lambda: {"raised": 0, "cleared": 0})
    raised: dict[str, int] = field(default_factory=dict)
    """Number of alerts raised, by "rule host"."""
    dead_letters: int = 0
    holes: list[str] = field(default_factory=list)
    """Records that retention deleted unread, from the dead letters: missing, but reported."""
    false_alerts: int = 0
    """Alert transitions, on the topic or stored, that the rules do not produce, or produce with other values."""
    audit: AuditCounts = field(default_factory=AuditCounts)
    examples: list[str] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """True if nothing is lost, duplicated, wrong or invented."""
        return not (self.audit.lost or self.audit.twice or self.audit.wrong or self.audit.invented)

    def as_json(self) -> str:
        """Returns one JSON object on one line."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def as_text(self) -> str:
        """Returns tables, followed by a legend of the counters that are not 0."""
        lines = [f"{'topic':34} records"] + [f"{name:34} {count:>7,}" for name, count in self.topics.items()]
        lines += ["", f"{'dataset':34}    rows"] + [f"{name:34} {count:>7,}" for name, count in self.datasets.items()]
        lines += ["", f"alerts  {self.alerts['raised']} raised, {self.alerts['cleared']} cleared"]
        lines += [f"dead letters  {self.dead_letters}", *(f"  deleted unread: {hole}" for hole in self.holes)]
        counters = asdict(self.audit)
        lines += ["audit  " + ", ".join(f"{count} {name}" for name, count in counters.items())]
        lines += legend_lines(counters)
        return "\n".join([*lines, *(f"  {example}" for example in self.examples)])


class _TopicRecord(NamedTuple):
    """A decoded record and its position on the topic."""

    partition: int
    offset: int
    record: AnyRecord
    appended_ms: int


class Audit:
    """Audits everything on the topics now. Reads each topic once, inputs of a join twice."""

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        files: Path | None = None,
        timeout_s: float | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepares an audit.

        Args:
            settings: Topics and data directory.
            files: Directory of the stored files; default: as configured.
            timeout_s: The audit is given up after this time; None: it is not.
            progress: Receives a line before each slow step.
        """
        self._settings = settings
        self._deadline_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._progress = progress
        self._files = files or files_root(settings)
        self._result = AuditResult()
        self._entries: list[ManifestEntry] = []
        """Manifest entries of the stored files."""
        self._coverage = Coverage(())
        self._processed: dict[str, dict[int, int]] = {}
        """Committed offset of the processors, by input topic and partition."""
        self._spans: dict[str, dict[int, kafka.OffsetRange]] = {}
        self._raised: Counter[str] = Counter()

    def run(self) -> AuditResult:
        """Reads everything, counts and compares.

        Raises:
            Retry: It took longer than `timeout_s`.
        """
        catalog = self._settings.catalog
        self._record_offsets()
        with FactSets() as facts:
            for number, alias in enumerate(catalog.topics, 1):
                records = sum(end - first for first, end in self._spans[alias].values())
                if records:
                    self._progress(f"audit: reading {alias}, {records:,} records ({number} of {len(catalog.topics)})")
                self._read_topic(alias, facts)
            for join in JOINS:
                self._progress(f"audit: computing {' and '.join(join.inputs)} joined")
                self._expect_joined(join, facts)
            self._progress("audit: comparing derived records and stored rows")
            self._compare_derived(facts)
            self._compare_stored(facts)
        self._result.raised = dict(sorted(self._raised.items()))
        dead_letters = store.read_open(self._settings)
        self._result.dead_letters = len(dead_letters)
        self._result.holes = [
            f"{record['stage']}, {record['topic']}/{record['partition']}: {record['detail']}"
            for record in (dead_letter.record for dead_letter in dead_letters)
            if record["reason"] == "retention"
        ]
        return self._result

    def _record_offsets(self) -> None:
        """Records manifests, committed offsets and topic ends, in reverse order of the data flow."""
        topics, derived = self._settings.catalog, _derived_sources()
        self._entries = list(read_manifest(self._files))
        self._coverage = Coverage(self._entries)
        group = ProcessorSettings.read().group
        for alias in {alias for sources in derived.values() for alias in sources}:
            offsets = committed_with_ranges(self._settings, group, topics[alias].name)
            # Where no processor ever committed, everything missing is lost.
            self._processed[alias] = {
                number: end if done is None else done for number, (done, (_, end)) in offsets.items()
            }
        for alias in sorted(topics.topics, key=lambda alias: alias not in derived):
            self._spans[alias] = kafka.watermarks(self._settings, topics[alias].name)

    def check_time(self) -> None:
        """Gives up once the time is over.

        Raises:
            Retry: It is.
        """
        if time.monotonic() > self._deadline_s:
            raise Retry(
                f"the audit took longer than {self._timeout_s:g} s and was given up; `rackstream audit` takes its time"
            )

    def _has_first_record(self, alias: str) -> bool:
        """True if a topic still holds its first record."""
        return all(first == 0 for first, _ in self._spans[alias].values())

    def _read(self, alias: str, numbers: Iterable[int] | None = None) -> Iterator[_TopicRecord]:
        """Yields the records of a topic, or of some partitions. Undecodable ones are skipped."""
        topic = self._settings.catalog[alias]
        spans = {number: self._spans[alias][number] for number in numbers or self._spans[alias]}
        decode = json.loads if topic.schema == "json" else decoder(self._settings, alias).decode
        for message in kafka.read_ranges(self._settings, topic.name, spans):
            self.check_time()
            if numbers is None:
                self._result.topics[topic.name] += 1
            try:
                record = decode(message.value()) if message.value() else None
            except (codec.DecodeError, ValueError):
                continue
            if record is not None:
                yield _TopicRecord(message.partition(), message.offset(), record, message.timestamp()[1])

    def _read_topic(self, alias: str, facts: FactSets) -> None:
        """Reads a topic once: counts its records, and adds expected and found facts."""
        topic, counts = self._settings.catalog[alias], self._result.audit
        self._result.topics[topic.name] = 0
        names = [name for name in topic.identity if name not in ("epoch", "sequence")]
        sequences: dict[tuple[str, ...], SequenceRanges] | None = {} if alias.startswith("raw-") else None
        expect_derived = self._derived_expectations(alias, facts)
        expect_rows = self._row_expectations(alias, facts)
        is_derived = alias in _derived_sources()
        for topic_record in self._read(alias):
            if sequences is not None:
                series = tuple(topic_record.record[name] for name in names)
                sequences.setdefault(series, SequenceRanges()).add(cast("RawRecord", topic_record.record))
            if is_derived:
                facts.add_found(_derived_kind(alias), topic.identity_of(topic_record.record), topic_record.record)
            if alias == "alerts":
                self._count_transition(cast("Alert", topic_record.record))
            expect_derived(topic_record)
            expect_rows(topic_record)
        for name, ranges in (sequences or {}).items():
            lost, dropped = ranges.gaps(from_start=self._has_first_record(alias))
            counts.lost += lost
            counts.gaps += dropped
            counts.late += ranges.late
            counts.republished += ranges.twice
            if lost:
                self._result.examples.append(f"raw {alias} {' '.join(name)}: {lost} sequences missing")
            if ranges.late:
                self._result.examples.append(f"raw {alias} {' '.join(name)}: {ranges.late} late")

    def _count_transition(self, alert: Alert) -> None:
        if alert["transition"] in self._result.alerts:
            self._result.alerts[alert["transition"]] += 1
        if alert["transition"] == "raised":
            self._raised[f"{alert['rule']} {alert['host']}"] += 1

    def _derived_expectations(self, alias: str, facts: FactSets) -> Callable[[_TopicRecord], None]:
        """Returns a function that processes a raw record again and expects its outputs.

        The rules are those that were in effect at the time.
        """
        steps = [step for step in STEPS if step.input == alias]
        packs = rule_topic.read_packs(self._settings) if steps else None
        partitions: dict[int, Partition] = {}

        def expect(topic_record: _TopicRecord) -> None:
            if packs is None:
                return
            partition = partitions.get(topic_record.partition)
            if partition is None:
                partition = partitions[topic_record.partition] = Partition(self._settings.catalog, steps)
                partition.packs = packs
            is_due = self._is_processed(alias, topic_record)
            for output in partition.apply(
                topic_record.record, appended_at=utc_from_ms(topic_record.appended_ms)
            ).outputs:
                self._expect_output(output, facts, due=is_due)

        return expect

    def _expect_joined(self, join: AnyJoin, facts: FactSets) -> None:
        """Runs a join over its inputs in order of arrival, and expects its outputs."""
        for number in self._spans[join.inputs[0]]:
            partition, is_due = JoinPartition(self._settings.catalog, join), True
            inputs = (self._tagged_records(source, number) for source in join.inputs)
            for source, topic_record in heapq.merge(*inputs, key=lambda tagged: tagged[1].appended_ms):
                is_due = is_due and self._is_processed(source, topic_record)
                outputs = [
                    output
                    for alias in join.inputs
                    for output in partition.advance_watermark(alias, topic_record.appended_ms - 1)
                ]
                for output in outputs + partition.apply(
                    source, topic_record.offset, topic_record.record, topic_record.appended_ms
                ):
                    self._expect_output(output, facts, due=is_due)

    def _tagged_records(self, alias: str, number: int) -> Iterator[tuple[str, _TopicRecord]]:
        return ((alias, topic_record) for topic_record in self._read(alias, [number]))

    def _is_processed(self, alias: str, topic_record: _TopicRecord) -> bool:
        return topic_record.offset < self._processed[alias].get(topic_record.partition, 0)

    def _expect_output(self, output: EncodedOutput, facts: FactSets, *, due: bool) -> None:
        if not output.is_memory:
            identity = self._settings.catalog[output.alias].identity_of(output.record)
            facts.expect(_derived_kind(output.alias), identity, _as_read(output.value, output.alias), due=due)

    def _compare_derived(self, facts: FactSets) -> None:
        """Compares the expected with the found derived records."""
        for alias, sources in _derived_sources().items():
            self.check_time()
            comparison = facts.reconcile(_derived_kind(alias), complete=all(map(self._has_first_record, sources)))
            self._result.audit.add(comparison)
            self._result.audit.republished += comparison.twice
            if alias == "alerts":
                self._result.false_alerts = comparison.wrong + comparison.invented
            self._result.examples += [f"derived {alias} {example}" for example in comparison.examples]

    def _row_expectations(self, alias: str, facts: FactSets) -> Callable[[_TopicRecord], None]:
        """Returns a function that expects the rows of a record in the files if it is stored."""
        name, topic_datasets = self._settings.catalog[alias].name, datasets.for_topic(alias)
        since = kept_since(self._files)  # rows that retention deleted are not lost

        def expect(topic_record: _TopicRecord) -> None:
            if not topic_datasets:
                return
            if not self._coverage.covers((name, topic_record.partition), topic_record.offset, topic_record.record):
                self._result.audit.pending += 1
                return
            for dataset in topic_datasets:
                for row in dataset.rows(topic_record.record):
                    if since is None or row[0] >= since:
                        facts.expect(_stored_kind(dataset.name), dataset.identity(row), row)

        return expect

    def _compare_stored(self, facts: FactSets) -> None:
        """Compares the expected with the stored rows."""
        since = kept_since(self._files)
        for dataset in datasets.ALL:
            kind = _stored_kind(dataset.name)
            for row in stored_rows(self._files, dataset, self._entries):
                self.check_time()
                if since is None or row[0] >= since:
                    facts.add_found(kind, dataset.identity(row), row)
            if rows := facts.count_found(kind):
                self._result.datasets[dataset.name] = rows
            is_complete = self._has_first_record(dataset.alias)
            is_complete = is_complete and "compact" not in self._settings.catalog[dataset.alias].cleanup
            comparison = facts.reconcile(kind, complete=is_complete)
            self._result.audit.add(comparison)
            self._result.audit.twice += comparison.twice
            if dataset.alias == "alerts":
                self._result.false_alerts += comparison.wrong + comparison.invented
            self._result.examples += [f"stored {dataset.name} {example}" for example in comparison.examples]


def _derived_sources() -> dict[str, set[str]]:
    """Returns the source topics of each derived topic."""
    sources: dict[str, set[str]] = {}
    for step in STEPS:
        for alias in step.outputs:
            sources.setdefault(alias, set()).add(step.input)
    return sources | {alias: set(join.inputs) for join in JOINS for alias in join.outputs}


def _derived_kind(alias: str) -> str:
    return f"derived {alias}"


def _stored_kind(dataset: str) -> str:
    return f"stored {dataset}"


def _as_read(value: bytes, alias: str) -> AnyRecord:
    """Returns a record as a reader decodes it: defaults filled in, times cut to microseconds."""
    from schemas import catalog

    return codec.Decoder(catalog.schema(catalog.load()[alias].schema)).decode(value)
