"""Checks producers, target statuses and raw records.

Pure, apart from looking up the records' schemas.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from confluent_kafka import Message

from producers.polling.status import STATUSES_BY_SEVERITY
from rackstream.doctor.check import CheckResult, duration_text, fail, ok, skipped, warn
from rackstream.doctor.evidence import MAX_AGE_S, Evidence, Heartbeats, ReceivedHeartbeat
from rackstream.text.units import quantity
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec
from schemas.sources import SOURCES

if TYPE_CHECKING:
    from schemas.records import Heartbeat, TargetStatus

MAX_MISSED: Final = 3
"""If more heartbeats, or polls, than this are missed, their producer counts as silent, or the record as old."""
MIN_SILENCE_S: Final = 30.0
"""Nothing younger than this counts as missed, however short its interval."""
MAX_CLOCK_OFFSET_S: Final = 30.0
"""If a clock is off by more than this, it is a warning."""
MAX_LISTED: Final = 20
ADVICE: Final = {
    "stopped": "resume it with `rackstream targets resume`, or put it back into the fleet file if it was removed",
    "auth_failed": "check user and password in the fleet file (of a shared target: the producer's settings for shared "
    "targets), and whether the account is locked",
    "unreachable": "see the checks above; if all is well from here, check from the producer's machine",
    "late": "give the producer more time: longer intervals, or another producer on another machine",
    "slow": "poll it less often (`interval`, `intervals`); `rackstream probe` shows what takes long",
    "partial": "`rackstream probe` shows what is missing",
}
"""Status of a target → how to fix it."""
UNREADABLE: Final = ("stopped", "auth_failed", "unreachable")


def silence_limit_s(heartbeat: Heartbeat) -> float:
    """Returns the seconds without a heartbeat after which its producer counts as silent."""
    return max(MIN_SILENCE_S, MAX_MISSED * float(heartbeat["interval_s"]))


def is_running(heartbeat: ReceivedHeartbeat, now: datetime) -> bool:
    """True if the producer of a newest heartbeat is running."""
    record, appended_at = heartbeat
    return not record["stopping"] and (now - appended_at).total_seconds() <= silence_limit_s(record)


def check_producer(source: str, status: TargetStatus | None, heartbeats: Heartbeats, now: datetime) -> CheckResult:
    """Checks the producer of one target, by the target's newest status."""
    start = f"start it: `rackstream producer {source} --fleet FILE`, or everything by `rackstream up`"
    if status is None:
        running = [
            name
            for name, heartbeat in heartbeats.items()
            if heartbeat.record["source"] == source and is_running(heartbeat, now)
        ]
        if not running:
            return fail(f"no producer of {source} is running, and none has ever polled this target", start)
        return fail(
            f"no producer has ever polled this target; running: {', '.join(sorted(running))}",
            "was that started with this fleet file? its log says whether the file was rejected",
        )
    name = status["producer"]
    if name not in heartbeats:
        return fail(f"{name}, which polled it, has sent no heartbeat for a long time", start)
    heartbeat = heartbeats[name]
    silent_s = (now - heartbeat.appended_at).total_seconds()
    if heartbeat.record["stopping"]:
        return fail(f"{name} was stopped {duration_text(silent_s)} ago", start)
    if not is_running(heartbeat, now):
        return fail(
            f"no heartbeat from {name} for {duration_text(silent_s)}: it crashed, hangs, or cannot reach Kafka",
            f"check its log on its machine; {start}",
        )
    return _running_producer(name, heartbeat.record, silent_s)


def _running_producer(name: str, heartbeat: Heartbeat, silent_s: float) -> CheckResult:
    targets = quantity(heartbeat["targets"], "target")
    summary = f"{name} is running, last heartbeat {duration_text(max(0.0, silent_s))} ago, {targets}"
    if heartbeat["queued"]:
        summary += f", {quantity(heartbeat['queued'], 'record')} waiting"
    if heartbeat["spooled"]:
        oldest = heartbeat["spool_oldest_at"]
        oldest_s = 0.0 if oldest is None else max(0.0, (heartbeat["observed_at"] - oldest).total_seconds())
        summary += f", {heartbeat['spooled']} of them on its disk, the oldest for {duration_text(oldest_s)}"
    if heartbeat["dropped"]:
        rejected = heartbeat["rejected"]
        kept = f", {rejected} of them rejected by Kafka and kept next to its spool" if rejected else ""
        return warn(
            f"{summary}; {quantity(heartbeat['dropped'], 'record')} dropped since its start{kept}",
            "its log names the cause, usually a long outage of Kafka; `rackstream audit` names the records",
        )
    if heartbeat["spooled"]:
        return warn(summary, "they are sent to Kafka, oldest first: if their number does not fall, check Kafka")
    return ok(summary)


