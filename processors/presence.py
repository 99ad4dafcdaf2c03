"""The presence step: detects silent producers and failing targets from heartbeats alone, so that it replays. Pure.

- The clock is the newest append time of all heartbeats. It advances by at most the shortest heartbeat interval at a
  time, so a period without any heartbeat does not count: then Kafka or this worker was away, not a single producer.
- A producer that is `beats` heartbeats late is silent. That is one alert, however many targets it has; since their
  state is now unknown, alerts about single targets are cleared as `unknown`. Its next heartbeat clears the alert.
- A producer that announced its stop is not silent.
- The heartbeats of a live producer list the targets that it cannot read. A target that fails for `hold` heartbeats
  raises an alert; where `group` alerts would be raised within `group_within_s`, the rest becomes one of the producer.
- A target that is paused by a command is not read: its alert is cleared as `unknown`. So is the alert of a target
  that moved to another producer of the group, whose own heartbeats report it from then on.
- A producer that has been silent for `FORGET_AFTER` is no longer expected: its alert is cleared as `gone`.

The state of a producer is written at each of its heartbeats, and is all that is kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple, cast

from processors.alerting.evaluation import UPDATE_INTERVAL, alert_id
from processors.alerting.rule import truncate
from processors.alerting.rule_pack import PresenceSettings, pack_in_force
from processors.alerting.templates import MAX_TEXT_LENGTH
from processors.engine.step import Context, Output, Step, StepResult
from schemas.alerts import HEARTBEAT_CATEGORY, PRODUCER_SILENT, TARGET_FAILING, TARGET_RULES, TARGETS_FAILING
from schemas.records import Alert, FailingTarget, Heartbeat, HeldTarget, PresenceAlert, PresenceState, Severity

MEMORY: Final = "state-presence"
SOURCE: Final = "heartbeats"
FORGET_AFTER: Final = timedelta(days=7)
MIN_INTERVAL_S: Final = 1.0
MAX_INTERVAL_S: Final = 600.0
"""A heartbeat interval outside of this range is implausible and counts as the longest."""
MAX_GROUPED_TARGETS: Final = 10_000
GROUP_UPDATE_RATIO: Final = 1.2
"""`targets-failing` is updated when this many times as many targets fail."""
STATUS_TEXT: Final = {"unreachable": "Target unreachable", "auth_failed": "Target refuses the login"}
ProducerStates = dict[str, PresenceState]
"""Producer → its state."""
Cause = Literal["recovered", "unknown", "gone"]


class TargetAlerts(NamedTuple):
    """The part of a producer's state that is about its targets."""

    alerts: list[PresenceAlert]
    held: list[HeldTarget]
    grouped: list[str]


def apply_heartbeat(
    states: ProducerStates | None, heartbeat: Heartbeat, context: Context
) -> StepResult[ProducerStates]:
    """Applies one heartbeat: it updates its producer, and may show that others are silent."""
    after = dict(states or {})
    pack = pack_in_force(context, heartbeat["observed_at"])
    evaluation = _HeartbeatEvaluation(
        heartbeat, context.appended_at, pack.presence, pack.fingerprint, _clock_s(after, heartbeat, context)
    )
    changed = {heartbeat["producer"]: evaluation.update_sender(after.get(heartbeat["producer"]))}
    for producer, state in after.items():
        if producer not in changed and (checked := evaluation.check_silent(state)) is not state:
            changed[producer] = checked
    after |= changed
    outputs: list[Output] = [("alerts", transition) for transition in evaluation.transitions]
    return after, [*outputs, *((MEMORY, state) for state in changed.values())]


def _plausible_interval_s(interval_s: float) -> float:
    return interval_s if MIN_INTERVAL_S <= interval_s <= MAX_INTERVAL_S else MAX_INTERVAL_S


def _clock_s(states: ProducerStates, heartbeat: Heartbeat, context: Context) -> float:
    """Returns the time of a heartbeat on the step's clock, in seconds since the first one."""
    if not states:
        return 0.0
    newest = max(states.values(), key=lambda state: (state["clock_s"], state["appended_at"]))
    elapsed_s = (context.appended_at - newest["appended_at"]).total_seconds()
    live_intervals_s = [state["interval_s"] for state in states.values() if state["status"] == "alive"]
    shortest_s = min(_plausible_interval_s(heartbeat["interval_s"]), *live_intervals_s, max(elapsed_s, 0.0))
    return newest["clock_s"] + shortest_s


def restore_state(states: ProducerStates | None, record: PresenceState) -> ProducerStates:
    """Returns the states with that of one more state record."""
    return (states or {}) | {record["producer"]: record}


