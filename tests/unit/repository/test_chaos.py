"""Verdict of `make chaos`: how it counts the differences that an audit finds."""

import json

import pytest

from chaos.verdict import Verdict
from rackstream.audit.audit import AuditCounts, AuditResult


def verdict(**values):
    result = Verdict()
    result.add_audit("here", AuditResult(topics={"fleet.raw.host": 3, "fleet.alerts": 2}, **values))
    return json.loads(result.as_json())


CLEAN = {"records": 5, "lost": 0, "stored_twice": 0, "out_of_order": 0, "false_alerts": 0}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({}, {}, id="clean"),
        pytest.param({"audit": AuditCounts(gaps=4, republished=2)}, {}, id="named gaps and repeated sends are no loss"),
        pytest.param({"audit": AuditCounts(lost=2)}, {"lost": 2}, id="lost"),
        pytest.param({"audit": AuditCounts(pending=3)}, {"lost": 3}, id="what is not stored at the end is lost"),
        pytest.param({"audit": AuditCounts(wrong=1)}, {"lost": 1}, id="a record with another value"),
        pytest.param({"audit": AuditCounts(twice=1)}, {"stored_twice": 1}, id="stored twice"),
        pytest.param({"audit": AuditCounts(late=1)}, {"out_of_order": 1}, id="out of order"),
        pytest.param({"audit": AuditCounts(wrong=1), "false_alerts": 1}, {"false_alerts": 1}, id="falsified alert"),
        pytest.param({"audit": AuditCounts(invented=1), "false_alerts": 1}, {"false_alerts": 1}, id="invented alert"),
        pytest.param({"raised": {"temperature-high node-1": 2}}, {}, id="an alert of what is simulated"),
        pytest.param({"raised": {"producer-silent host-vm": 1}}, {"false_alerts": 1}, id="any other alert"),
    ],
)
def test_the_last_line(values, expected):
    assert CLEAN | expected == verdict(**values)


def test_an_alert_that_a_fault_has_brought_about_is_not_false():
    found = Verdict()
    raised = {"producer-silent host-vm": 2, "producer-silent redfish-vm": 1}
    found.add_audit("here", AuditResult(raised=raised), expected_alerts=["producer-silent host-vm"])

    assert ["here: unexpected alert producer-silent redfish-vm"] == found.notes
    assert 1 == found.false_alerts


def test_what_a_fault_should_have_led_to_and_did_not_counts_as_lost():
    found = Verdict()
    found.add_missing("retention", ["no dead letter"])

    assert not found.passed
    assert ["retention: no dead letter"] == found.notes