def check_last_poll(status: TargetStatus | None, now: datetime) -> CheckResult:
    """Checks the newest status of a target."""
    if status is None:
        return skipped("never polled")
    name, since_s = status["status"], (now - status["since"]).total_seconds()
    detail = f": {status['detail']}" if status["detail"] else ""
    summary = f"{name} for {duration_text(max(0.0, since_s))}{detail}"
    if status["removed"]:
        return fail(f"{summary}; it was removed from the fleet file", ADVICE["stopped"])
    if name in ("up", "unknown"):
        return ok(summary)
    return (fail if name in UNREADABLE else warn)(summary, ADVICE[name])


def check_records(settings: KafkaSettings, source: str, message: Message | None, now: datetime) -> CheckResult:
    """Checks that a host's newest raw record is recent and can be decoded."""
    if message is None:
        return fail(
            f"none in the last {duration_text(MAX_AGE_S)}",
            "the producer is running but publishes none: check its log, and the last poll above",
        )
    age_s = max(0.0, (now - _appended_at(message)).total_seconds())
    age = duration_text(age_s)
    try:
        record = decoder(settings, SOURCES[source].raw_topic).decode(message.value())
    except codec.DecodeError as error:
        return fail(
            f"the newest, {age} old, cannot be read: {error}",
            "its writer is newer than this installation, or no Rackstream producer: update, and see "
            "`rackstream dead-letters list`",
        )
    interval_s = record["interval_s"]
    if age_s > max(MIN_SILENCE_S, MAX_MISSED * interval_s):
        return fail(
            f"the newest is {age} old; one is due every {interval_s:g} s",
            "check the last poll above, and the producer's log",
        )
    return ok(f"the newest ({record['category']}) is {age} old; one is due every {interval_s:g} s")


def check_clock(name: str, written_at: datetime, appended_at: datetime) -> CheckResult:
    """Compares a producer's clock with Kafka's.

    Args:
        name: The producer.
        written_at: When a record was written, by the producer's clock.
        appended_at: When it reached Kafka, by Kafka's clock.
    """
    ahead_s = (written_at - appended_at).total_seconds()
    if abs(ahead_s) <= MAX_CLOCK_OFFSET_S:
        return ok(f"the clock of {name} agrees with Kafka's")
    if ahead_s > 0:
        return warn(
            f"the clock of {name} is {duration_text(ahead_s)} ahead of Kafka's, so its records are in the future",
            f"set up NTP on the machine of {name}, or of Kafka: queries by time miss these rows, or find them late",
        )
    return warn(
        f"the clock of {name} is {duration_text(-ahead_s)} behind Kafka's, or its records waited that long",
        f"set up NTP on the machine of {name}; records that old are stored, but raise no alerts",
    )


def check_record_clock(settings: KafkaSettings, source: str, message: Message | None) -> CheckResult:
    """Compares the clock of a host's producer with Kafka's, by the newest record."""
    if message is None:
        return skipped("no record to compare")
    try:
        record = decoder(settings, SOURCES[source].raw_topic).decode(message.value())
    except codec.DecodeError:
        return skipped("no readable record")
    return check_clock(record["producer"], record["observed_at"], _appended_at(message))


