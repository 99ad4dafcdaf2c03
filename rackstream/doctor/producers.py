"""From producers to raw records: who polls, how targets stand, what arrives. Pure, but for records' schemas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from confluent_kafka import Message

from producers.polling.status import WORSE
from producers.run import TOPICS
from rackstream.doctor.check import Finding, ago, count, fail, ok, skipped, warn
from rackstream.doctor.evidence import LOOK_BACK_S, Evidence, Record
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec

MISSED: Final = 3
"""Heartbeats, or polls, that are missed before it counts."""
PATIENCE_S: Final = 30.0
"""What is younger is not late, however short its interval."""
CLOCK_S: Final = 30.0
"""A clock that is off by more is told of."""
LISTED: Final = 20
Beats = Mapping[str, tuple[Record, datetime]]
"""Producer → its newest heartbeat, and when Kafka had it."""
ACTS: Final = {
    "stopped": "start it again at the console, or put it back into the fleet file if it was removed",
    "auth_failed": "check user and password in the fleet file, and whether the account is locked",
    "unreachable": "look at the checks above; if all is well from here, look from the producer's machine",
    "late": "give the producer more time: longer intervals, or another producer on another machine",
    "slow": "poll it less often (`interval`, `intervals`); see `rackstream probe` for what takes long",
    "partial": "see `rackstream probe` for what it does not give",
}
"""Status of a target → what to do."""


def late_s(beat: Record) -> float:
    """After how long without a heartbeat its producer is silent."""
    return max(PATIENCE_S, MISSED * float(beat["interval_s"]))


def is_heard(beat: Record, at: datetime, now: datetime) -> bool:
    """Whether the producer of a newest heartbeat lives."""
    return not beat["stopping"] and (now - at).total_seconds() <= late_s(beat)


def producer(source: str, status: Record | None, beats: Beats, now: datetime) -> Finding:
    """The producer of one target. `status`: its newest TargetStatus."""
    start = f"start it: `rackstream producer {source} --fleet FILE`, or everything by `rackstream up`"
    if status is None:
        living = [name for name, (beat, at) in beats.items() if beat["source"] == source and is_heard(beat, at, now)]
        if not living:
            return fail(f"no producer of {source} runs, and none has ever polled this", start)
        return fail(
            f"no producer has ever polled this; {', '.join(sorted(living))} would",
            "is that started with this fleet file? its log says whether the file was refused",
        )
    name = status["producer"]
    if name not in beats:
        return fail(f"{name}, who polled it, has not been heard of for long", start)
    beat, at = beats[name]
    silent_s = (now - at).total_seconds()
    if beat["stopping"]:
        return fail(f"{name} was stopped {ago(silent_s)} ago", start)
    if not is_heard(beat, at, now):
        return fail(
            f"{name} is silent since {ago(silent_s)}: it died, hangs, or does not reach Kafka",
            f"look at its log on its machine; {start}",
        )
    return _living(name, beat, silent_s)


def _living(name: str, beat: Record, silent_s: float) -> Finding:
    told = f"{name} lives, heard {ago(max(0.0, silent_s))} ago, {count(beat['targets'], 'target')}"
    waits = beat["queued"]
    if waits:
        told += f", {count(waits, 'record')} waiting"
    if beat["spooled"]:
        oldest = beat["spool_oldest_at"]
        old_s = 0.0 if oldest is None else max(0.0, (beat["observed_at"] - oldest).total_seconds())
        told += f", {beat['spooled']} of them on its disk, the oldest for {ago(old_s)}"
    if beat["dropped"]:
        kept = f", {beat['rejected']} of them refused by Kafka and kept beside its spool" if beat["rejected"] else ""
        return warn(
            f"{told}; it dropped {count(beat['dropped'], 'record')} since it started{kept}",
            "its log names the cause, mostly that Kafka was away for long; `rackstream audit` names the records",
        )
    if beat["spooled"]:
        return warn(told, "they are sent, oldest first, as Kafka takes them: if they do not get fewer, look at Kafka")
    return ok(told)


def last_poll(status: Record | None, now: datetime) -> Finding:
    """How the newest TargetStatus says that the target stands."""
    if status is None:
        return skipped("never polled")
    name, since_s = status["status"], (now - status["since"]).total_seconds()
    told = f"{name} since {ago(max(0.0, since_s))}" + (f": {status['detail']}" if status["detail"] else "")
    if status["removed"]:
        return fail(f"{told}; it was removed from the fleet file", ACTS["stopped"])
    if name in ("up", "unknown"):
        return ok(told)
    judge = fail if name in ("stopped", "auth_failed", "unreachable") else warn
    return judge(told, ACTS[name])


def records(settings: KafkaSettings, source: str, message: Message | None, now: datetime) -> Finding:
    """Whether records arrive, and can be read."""
    if message is None:
        return fail(
            f"none came in the last {ago(LOOK_BACK_S)}",
            "the producer lives and gives none: look at its log, and at how the target stands, above",
        )
    age_s = max(0.0, (now - _appended(message)).total_seconds())
    try:
        record = decoder(settings, TOPICS[source]).decode(message.value())
    except codec.Undecodable as error:
        return fail(
            f"the newest, {ago(age_s)} old, cannot be read: {error}",
            "whoever writes this is newer than what reads it, or no producer of ours: update, see `dead-letters list`",
        )
    if age_s > max(PATIENCE_S, MISSED * record["interval_s"]):
        return fail(
            f"the newest is {ago(age_s)} old, and one is due every {record['interval_s']:g} s",
            "look at how the target stands, above, and at its producer's log",
        )
    return ok(f"the newest ({record['category']}) is {ago(age_s)} old, one is due every {record['interval_s']:g} s")


def clock(name: str, told: datetime, appended: datetime) -> Finding:
    """A producer's clock beside Kafka's: when it said it wrote, and when Kafka had it."""
    ahead_s = (told - appended).total_seconds()
    if abs(ahead_s) <= CLOCK_S:
        return ok(f"that of {name} agrees with Kafka's")
    if ahead_s > 0:
        return warn(
            f"that of {name} is {ago(ahead_s)} ahead of Kafka's, so its records are of the future",
            f"give the machine of {name}, or Kafka's, NTP: queries by time miss these rows, or find them too late",
        )
    return warn(
        f"that of {name} is {ago(-ahead_s)} behind Kafka's, or its records waited so long",
        f"give the machine of {name} NTP; records that old are stored, and raise no alerts",
    )


def record_clock(settings: KafkaSettings, source: str, message: Message | None) -> Finding:
    """The same by the newest record of a host."""
    if message is None:
        return skipped("no record to tell it by")
    try:
        record = decoder(settings, TOPICS[source]).decode(message.value())
    except codec.Undecodable:
        return skipped("no record that can be read")
    return clock(record["producer"], record["observed_at"], _appended(message))


def producers(wanted: Iterable[str], beats: Beats, now: datetime) -> Finding:
    """All of them. `wanted`: sources with targets in the fleet file."""
    living = {name for name, (beat, at) in beats.items() if is_heard(beat, at, now)}
    polled = {beats[name][0]["source"] for name in living}
    told = [
        f"{name} is silent since {ago((now - at).total_seconds())}"
        for name, (beat, at) in beats.items()
        if name not in living and not beat["stopping"]
    ]
    told += [f"no producer of {source} runs" for source in sorted(set(wanted) - polled)]
    if told:
        return fail(
            told[0] if len(told) == 1 else f"{len(told)} are missing",
            "start them (`rackstream producer SOURCE`, `rackstream up`); their logs say why they ended",
            told[:LISTED] if len(told) > 1 else (),
        )
    if not living:
        return fail("none runs", "start `rackstream up`, or `rackstream producer SOURCE`")
    dropped = sum(beats[name][0]["dropped"] for name in living)
    seen = f"{count(len(living), 'producer')} alive: {', '.join(sorted(living)[:5])}" + (
        " …" if len(living) > 5 else ""
    )
    if dropped:
        return warn(f"{seen}; {count(dropped, 'record')} dropped since they started", "their logs name the causes")
    if spooled := sum(beats[name][0]["spooled"] for name in living):
        return warn(
            f"{seen}; {count(spooled, 'record')} on their disks",
            "they are sent as Kafka takes them: if they do not get fewer, look at Kafka",
        )
    return ok(seen)


def clocks(beats: Beats) -> Finding:
    """Of all producers, by their newest heartbeats."""
    found = [clock(name, beat["observed_at"], at) for name, (beat, at) in beats.items()]
    off = [each for each in found if each.state == "warn"]
    if off:
        more = tuple(each.seen for each in off[:LISTED]) if len(off) > 1 else ()
        return warn(off[0].seen if len(off) == 1 else f"{len(off)} producers are off", off[0].do, more)
    return ok(f"{count(len(found), 'producer')} agree with Kafka's") if found else skipped("no producer to tell it by")


def targets(known: Iterable[Record], expected: Collection[tuple[str, str]], beats: Beats, now: datetime) -> Finding:
    """All targets, the worst first. `expected`: source and host of those in the fleet file."""
    standing = {(each["source"], each["host"]): each for each in known if not each["removed"]}
    heard = {name for name, (beat, at) in beats.items() if is_heard(beat, at, now)}
    counts: Counter[str] = Counter()
    amiss: list[tuple[int, str]] = [
        (-len(WORSE) - 1, f"{source} {host}: never polled")
        for source, host in expected
        if (source, host) not in standing
    ]
    counts["never polled"] = len(amiss)
    for (source, host), each in standing.items():
        name = each["status"] if each["producer"] in heard or each["status"] == "stopped" else "unknown"
        counts[name] += 1
        if name != "up":
            rank = WORSE.index(name) if name in WORSE else len(WORSE)
            why = each["detail"] if name == each["status"] else f"{each['producer']} is not heard"
            amiss.append((-rank, f"{source} {host}: {name}" + (f", {why}" if why else "")))
    told = ", ".join(f"{number} {name}" for name, number in counts.most_common() if number)
    if not amiss:
        return ok(told) if told else fail("there are none", "name some in fleet.yaml, and start their producers")
    listed = [line for _, line in sorted(amiss)]
    left = len(listed) - LISTED
    more = [*listed[:LISTED], *([f"… and {left} more: `rackstream targets status`"] if left > 0 else [])]
    lost = sum(number for name, number in counts.items() if name not in ("up", "partial", "slow", "late"))
    judge = fail if lost else warn
    return judge(told, f"ask about one of them: `rackstream doctor {listed[0].split(': ')[0].split(' ', 1)[1]}`", more)


def _appended(message: Message) -> datetime:
    return datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)


def status_of(evidence: Evidence, source: str, host: str) -> Record | None:
    """The newest TargetStatus of a target."""
    return next((target for target in evidence.targets if (target["source"], target["host"]) == (source, host)), None)
