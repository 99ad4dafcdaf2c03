"""Checks that the processors and sinks run, keep up, and reject no records."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final

from processors.engine.worker import ProcessorSettings
from processors.registry import STEPS
from rackstream.dead_letters.store import StoredDeadLetter
from rackstream.doctor.check import CheckResult, duration_text, fail, ok, skipped, warn
from rackstream.doctor.evidence import Evidence
from rackstream.text.units import quantity
from rackstream.topics import lag
from runtime import kafka
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from sinks.registry import SINKS
from sinks.sink import SinkSpec
from sinks.webhook.initial_state import default_partition

LATE_S: Final = 60.0
"""If a record has been waiting for longer than this, its group is behind."""
SAMPLED_PARTITIONS: Final = 3
"""Partitions with the most records waiting whose oldest record is read."""


def check_processors(evidence: Evidence, host: str | None) -> CheckResult:
    """Checks that the processors run and keep up, for a host on its partitions only."""
    name = ProcessorSettings.read().group
    start = "start them: `rackstream processor`, or everything by `rackstream up`"
    if name not in evidence.groups:
        return fail("have never run: nothing is derived, and no alert is raised", start)
    inputs = {step.input for step in STEPS}
    return _check_group(evidence, name, inputs, host, start)


def check_sink(evidence: Evidence, kind: str, host: str | None) -> CheckResult:
    """Checks that the sinks of a kind run and keep up, for a host on its partitions only."""
    spec = SINKS[kind]
    base = spec.group()
    groups = sorted(name for name in evidence.groups if name == base or name.startswith(f"{base}-"))
    if not groups:
        all_sinks = tuple(spec.group() for spec in SINKS.values())
        if spec is next(iter(SINKS.values())) and not any(name.startswith(all_sinks) for name in evidence.groups):
            return fail(
                "no sink has ever run: nothing is stored", "start one: `rackstream sink files`, `rackstream up`"
            )
        if _is_configured(spec):
            return warn("has never run, though it is configured here", f"start it: `rackstream sink {kind}`")
        return skipped("not in use: it has never run")
    start = f"start it: `rackstream sink {kind}`; its log says why it ended"
    results = [_check_group(evidence, name, spec.topics(), host, start) for name in groups]
    return max(results, key=lambda result: ("ok", "warn", "fail").index(result.state))


def _is_configured(spec: SinkSpec) -> bool:
    """True if the environment has settings of a sink with a remote destination, even incomplete."""
    if spec.directory is not None:
        return False
    try:
        return spec.is_configured()
    except Misconfigured:
        return True


def _check_group(
    evidence: Evidence, name: str, aliases: Collection[str], host: str | None, start_advice: str
) -> CheckResult:
    settings = evidence.settings
    topics = {settings.catalog[alias].name for alias in aliases}
    pending = _pending_ranges(settings, name, topics, host)
    pending_count = sum(end - position for position, end in pending.values())
    scope = "" if host is None else " in its partitions"
    oldest_s = _oldest_s(settings, pending) if pending_count else 0.0
    backlog = f"{quantity(pending_count, 'record')} waiting{scope}"
    if pending_count:
        backlog += f", the oldest for {duration_text(oldest_s)}"
    if not evidence.groups[name]:
        return fail(f"{name} is not running; {backlog}", start_advice)
    if oldest_s > LATE_S:
        return warn(
            f"{name} is running but behind: {backlog}",
            "its log says what it waits for; if it is busy, start another one to share the partitions",
        )
    return ok(f"{name} is running; {backlog if pending_count else 'no records waiting' + scope}")


def _pending_ranges(
    settings: KafkaSettings, group: str, topics: Collection[str], host: str | None
) -> dict[tuple[str, int], lag.OffsetRange]:
    """Returns the pending offsets by topic and partition, for a host only of its partitions."""
    topics_by_name = {topic.name: topic for topic in settings.catalog.topics.values()}
    ranges = lag.pending_ranges(settings, group, topics)
    partition_counts = Counter(name for name, _ in ranges)

    def may_hold_host(name: str, partition: int) -> bool:
        topic = topics_by_name[name]
        return host is None or (
            topic.group == "host"
            and topic.key == ("host",)
            and partition == default_partition(host.encode(), partition_counts[name])
        )

    return {
        (name, partition): (position, end)
        for (name, partition), (position, end) in ranges.items()
        if name in topics_by_name and position < end and may_hold_host(name, partition)
    }


def _oldest_s(settings: KafkaSettings, pending: dict[tuple[str, int], lag.OffsetRange]) -> float:
    """Returns the age in seconds of the oldest pending record, sampling the fullest partitions."""
    sampled = sorted(pending.items(), key=lambda item: item[1][0] - item[1][1])[:SAMPLED_PARTITIONS]
    times = [
        message.timestamp()[1] / 1000
        for (topic, partition), (position, _) in sampled
        for message in kafka.read_ranges(settings, topic, {partition: (position, position + 1)}, timeout_s=2)
    ]
    return max(0.0, time.time() - min(times)) if times else 0.0


def check_dead_letters(dead_letters: Iterable[StoredDeadLetter], host: str | None) -> CheckResult:
    """Counts the rejected records by stage and reason, for a host only its own."""
    selected = [dead_letter for dead_letter in dead_letters if host is None or _belongs_to(dead_letter, host)]
    if not selected:
        return ok("none" if host is None else "none of this host")
    counts = Counter((dead_letter.record["stage"], dead_letter.record["reason"]) for dead_letter in selected)
    stage, reason = counts.most_common(1)[0][0]
    summary = ", ".join(f"{number} {reason} by {stage}" for (stage, reason), number in counts.most_common(4))
    newest = max(selected, key=lambda dead_letter: dead_letter.record["failed_at"])
    return warn(
        f"{quantity(len(selected), 'record')} rejected: {summary}; the newest: {newest.record['detail'][:120]}",
        f"`rackstream dead-letters list --stage {stage} --reason {reason}`; fix the cause, then `… retry`",
    )


def _belongs_to(dead_letter: StoredDeadLetter, host: str) -> bool:
    key = dead_letter.record["key"]
    return key is not None and host.encode() in (key, key.partition(b":")[2])
