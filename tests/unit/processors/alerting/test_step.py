"""The alert engine: when it raises, tells more and clears, and that its memory is all it needs."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import hosts, vms
from processors.alerting import evaluation, rule_pack
from processors.alerting import step as alerts
from processors.alerting.rule import Rule
from processors.alerting.rule_pack import AppliedPack, RuleSet
from processors.engine.partition import Partition
from processors.testing import run_step
from schemas import catalog, codec
from schemas.testing import START_TIME, make_raw_record, make_record

STEP = alerts.alert_step()
PACK = rule_pack.load()


def temperature(celsius, limit=100.0, sensor_id="0", state="Enabled"):
    return make_record(
        "RedfishTemperature", chassis_id="1", sensor_id=sensor_id, sensor_name="CPU", reading_celsius=celsius,
        upper_threshold_critical=limit, state=state,
    )  # fmt: skip


def fan(health, state="Enabled"):
    return make_record("RedfishFan", chassis_id="1", sensor_id="F1", sensor_name="Fan 1", health=health, state=state)


def thermal(at_s, temperatures=(), fans=(), **fields):
    return make_raw_record(
        "RedfishSample", at_s=at_s, category="thermal", temperatures=list(temperatures), fans=list(fans), **fields
    )


def transitions(records, step=STEP, **options):
    return [
        [(each["transition"], each["cause"]) for each in outputs.get("alerts", ())]
        for outputs in run_step(step, records, **options)
    ]


def changed(name, **fields):
    """Just this rule of the pack, with other values."""
    return rule_pack.from_rules([PACK.by_name[name].model_copy(update=fields)])


def told(records, step=STEP, **options):
    return [each for outputs in run_step(step, records, **options) for each in outputs.get("alerts", ())]


def heat(*celsius, **fields):
    return [thermal(n, [temperature(each, **fields)] if each is not None else []) for n, each in enumerate(celsius)]


RAISED, RECOVERED, GONE = ("raised", None), ("cleared", "recovered"), ("cleared", "gone")
UPDATED = ("updated", None)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param(heat(50.0, 90.1), [[], [RAISED]], id="above 90 % of critical is raised"),
        pytest.param(heat(90.0), [[]], id="90 % itself is not above"),
        pytest.param(heat(95.0, 96.0, 99.0), [[RAISED], [], []], id="it is raised once"),
        pytest.param(heat(95.0, 80.0, 80.0), [[RAISED], [], [RECOVERED]], id="two in a row below 85 % clear it"),
        pytest.param(heat(95.0, 80.0, 87.0, 80.0), [[RAISED], [], [], []], id="between the limits is not below"),
        pytest.param(heat(75.1, limit=None), [[RAISED]], id="without a limit it is 75 °C"),
        pytest.param(heat(75.1, limit=0.0), [[RAISED]], id="a limit of 0 is none"),
        pytest.param(heat(95.0, None, None, None), [[RAISED], [], [], [GONE]], id="gone after three whole records"),
        pytest.param(heat(95.0, None, None, 95.0, None, None), [[RAISED], [], [], [], [], []], id="back in time"),
        pytest.param(heat(0.0, state="Absent"), [[]], id="an absent sensor says nothing"),
        pytest.param([thermal(0, fans=[fan("Critical")])], [[RAISED]], id="a fan that is not OK is raised"),
        pytest.param([thermal(0, fans=[fan(None)])], [[]], id="a fan of unknown health is not"),
        pytest.param([thermal(0, fans=[fan("Critical", "Absent")])], [[]], id="nor one that is absent"),
    ],
)
def test_transitions(records, expected):
    assert expected == transitions(records)


def test_a_reading_that_was_not_got_leaves_the_alert_as_it_is():
    unread = [thermal(n, [temperature(None)]) for n in range(1, 6)]

    assert [[RAISED], [], [], [], [], []] == transitions([*heat(95.0), *unread])


def test_a_record_that_lacks_a_resource_does_not_tell_what_is_gone():
    error = make_record("PollError", field="/redfish/v1/Chassis/1/Thermal", cause="404", count=1, whole=True)
    broken = [thermal(n, errors=[error]) for n in range(1, 6)]

    assert [[RAISED], [], [], [], [], []] == transitions([*heat(95.0), *broken])


def test_hold_counts_breaches_in_a_row():
    found = transitions(heat(95.0, 50.0, 95.0, 95.0), packs=changed("temperature-high", hold=2))

    assert [[], [], [], [RAISED]] == found


def test_an_alert_keeps_its_id_and_counts_its_revisions():
    found = [each for outputs in run_step(STEP, heat(95.0, 50.0, 50.0)) for each in outputs.get("alerts", ())]

    assert 1 == len({each["id"] for each in found})
    assert [0, 1] == [each["revision"] for each in found]
    assert found[0]["started_at"] == found[1]["started_at"]
    assert "High temperature: CPU at 95.0 °C (limit 90.0 °C)" == found[0]["text"]


@given(st.lists(st.sampled_from([None, 50.0, 87.0, 95.0]), max_size=12), st.integers(0, 12))
def test_an_engine_restarted_from_its_memory_goes_on_as_if_it_had_not(celsius, cut):
    """The state record is written on change only; the records after it are stepped again and change nothing more."""
    records = heat(*celsius)
    whole = run_step(STEP, records)
    restarted = Partition(catalog.load(), [STEP])
    memories = [(n, output) for n, out in enumerate(whole[:cut]) for output in out.get("state-alerts", ())]
    resume = 0
    if memories:
        resume, memory = memories[-1]
        schema = catalog.schema("AlertState")
        restarted.restore_state(STEP, codec.Decoder(schema).decode(codec.encode(schema, memory)))
    again = [restarted.apply(record).outputs for record in records[resume:]]

    sent = [out.get("alerts", []) for out in whole[resume + 1 :]]
    assert sent == [[o.record for o in outputs if o.alias == "alerts"] for outputs in again[1:]]


PREDICTED = Rule(
    name="supply-will-fail", topic="raw-redfish", category="power", readings="power_supplies",
    component="{chassis_id}/{sensor_id}", word="failure_predicted", good=(False,), severity="warning",
    text="Failure predicted: {sensor_name}",
)  # fmt: skip


def power(at_s, flag, state="Enabled"):
    supply = make_record("RedfishPowerSupply", chassis_id="1", sensor_id="0", sensor_name="PSU 1", state=state)
    supplies = [supply | {"failure_predicted": flag}]
    return make_raw_record("RedfishSample", at_s=at_s, category="power") | {"power_supplies": supplies}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param([False], [[]], id="false is as it should be"),
        pytest.param([True, True], [[RAISED], []], id="true is raised, once"),
        pytest.param([True, False], [[RAISED], [RECOVERED]], id="false clears it"),
        pytest.param([None], [[]], id="unknown is not raised"),
        pytest.param([True, None], [[RAISED], []], id="unknown does not clear"),
    ],
)
def test_a_flag_must_be_false(flags, expected):
    assert expected == transitions(
        [power(n, flag) for n, flag in enumerate(flags)], packs=rule_pack.from_rules([PREDICTED])
    )


def test_a_flag_of_what_is_absent_says_nothing():
    assert [[]] == transitions([power(0, flag=True, state="Absent")], packs=rule_pack.from_rules([PREDICTED]))


def test_drives_are_judged_by_health_and_prediction():
    bad = make_record("RedfishDrive", system_id="1", drive_id="D0", health="Critical", failure_predicted=True)
    [outputs] = run_step(STEP, [make_raw_record("RedfishSample", category="storage", drives=[bad])])

    assert [("drive-unhealthy", "1/-/-/D0"), ("drive-failure-predicted", "1/-/-/D0")] == [
        (alert["rule"], alert["component"]) for alert in outputs["alerts"]
    ]


def test_alerts_of_two_categories_do_not_disturb_each_other():
    records = [thermal(0, [temperature(95.0)]), *[power(n, flag=True) for n in range(5)]]
    found = transitions(records, packs=rule_pack.from_rules([*PACK.rules, PREDICTED]))

    assert [[RAISED], [RAISED], [], [], [], []] == found, "power records miss no temperature"


# --- more of an alert -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("celsius", "every_s", "expected"),
    [
        pytest.param([91.0, 96.0], 60, [[RAISED], [UPDATED]], id="a worse value is told"),
        pytest.param([91.0, 96.0], 59, [[RAISED], []], id="not within a minute"),
        pytest.param([91.0, 95.0], 60, [[RAISED], []], id="not by less than 5 % of the limit"),
        pytest.param([99.0, 91.0], 60, [[RAISED], []], id="a better one is not"),
        pytest.param(
            [91.0, 96.0, 99.0, 101.0], 60, [[RAISED], [UPDATED], [], [UPDATED]], id="since what was told last"
        ),
    ],
)
def test_updates(celsius, every_s, expected):
    records = [thermal(n * every_s, [temperature(each)], interval_s=60.0) for n, each in enumerate(celsius)]

    assert expected == transitions(records)


def test_each_transition_has_the_next_revision_and_the_fingerprint_of_its_pack():
    found = told([thermal(n * 60, [temperature(c)]) for n, c in enumerate([91.0, 97.0, 20.0, 20.0])])

    assert [("raised", 0), ("updated", 1), ("cleared", 2)] == [(each["transition"], each["revision"]) for each in found]
    assert {PACK.fingerprint} == {each["pack"] for each in found}
    assert 97.0 == found[1]["value"]
    assert "97.0 °C" in found[1]["text"]


def test_a_health_that_gets_worse_is_told():
    found = told([thermal(n * 60, fans=[fan(each)]) for n, each in enumerate(["Warning", "Critical", "Warning"])])

    assert ["Fan issue: Fan 1 - Warning", "Fan issue: Fan 1 - Critical"] == [each["text"] for each in found]


@pytest.mark.parametrize(
    ("interval_s", "late_s", "judged"),
    [
        pytest.param(10.0, 30.0, True, id="three intervals late is judged"),
        pytest.param(10.0, 30.1, False, id="later is not"),
        pytest.param(1.0, 9.0, True, id="ten seconds are never late"),
    ],
)
def test_old_readings_are_not_judged(interval_s, late_s, judged):
    found = transitions([thermal(0, [temperature(95.0)], interval_s=interval_s)], late_s={0: late_s})

    assert [[RAISED] if judged else []] == found


def test_an_old_reading_clears_nothing():
    records = [thermal(0, [temperature(95.0)]), *[thermal(n, [temperature(20.0)]) for n in (1, 2, 3)]]

    assert [[RAISED], [], [], []] == transitions(records, late_s={1: 60, 2: 60, 3: 60})


def test_a_rule_is_for_the_hosts_it_names_and_puts_its_labels_on_the_alert():
    rules = changed("temperature-high", where={"rack": "r1*", "host": "h*"}, labels={"team": "night"})
    records = [thermal(n, [temperature(95.0)], labels=labels) for n, labels in enumerate([{}, {"rack": "r12"}])]
    found = told(records, packs=rules)

    assert [{"rack": "r12", "team": "night"}] == [each["labels"] for each in found]


def test_a_pack_judges_from_its_time_on_if_it_was_there_in_time():
    strict = RuleSet(
        rule_pack.from_rules(
            [PACK.by_name["temperature-high"].model_copy(update={"limit": LOW, "clear": LOW})]
        ).base.document
    )
    rules = rule_pack.builtin().with_pack(AppliedPack(strict, START_TIME + timedelta(seconds=10), START_TIME))
    late = rule_pack.builtin().with_pack(
        AppliedPack(strict, START_TIME + timedelta(seconds=10), START_TIME + timedelta(seconds=20))
    )
    records = heat(*[60.0] * 30)

    assert 10 == transitions(records, packs=rules).index([RAISED])
    assert 25 == transitions(records, packs=late).index([RAISED]), "5 s after it reached Kafka"


LOW = PACK.by_name["temperature-high"].limit.model_copy(
    update={"field": None, "ratio": 1.0, "otherwise": None, "fixed": 50.0}
)


# --- VMs and hosts ----------------------------------------------------------------------------------------------------


def domains(n, *names, stale=(), errors_s=0, packets_s=0, **fields):
    nic = make_record("DomainNic", device="tap0", rxerrors=int(errors_s * n), rxpackets=int(packets_s * n))
    vms_ = [
        make_record("Domain", name=name, uuid=name, domain_id=1, state=1, nics=[nic], stale=name in stale)
        for name in names
    ]
    return make_raw_record("LibvirtSample", at_s=n, category="domains", domains=vms_, **fields)


VMS = alerts.alert_step("raw-libvirt")
RATES = alerts.alert_step("device-rates")


def test_a_vm_that_is_listed_no_more_has_stopped_and_is_back_when_it_is_listed():
    records = [domains(0, "a", "b"), *[domains(n, "a") for n in (1, 2, 3, 4)], domains(5, "a", "b")]
    found = told(records, VMS)

    assert [("raised", "VM stopped: b", 3), ("cleared", "VM stopped: b", 5)] == [
        (each["transition"], each["text"], each["sequence"]) for each in found
    ]


def test_a_vm_that_hangs_is_not_stopped_and_hides_no_other_that_is():
    records = [domains(0, "a", "b"), *[domains(n, "b", stale="b") for n in (1, 2, 3)]]

    assert ["VM stopped: a"] == [each["text"] for each in told(records, VMS)]


def test_a_vm_that_does_not_come_back_is_forgotten():
    records = [domains(0, "a"), *[domains(n) for n in (1, 2, 3)], domains(3700), domains(3800)]

    assert [[], [], [], [RAISED], [GONE], []] == transitions(records, VMS)


def test_a_connection_that_lists_nothing_for_an_error_stops_no_vm():
    error = make_record("PollError", field="domains", cause="no answer", count=1, whole=True)

    assert [[]] * 6 == transitions([domains(0, "a"), *[domains(n, errors=[error]) for n in range(1, 6)]], VMS)


@pytest.mark.parametrize(
    ("errors_s", "packets_s", "raised"),
    [
        pytest.param(0.5, 50, False, id="the test driver's errors, which rise for ever"),
        pytest.param(0.9, 0, False, id="fewer than one a second"),
        pytest.param(5, 1000, False, id="few of many packets"),
        pytest.param(20, 1000, True, id="2 % of the packets"),
        pytest.param(2, 0, True, id="errors and no packets at all"),
    ],
)
def test_errors_are_compared_with_traffic(errors_s, packets_s, raised):
    records = [domains(n * 10, "a", errors_s=errors_s, packets_s=packets_s) for n in range(8)]
    found = told(records, RATES, after=[vms.STEP])

    assert (["vm-nic-receive-errors"] if raised else []) == [each["rule"] for each in found]


@pytest.mark.parametrize(("writes_s", "raised"), [(100, True), (10_000, False)])
def test_errors_of_a_disk_are_compared_with_its_writes_too(writes_s, raised):
    records = [domains(n * 10, "a") for n in range(8)]
    for n, record in enumerate(records):
        disk = {"rd_req": 0, "wr_reqs": writes_s * 10 * n, "errors": 20 * n}
        record["domains"][0]["disks"] = [make_record("DomainDisk", device="vda", **disk)]
    found = told(records, RATES, after=[vms.STEP])

    assert (["vm-disk-errors"] if raised else []) == [each["rule"] for each in found]


def test_a_stale_domain_leaves_its_alerts_as_they_are():
    records = [domains(n * 10, "a", errors_s=20, packets_s=100) for n in range(5)]
    records += [domains(n * 10, "a", stale="a") for n in range(5, 10)]

    assert ["raised"] == [each["transition"] for each in told(records, RATES, after=[vms.STEP])]


def test_errors_of_a_hosts_own_nics_are_compared_with_its_traffic():
    samples = [
        make_raw_record("HostSample", at_s=n, category="host", interfaces=[
            make_record("HostInterface", device="eth0", rxerrors=50 * n, rxpackets=100 * n),
            make_record("HostInterface", device="eth1", rxerrors=50 * n, rxpackets=100_000 * n),
        ])
        for n in range(6)
    ]  # fmt: skip
    found = told(samples, alerts.alert_step("host-rates"), after=[hosts.STEP])

    assert [("nic-receive-errors", "eth0")] == [(each["rule"], each["component"]) for each in found]


def test_memory_pressure_is_a_share_of_the_memory():
    samples = [
        make_raw_record("HostSample", at_s=n, category="host", memory_total=1000, memory_available=40)
        for n in range(10)
    ]

    assert ["memory-pressure"] == [each["rule"] for each in told(samples, alerts.alert_step("raw-host"))]


# --- hostile values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -1e308, 1e14, -500.0])
@pytest.mark.parametrize("limit", [100.0, None, math.nan, math.inf, 1e308, -1e308])
def test_an_absurd_value_is_no_reading(value, limit):
    assert [[]] == transitions(heat(value, limit=limit))


def test_an_absurd_limit_is_none():
    assert [[RAISED]] == transitions(heat(76.0, limit=math.nan))


@pytest.mark.parametrize(
    "name", ["", "x" * 10_000_000, "{0.__class__}", "%s{value}"], ids=lambda name: name[:20] or "none"
)
def test_whatever_a_name_is_the_alert_is_bounded(name):
    [found] = told([thermal(0, [temperature(95.0, sensor_id=name) | {"sensor_name": name}])])

    assert len(found["component"]) <= 200
    assert len(found["text"]) <= 500


HOT = temperature(95.0)


def test_a_hundred_thousand_hot_sensors_are_a_bounded_number_of_alerts():
    hot = [HOT | {"sensor_id": str(n)} for n in range(100_000)]
    outputs = run_step(STEP, [thermal(0, hot), thermal(1, hot), *[thermal(n, [temperature(20.0)]) for n in (2, 3, 4)]])
    by_rule = [alert["rule"] for alert in outputs[0]["alerts"]]

    assert [evaluation.MAX_ALERTS, 1] == [
        by_rule.count(name) for name in ("temperature-high", evaluation.TOO_MANY_ALERTS)
    ]
    assert [] == outputs[1].get("alerts", [])
    assert [[], []] == [outputs[4]["state-alerts"][0][name] for name in ("active", "pending")], "all ends"


# --- laws -------------------------------------------------------------------------------------------------------------

READINGS = st.lists(st.sampled_from([None, 20.0, 87.0, 95.0, 99.0]), max_size=25)
HOLDS = st.tuples(st.integers(1, 3), st.integers(1, 3))


def verdict(celsius):
    return None if celsius is None else "breach" if celsius > 90 else "clear" if celsius < 85 else "between"


@given(READINGS, HOLDS)
def test_nothing_is_raised_without_its_breaches_and_nothing_cleared_without_its_clears(celsius, holds):
    hold, clear_hold = holds
    records = [thermal(n, [temperature(each)]) for n, each in enumerate(celsius)]
    found = transitions(records, packs=changed("temperature-high", hold=hold, clear_hold=clear_hold))
    said = [verdict(each) for each in celsius]
    active = False
    for at, each in enumerate(found):
        # What was not got neither counts nor interrupts.
        got = [word for word in said[: at + 1] if word]
        if RAISED in each:
            assert not active
            assert ["breach"] * hold == got[-hold:]
        if RECOVERED in each:
            assert active
        if RECOVERED in each:
            assert ["clear"] * clear_hold == got[-clear_hold:]
        active = (active or RAISED in each) and RECOVERED not in each


@given(READINGS, st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)), max_size=12))
def test_records_that_come_again_or_late_change_nothing(celsius, repeats):
    records = heat(*celsius)
    disturbed = list(records)
    for at, which in sorted(repeats):
        place = min(at, len(disturbed))
        done = [each["sequence"] for each in disturbed[:place]]
        # Only what is at or before something stepped already: that is what late means.
        if which < len(records) and done and which <= max(done):
            disturbed.insert(place, records[which])

    assert told(records) == told(disturbed)


@given(READINGS)
def test_a_replay_is_the_same_to_the_byte(celsius):
    def values():
        partition = Partition(catalog.load(), [STEP])
        return [output.value for record in heat(*celsius) for output in partition.apply(record).outputs]

    assert values() == values()


# --- hosts that leave -------------------------------------------------------------------------------------------------


def left(kind, at_s, **fields):
    return make_raw_record(kind, at_s=at_s, category=catalog.REMOVED_CATEGORY, interval_s=0.0, **fields)


def test_a_host_that_is_no_target_any_more_has_no_alerts():
    records = [*heat(95.0), power(1, flag=True), left("RedfishSample", 2)]
    outputs = run_step(STEP, records, packs=rule_pack.from_rules([*PACK.rules, PREDICTED]), late_s={2: 3600})

    assert [("cleared", "gone")] * 2 == [(alert["transition"], alert["cause"]) for alert in outputs[2]["alerts"]]
    assert [[], [], []] == [outputs[2]["state-alerts"][0][name] for name in ("active", "pending", "known")]


def test_vms_of_a_host_that_left_have_not_stopped_and_their_devices_have_no_alerts():
    records = [domains(n * 10, "a", errors_s=20, packets_s=100) for n in range(5)]
    records += [left("LibvirtSample", 50), *[domains(n * 10) for n in range(6, 12)]]

    assert [] == told(records, VMS)
    assert [RAISED, GONE] == [each for found in transitions(records, RATES, after=[vms.STEP]) for each in found]


def test_a_host_that_is_a_target_again_is_judged_anew():
    records = [*heat(95.0), left("RedfishSample", 1), thermal(2, [temperature(95.0)])]
    found = told(records)

    assert ["raised", "cleared", "raised"] == [each["transition"] for each in found]
    assert 2 == len({each["id"] for each in found})


def test_a_record_that_comes_late_after_a_restart_is_not_judged():
    """The state is older than the records that changed nothing of it."""
    restarted = Partition(catalog.load(), [STEP])
    for record in heat(20.0, 20.0, 20.0):
        restarted.mark_applied(record, [STEP])

    assert [] == restarted.apply(heat(20.0, 95.0)[1]).outputs
    assert ["alerts", "state-alerts"] == [output.alias for output in restarted.apply(heat(*[95.0] * 4)[3]).outputs]
