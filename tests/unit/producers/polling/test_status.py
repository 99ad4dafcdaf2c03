"""What polls say of a target, and when that is written."""

from datetime import UTC, datetime, timedelta

import pytest

from producers.polling import status
from producers.polling.schedule import Poll, PollTask, ScheduledTarget
from producers.polling.status import PollOutcome, StatusTracker
from producers.reader import PollFailed, Problems, Sample, TargetFacts

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def poll(*, late_s=0.0, crowded=False):
    return Poll(PollTask(ScheduledTarget("bmc"), "thermal", 10.0), 0.0, late_s, crowded, is_slow=False)


def lacking(**whole):
    problems = Problems()
    for field, cause in whole.items():
        problems.add(field, cause, whole=True)
    return Sample({}, problems)


@pytest.mark.parametrize(
    ("how", "samples", "took_s", "expected"),
    [
        pytest.param({}, [lacking()], 1.0, ("up", ""), id="all is well"),
        pytest.param({}, [lacking(fans="404")], 1.0, ("partial", "fans: 404"), id="a part was not got"),
        pytest.param({}, [lacking(fans="404")] * 3, 1.0, ("partial", "fans: 404"), id="told once of several hosts"),
        pytest.param({}, [lacking()], 11.0, ("slow", "thermal took 11.0 s, more than its interval"), id="it is slow"),
        pytest.param({"late_s": 6.0, "crowded": True}, [lacking()], 1.0,
                     ("slow", "thermal began 6.0 s late, after other polls that took long"), id="its others took long"),
        pytest.param({"late_s": 6.0}, [lacking()], 1.0,
                     ("late", "thermal began 6.0 s late: this producer is overloaded"), id="no worker was free"),
        pytest.param({"late_s": 4.0}, [lacking()], 1.0, ("up", ""), id="a little late is not late"),
    ],
)  # fmt: skip
def test_a_poll_says_how_its_target_is(how, samples, took_s, expected):
    found = status.evaluate_poll(poll(**how), samples, None, took_s)

    assert expected == (found.status, found.detail)


def test_a_poll_that_failed_says_what_its_error_says():
    found = status.evaluate_poll(poll(), [], PollFailed("auth_failed", "credentials refused"), 20.0)

    assert ("auth_failed", "credentials refused", True, True) == (
        found.status,
        found.detail,
        found.failed,
        found.is_unanswered,
    )


def taken(standing, *outcomes, down=False):
    for category, name in outcomes:
        failed = name in status.FAILING_STATUSES
        standing.record_poll(
            PollOutcome(category, name, f"{category} {name}", 1.0, failed=failed), TargetFacts(), NOW, down=down
        )
    return standing.status, standing.detail


def test_a_target_is_as_its_worst_category():
    assert ("slow", "power slow") == taken(
        StatusTracker(NOW), ("system", "up"), ("power", "slow"), ("thermal", "partial")
    )


def test_a_target_that_answers_is_partial_where_one_category_gives_nothing():
    standing = StatusTracker(NOW)

    assert ("partial", "storage: storage unreachable") == taken(standing, ("system", "up"), ("storage", "unreachable"))
    assert ("up", "system up") == taken(standing, ("storage", "up"))


def test_a_target_that_never_answered_is_what_its_first_poll_says():
    assert ("auth_failed", "system auth_failed") == taken(StatusTracker(NOW), ("system", "auth_failed"))


def test_a_target_that_is_down_is_what_its_last_poll_says_whatever_was_before():
    standing = StatusTracker(NOW)
    taken(standing, ("system", "up"), ("power", "up"), ("thermal", "unreachable"))

    assert ("unreachable", "memory unreachable") == taken(standing, ("memory", "unreachable"), down=True)
    assert ("up", "system up") == taken(standing, ("system", "up"))


def test_a_status_lasts_until_there_is_another():
    standing = StatusTracker(NOW)
    taken(standing, ("system", "up"))
    standing.record_poll(PollOutcome("system", "up", "", 2.0), TargetFacts(), LATER, down=False)
    assert NOW == standing.since

    standing.record_poll(PollOutcome("system", "slow", "", 2.0), TargetFacts(), LATER, down=False)
    assert LATER == standing.since


def test_it_counts_polls_failures_and_those_that_were_late():
    standing = StatusTracker(NOW)
    for outcome in (PollOutcome("a", "up", "", 1.0, late=1), PollOutcome("a", "unreachable", "", 1.0, failed=True)):
        standing.record_poll(outcome, TargetFacts(), NOW, down=False)

    assert status.PollCounts(polls=2, failures=1, late=1) == standing.counts


def test_it_is_written_when_it_changes_and_else_every_ten_minutes():
    standing = StatusTracker(NOW)
    taken(standing, ("system", "up"))
    assert [True, False, False] == [
        standing.should_publish(0),
        standing.should_publish(1),
        standing.should_publish(599),
    ]
    assert standing.should_publish(600)

    taken(standing, ("system", "slow"))
    assert standing.should_publish(601)


def test_a_new_session_is_written_at_once():
    standing = StatusTracker(NOW)
    standing.should_publish(0)
    standing.facts = TargetFacts(session_uri="/redfish/v1/SessionService/Sessions/7")

    assert [True, False] == [standing.should_publish(1), standing.should_publish(2)]


def test_details_with_figures_are_written_once_a_minute():
    standing = StatusTracker(NOW)
    written = 0
    for second in range(300):
        standing.record_poll(PollOutcome("system", "slow", f"took {second} s", 1.0), TargetFacts(), NOW, down=False)
        written += standing.should_publish(second)

    assert 5 == written


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(None, ("unknown", LATER), id="nobody knows it"),
        pytest.param({"status": "stopped", "removed": False}, ("unknown", LATER), id="its producer was stopped"),
        pytest.param({"status": "stopped", "removed": True}, ("unknown", LATER), id="it was removed once"),
        pytest.param({"status": "unreachable", "removed": False}, ("unreachable", NOW), id="its producer was killed"),
        pytest.param(
            {"status": "stopped", "removed": False, "stopped_by": "ann"}, ("stopped", NOW), id="it is stopped"
        ),
    ],
)
def test_what_was_known_of_a_target_holds_until_it_was_polled(last, expected):
    known = None if last is None else {"since": NOW, "detail": "", "stopped_by": None, **last}
    standing = StatusTracker.from_last_status(known, LATER)

    assert expected == (standing.status, standing.since)


STOP = {"desired": "stopped", "by": "ann", "reason": "new PSU"}


def test_a_command_holds_since_the_first_and_in_the_words_of_the_last():
    standing = StatusTracker(NOW - timedelta(days=1))
    taken(standing, ("system", "unreachable"))
    standing.mark_stopped(STOP, NOW)
    assert ("stopped", "stopped by ann: new PSU", NOW) == (standing.status, standing.detail, standing.since)

    standing.mark_stopped(STOP | {"by": "bob", "reason": ""}, LATER)
    assert ("stopped by bob", "bob", NOW) == (standing.detail, standing.stopped_by, standing.since)


def test_what_was_before_a_stop_is_neither_told_nor_kept_from_being_told_after_it():
    standing = StatusTracker(NOW)
    taken(standing, ("system", "up"), ("power", "unreachable"))
    standing.should_publish(0)
    standing.mark_stopped(STOP, NOW)
    standing.mark_resumed(LATER)
    assert ("unknown", status.NOT_POLLED, LATER, None) == (
        standing.status, standing.detail, standing.since, standing.stopped_by,
    )  # fmt: skip
    assert ("up", "system up") == taken(standing, ("system", "up"))
    assert standing.should_publish(1)