def check_producers(sources: Iterable[str], heartbeats: Heartbeats, now: datetime) -> CheckResult:
    """Checks all producers; `sources` are those with targets in the fleet file."""
    running = {name for name, heartbeat in heartbeats.items() if is_running(heartbeat, now)}
    running_sources = {heartbeats[name].record["source"] for name in running}
    problems = [
        f"no heartbeat from {name} for {duration_text((now - heartbeat.appended_at).total_seconds())}"
        for name, heartbeat in heartbeats.items()
        if name not in running and not heartbeat.record["stopping"]
    ]
    problems += [f"no producer of {source} is running" for source in sorted(set(sources) - running_sources)]
    if problems:
        return fail(
            problems[0] if len(problems) == 1 else f"{len(problems)} are missing",
            "start them (`rackstream producer SOURCE`, `rackstream up`); their logs say why they ended",
            problems[:MAX_LISTED] if len(problems) > 1 else (),
        )
    if not running:
        return fail("none is running", "start `rackstream up`, or `rackstream producer SOURCE`")
    more = " …" if len(running) > 5 else ""
    summary = f"{quantity(len(running), 'producer')} running: {', '.join(sorted(running)[:5])}{more}"
    if dropped := sum(heartbeats[name].record["dropped"] for name in running):
        return warn(
            f"{summary}; {quantity(dropped, 'record')} dropped since they started", "their logs name the causes"
        )
    if spooled := sum(heartbeats[name].record["spooled"] for name in running):
        return warn(
            f"{summary}; {quantity(spooled, 'record')} on their disks",
            "they are sent to Kafka, oldest first: if their number does not fall, check Kafka",
        )
    return ok(summary)


def check_clocks(heartbeats: Heartbeats) -> CheckResult:
    """Compares the clocks of all producers with Kafka's, by their newest heartbeats."""
    results = [
        check_clock(name, heartbeat.record["observed_at"], heartbeat.appended_at)
        for name, heartbeat in heartbeats.items()
    ]
    warnings = [result for result in results if result.state == "warn"]
    if len(warnings) == 1:
        return warnings[0]
    if warnings:
        details = [result.observed for result in warnings[:MAX_LISTED]]
        return warn(f"the clocks of {len(warnings)} producers are wrong", warnings[0].advice, details)
    if not results:
        return skipped("no producer to compare")
    return ok(f"{quantity(len(results), 'producer')} agree with Kafka's clock")


def check_targets(
    statuses: Iterable[TargetStatus],
    expected: Collection[tuple[str, str]],
    heartbeats: Heartbeats,
    now: datetime,
) -> CheckResult:
    """Checks all targets, worst first.

    Args:
        statuses: Their newest statuses.
        expected: Source and host of the targets in the fleet file.
        heartbeats: The producers' newest heartbeats. The targets of a silent producer are unknown.
        now: The time.
    """
    current = {(status["source"], status["host"]): status for status in statuses if not status["removed"]}
    running = {name for name, heartbeat in heartbeats.items() if is_running(heartbeat, now)}
    counts: Counter[str] = Counter()
    problems: list[tuple[int, str]] = [
        (-len(STATUSES_BY_SEVERITY) - 1, f"{source} {host}: never polled")
        for source, host in expected
        if (source, host) not in current
    ]
    counts["never polled"] = len(problems)
    for (source, host), status in current.items():
        producer, last_status = status["producer"], status["status"]
        name = last_status if producer in running or last_status == "stopped" else "unknown"
        counts[name] += 1
        if name != "up":
            rank = STATUSES_BY_SEVERITY.index(name) if name in STATUSES_BY_SEVERITY else len(STATUSES_BY_SEVERITY)
            reason = status["detail"] if name == last_status else f"no heartbeat from {producer}"
            problems.append((-rank, f"{source} {host}: {name}" + (f", {reason}" if reason else "")))
    summary = ", ".join(f"{number} {name}" for name, number in counts.most_common() if number)
    if not problems:
        return ok(summary) if summary else fail("none", "add targets to fleet.yaml, and start their producers")
    lines = [line for _, line in sorted(problems)]
    details = lines[:MAX_LISTED]
    if len(lines) > MAX_LISTED:
        details.append(f"… and {len(lines) - MAX_LISTED} more: `rackstream targets status`")
    stops_data = any(number for name, number in counts.items() if name not in ("up", "partial", "slow", "late"))
    worst_host = lines[0].split(": ")[0].split(" ", 1)[1]
    return (fail if stops_data else warn)(summary, f"check one of them: `rackstream doctor {worst_host}`", details)


def status_of(evidence: Evidence, source: str, host: str) -> TargetStatus | None:
    """Returns the newest status of a target."""
    return next((status for status in evidence.targets if (status["source"], status["host"]) == (source, host)), None)


def _appended_at(message: Message) -> datetime:
    return datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
