"""From raw records to sinks: does each group of consumers run, how far is it behind, what did it refuse?"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from processors.engine.worker import ProcessorSettings
from processors.registry import mounted
from rackstream.dead_letters.store import Letter
from rackstream.doctor import stores
from rackstream.doctor.check import Finding, ago, count, fail, ok, skipped, warn
from rackstream.doctor.evidence import Evidence
from rackstream.topics import lag
from runtime import kafka
from runtime.settings import KafkaSettings
from sinks import datasets
from sinks.files import archive_sink
from sinks.run import group
from sinks.webhook.initial_state import partition_of

BEHIND_S: Final = 60.0
"""A record that waits longer is late."""
SAMPLED: Final = 3
"""Partitions with the most waiting whose oldest record is looked at."""
SINKS: Final = ("files", "influx", "archive", "webhook")


def processors(evidence: Evidence, host: str | None) -> Finding:
    """Whether the processors run, and how far they are behind; with `host`, on its partitions."""
    name = ProcessorSettings.read().group
    start = "start them: `rackstream processor`, or everything by `rackstream up`"
    if name not in evidence.groups:
        return fail("have never run: nothing is derived, and no alert is raised", start)
    inputs = {step.input for step in mounted()}
    return _judged(evidence, name, inputs, host, start)


def sink(evidence: Evidence, kind: str, host: str | None) -> Finding:
    """Whether the sinks of a kind run, and how far they are behind."""
    base = group(kind)
    known = sorted(each for each in evidence.groups if each == base or each.startswith(f"{base}-"))
    if not known:
        if kind == SINKS[0] and not any(each.startswith(tuple(map(group, SINKS))) for each in evidence.groups):
            return fail(
                "no sink has ever run: nothing is stored", "start one: `rackstream sink files`, `rackstream up`"
            )
        if kind == "influx" and stores.wants_influx():
            return warn("has never run, though InfluxDB is configured here", "start it: `rackstream sink influx`")
        return skipped("not in use: it has never run")
    topics = {"archive": archive_sink.aliases(), "webhook": ("alerts",)}.get(kind, datasets.aliases())
    start = f"start it: `rackstream sink {kind}`; its log says why it ended"
    found = [_judged(evidence, each, topics, host, start) for each in known]
    return max(found, key=lambda each: ("ok", "warn", "fail").index(each.state))


def _judged(evidence: Evidence, name: str, aliases: Collection[str], host: str | None, start: str) -> Finding:
    settings = evidence.settings
    names = {settings.catalog[alias].name for alias in aliases}
    waiting = _waiting(settings, name, names, host)
    left = sum(end - at for at, end in waiting.values())
    where = "" if host is None else " in its partitions"
    oldest_s = _oldest_s(settings, waiting) if left else 0.0
    behind = f"{count(left, 'record')} waiting{where}" + (f", the oldest for {ago(oldest_s)}" if left else "")
    if not evidence.groups[name]:
        return fail(f"{name} does not run; {behind}", start)
    if oldest_s > BEHIND_S:
        return warn(
            f"{name} runs and is behind: {behind}",
            "its log says what it waits for; if it is busy, start another one beside it to share the partitions",
        )
    return ok(f"{name} runs; {behind if left else 'nothing waits' + where}")


def _waiting(
    settings: KafkaSettings, name: str, topics: Collection[str], host: str | None
) -> dict[tuple[str, int], lag.Stretch]:
    """Topic and partition → what waits there; with `host`, only where its records are."""
    catalog = settings.catalog
    ours = {topic.name: topic for topic in catalog.topics.values()}
    known = lag.waiting(settings, name, topics)
    partitions = Counter(topic for topic, _ in known)
    return {
        (topic, number): span
        for (topic, number), span in known.items()
        if topic in ours
        and span[0] < span[1]
        and (
            host is None
            or (
                ours[topic].group == "host"
                and ours[topic].key == ("host",)
                and number == partition_of(host.encode(), partitions[topic])
            )
        )
    }


def _oldest_s(settings: KafkaSettings, waiting: dict[tuple[str, int], lag.Stretch]) -> float:
    """Seconds since the oldest record arrived that waits, of the partitions with the most of them."""
    most = sorted(waiting.items(), key=lambda each: each[1][0] - each[1][1])[:SAMPLED]
    times = [
        message.timestamp()[1] / 1000
        for (topic, number), (first, _) in most
        for message in kafka.read(settings, topic, {number: (first, first + 1)}, timeout_s=2)
    ]
    return max(0.0, time.time() - min(times)) if times else 0.0


def dead_letters(letters: Iterable[Letter], host: str | None) -> Finding:
    """What was refused, by stage and reason; with `host`, of its records."""
    own = [letter for letter in letters if host is None or _is_of(letter, host)]
    if not own:
        return ok("none" if host is None else "none of it")
    counts = Counter((each.record["stage"], each.record["reason"]) for each in own)
    stage, reason = counts.most_common(1)[0][0]
    told: Sequence[str] = [f"{number} {why} by {who}" for (who, why), number in counts.most_common()]
    newest = max(own, key=lambda each: each.record["failed_at"])
    seen = f"{count(len(own), 'record')} refused: {', '.join(told[:4])}; the last: {newest.record['detail'][:120]}"
    return warn(
        seen,
        f"`rackstream dead-letters list --stage {stage} --reason {reason}`; mend the cause, then `… retry`",
    )


def _is_of(letter: Letter, host: str) -> bool:
    key = letter.record["key"]
    return key is not None and host.encode() in (key, key.partition(b":")[2])