class _HeartbeatEvaluation:
    """Evaluates one heartbeat and collects the resulting alert transitions."""

    def __init__(
        self, heartbeat: Heartbeat, appended_at: datetime, settings: PresenceSettings, fingerprint: str, clock_s: float
    ) -> None:
        self.heartbeat, self.appended_at, self.settings = heartbeat, appended_at, settings
        self.fingerprint, self.clock_s = fingerprint, clock_s
        self.transitions: list[Alert] = []

    def update_sender(self, before: PresenceState | None) -> PresenceState:
        """Returns the state of the producer that sent the heartbeat."""
        heartbeat = self.heartbeat
        alerts = []
        for alert in before["alerts"] if before else []:
            if alert["rule"] == PRODUCER_SILENT:
                self._clear(alert, "recovered")
            elif heartbeat["stopping"]:
                self._clear(alert, "unknown")
            else:
                alerts.append(alert)
        state: PresenceState = {
            "producer": heartbeat["producer"],
            "as_of": [
                {
                    "topic": SOURCE,
                    "category": heartbeat["producer"],
                    "epoch": heartbeat["epoch"],
                    "sequence": heartbeat["sequence"],
                }
            ],
            "source": heartbeat["source"],
            "targets": heartbeat["targets"],
            "interval_s": _plausible_interval_s(heartbeat["interval_s"]),
            "clock_s": self.clock_s,
            "appended_at": self.appended_at,
            "status": "stopped" if heartbeat["stopping"] else "alive",
            "held": before["held"] if before else [],
            "alerts": alerts,
            "grouped": before["grouped"] if before else [],
            "shared": heartbeat["shared"],
        }
        if heartbeat["stopping"]:
            return state | {"held": [], "grouped": []}
        targets = self._evaluate_targets(state)
        return state | {"alerts": targets.alerts, "held": targets.held, "grouped": targets.grouped}

    def check_silent(self, state: PresenceState) -> PresenceState:
        """Returns the state of a producer that did not send the heartbeat; the same object if nothing changed."""
        is_forgotten = self.appended_at - state["appended_at"] >= FORGET_AFTER
        if state["status"] == "silent" and state["alerts"] and is_forgotten:
            for alert in state["alerts"]:
                self._clear(alert, "gone")
            return state | {"alerts": [], "status": "stopped"}
        late_s = self.clock_s - state["clock_s"]
        if state["status"] != "alive" or late_s <= self.settings.beats * state["interval_s"]:
            return state
        for alert in state["alerts"]:
            self._clear(alert, "unknown")
        producer, targets = state["producer"], state["targets"]
        since = f"{state['appended_at']:%Y-%m-%d %H:%M:%S} UTC"
        consequence = "are left to others of its group" if state["shared"] else "are unknown"
        text = f"Producer {producer} is silent since {since}: its {targets} targets {consequence}"
        alert = self._raise_for_producer(PRODUCER_SILENT, producer, text, targets)
        return state | {"status": "silent", "alerts": [alert], "held": [], "grouped": []}

    def _evaluate_targets(self, state: PresenceState) -> TargetAlerts:
        """Evaluates the targets that the heartbeat reports as failing."""
        heartbeat = self.heartbeat
        failing = {target["host"]: target for target in heartbeat["failing"]}
        unlisted = max(0, heartbeat["failing_count"] - len(failing))
        grouped = [host for host in state["grouped"] if host in failing]
        group_alert = next((alert for alert in state["alerts"] if alert["rule"] == TARGETS_FAILING), None)
        single_alerts = self._still_failing(state["alerts"], failing, unlisted)
        held = {target["host"]: target for target in state["held"]}
        waiting: list[HeldTarget] = []
        due: list[HeldTarget] = []
        for host, target in failing.items():
            if host in single_alerts or host in grouped:
                continue
            previous = held.get(host)
            beats = 1 + (previous["beats"] if previous and previous["status"] == target["status"] else 0)
            entry: HeldTarget = {"host": host, "status": target["status"], "beats": beats}
            (due if beats >= self.settings.hold else waiting).append(entry)
        within = timedelta(seconds=self.settings.group_within_s)
        recent = sum(self.appended_at - alert["started_at"] <= within for alert in single_alerts.values())
        if group_alert is not None or unlisted or (due and len(due) + recent >= self.settings.group):
            grouped = [*grouped, *(entry["host"] for entry in due)][:MAX_GROUPED_TARGETS]
        else:
            for entry in due:
                single_alerts[entry["host"]] = self._raise_for_target(state["producer"], failing[entry["host"]])
        count = len(grouped) + unlisted if group_alert or grouped else 0
        group_alert = self._update_group_alert(state, group_alert, count)
        alerts = [*([group_alert] if group_alert else []), *single_alerts.values()]
        return TargetAlerts(alerts, waiting, grouped if group_alert else [])

    def _still_failing(
        self, alerts: list[PresenceAlert], failing: dict[str, FailingTarget], unlisted: int
    ) -> dict[str, PresenceAlert]:
        """Returns host → its alert of targets that still fail, and clears the others.

        Args:
            alerts: The active alerts of a producer.
            failing: Host → target, as the heartbeat lists them.
            unlisted: Number of failing targets that the heartbeat does not list.
        """
        still_failing = {}
        for alert in alerts:
            host = alert["host"]
            if alert["rule"] == TARGETS_FAILING:
                continue
            status = failing[host]["status"] if host in failing else None
            # A heartbeat lists a limited number of targets, so one that is not listed may still fail.
            if (status is None and unlisted) or (status is not None and TARGET_RULES.get(status) == alert["rule"]):
                still_failing[host] = alert
            else:
                self._clear(alert, self._clear_cause([host]))
        return still_failing

    def _clear_cause(self, hosts: list[str]) -> Cause:
        """Returns why targets are no longer reported as failing: `unknown` if any of them is no longer read."""
        no_longer_read = {*self.heartbeat["stopped"], *self.heartbeat["released"]}
        return "recovered" if no_longer_read.isdisjoint(hosts) else "unknown"

    def _update_group_alert(
        self, state: PresenceState, alert: PresenceAlert | None, count: int
    ) -> PresenceAlert | None:
        """Raises, updates or clears the one alert for many targets.

        Args:
            state: The state of the producer, with the targets that failed at the heartbeat before.
            alert: The active alert.
            count: Number of targets that it is about now.
        """
        producer = state["producer"]
        text = f"Many targets of {producer} cannot be read: {count} of {state['targets']}"
        if alert is None:
            return self._raise_for_producer(TARGETS_FAILING, producer, text, count) if count else None
        if not count:
            self._clear(alert, self._clear_cause(state["grouped"]))
            return None
        is_due = self.appended_at - alert["told_at"] >= UPDATE_INTERVAL
        if count >= (alert["value"] or 0.0) * GROUP_UPDATE_RATIO and is_due:
            alert = alert | {
                "revision": alert["revision"] + 1,
                "value": float(count),
                "text": text,
                "told_at": self.appended_at,
            }
            self._record_transition("updated", alert)
        return alert

    def _raise_for_producer(self, rule: str, producer: str, text: str, targets: int) -> PresenceAlert:
        """Raises an alert about a producer. `targets`: the number of targets affected."""
        return self._raise(
            {
                "id": alert_id(rule, producer, producer, self.appended_at),
                "revision": 0,
                "rule": rule,
                "host": producer,
                "component": producer,
                "severity": self.settings.silent,
                "value": float(targets),
                "text": truncate(text, MAX_TEXT_LENGTH),
                "started_at": self.appended_at,
                "told_at": self.appended_at,
                "labels": {},
            }
        )

    def _raise_for_target(self, producer: str, target: FailingTarget) -> PresenceAlert:
        """Raises an alert about a target that its producer cannot read."""
        host, status = target["host"], target["status"]
        rule = TARGET_RULES.get(status, TARGET_FAILING)
        text = f"{STATUS_TEXT.get(status, f'Target {status}')}: {host} by {producer}"
        return self._raise(
            {
                "id": alert_id(rule, host, producer, self.appended_at),
                "revision": 0,
                "rule": rule,
                "host": host,
                "component": producer,
                "severity": self.settings.failing,
                "value": None,
                "text": truncate(text, MAX_TEXT_LENGTH),
                "started_at": self.appended_at,
                "told_at": self.appended_at,
                "labels": target["labels"],
            }
        )

    def _raise(self, alert: PresenceAlert) -> PresenceAlert:
        self._record_transition("raised", alert)
        return alert

    def _clear(self, alert: PresenceAlert, cause: Cause) -> None:
        self._record_transition("cleared", alert | {"revision": alert["revision"] + 1}, cause)

    def _record_transition(
        self, transition: Literal["raised", "updated", "cleared"], alert: PresenceAlert, cause: Cause | None = None
    ) -> None:
        heartbeat = self.heartbeat
        self.transitions.append(
            {
                "transition": transition,
                "cause": cause,
                "pack": self.fingerprint,
                "category": HEARTBEAT_CATEGORY,
                "threshold": None,
                "id": alert["id"],
                "revision": alert["revision"],
                "rule": alert["rule"],
                "host": alert["host"],
                "component": alert["component"],
                "severity": cast("Severity", alert["severity"]),
                "value": alert["value"],
                "text": alert["text"],
                "started_at": alert["started_at"],
                "labels": alert["labels"],
                "observed_at": heartbeat["observed_at"],
                "epoch": heartbeat["epoch"],
                "sequence": heartbeat["sequence"],
            }
        )


STEP: Final = Step(
    name="presence",
    input=SOURCE,
    outputs=("alerts",),
    memory=MEMORY,
    run_with_context=apply_heartbeat,
    state_key=None,
    sequence_key="producer",
    restore=restore_state,
)
