"""Packs of rules: what is refused and how it is said, what is fingerprinted, and which pack judges when."""

import time
from datetime import timedelta

import pytest
from click.testing import CliRunner

from processors.alerting import rule_pack, rule_topic
from processors.alerting.rule import Limit, Rule, evaluate_reading
from processors.alerting.rule_pack import AppliedPack, RuleSet
from producers import redfish
from rackstream.commands.rules import rules
from runtime import metrics
from runtime.errors import Misconfigured
from schemas.sources import SOURCES
from schemas.testing import START_TIME
from tests.unit.support.counters import counted

GOOD = """
[[rules]]
name = "hot"
topic = "raw-redfish"
readings = "temperatures"
component = "{sensor_id}"
value = "reading_celsius"
limit = { fixed = 50.0 }
clear = { fixed = 45.0 }
severity = "warning"
text = "{sensor_name} at {value:.1f} °C"
"""


def test_the_pack_that_comes_with_the_code_is_a_good_one():
    pack = rule_pack.load()
    seed = {"temperature-high", "fan-unhealthy", "drive-unhealthy", "drive-failure-predicted"}

    assert seed <= pack.by_name.keys()
    assert 75.0 == pack.by_name["temperature-high"].limit.otherwise


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param('"warning"', '"bad"', "line 10: rules.0.severity", id="a word that is none"),
        pytest.param("hold", "hold", "", id="nothing"),
        pytest.param(
            'value = "reading', 'value = "reading_', "line 7: hot: value: a reading has no field", id="a field"
        ),
        pytest.param('"temperatures"', '"heats"', "line 5: hot: readings: RedfishSample has no array", id="an array"),
        pytest.param(
            "fixed = 45.0", 'field = "upper"', "line 9: hot: clear: a reading has no field", id="a limit's field"
        ),
        pytest.param(
            "fixed = 45.0",
            'field = "reading_celsius", plus = "more"',
            "clear: a reading has no field 'more'",
            id="a term",
        ),
        pytest.param("fixed = 45.0", "fixed = 45.0, ratio = 2", "a fixed limit has no plus, ratio", id="a fixed share"),
        pytest.param("fixed = 45.0", "ratio = 2.0", "give one of `fixed` and `field`", id="half a limit"),
        pytest.param("{sensor_name}", "{name}", "line 11: hot: text: a reading has no field name", id="a text's field"),
        pytest.param("{sensor_name}", "{sensor_name.x}", "line 11: hot: text: not a text", id="a text that digs"),
        pytest.param("{sensor_name}", "{", "line 11: hot: text: not a text", id="a text that is none"),
        pytest.param('name = "hot"', 'name = "hot"\nheld = 3', "line 4: rules.0.held: Extra", id="a key that is none"),
        pytest.param('value = "reading_celsius"', "missing = true", "limit` and `clear` with `value`", id="two kinds"),
        pytest.param('name = "hot"', "name = hot", "is not TOML", id="not TOML"),
        pytest.param("50.0", "nan", "line 8: rules.0.limit.fixed", id="a limit that is no number"),
        pytest.param("50.0", "9" * 5000, "line 8 is longer than", id="a number of 5,000 digits"),
        pytest.param('"warning"', "[\n" * 5000, "nested too deep", id="deep brackets"),
        pytest.param("{value:.1f}", "{value:2000000000}", "line 11: hot: text: not a text", id="a width of gigabytes"),
        pytest.param("{value:.1f}", "{value:.2000000000f}", "line 11: hot: text", id="a precision of gigabytes"),
        pytest.param("{value:.1f}", "{value:{threshold}}", "line 11: hot: text", id="a width from a reading"),
        pytest.param("{value:.1f}", "{value:c}", "line 11: hot: text", id="a number as a character"),
        pytest.param('name = "hot"', f'name = "hot"\n{"#" * (1 << 20)}', "larger than", id="a text of megabytes"),
        pytest.param('name = "hot"', 'name = "hot"\nforget_s = inf', "rules.0.forget_s", id="a time without end"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(old, new, says):
    text = GOOD.replace(old, new)
    if text == GOOD:
        assert rule_pack.parse(text, "pack.toml").rules
        return
    with pytest.raises(Misconfigured) as error:
        rule_pack.parse(text, "pack.toml")

    assert says in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a = " + "9" * 5000, id="a number of 5,000 digits"),
        pytest.param("a = " + "[\n" * 100_000, id="deep brackets"),
        pytest.param("a = " + "{a=" * 100_000, id="deep tables"),
        pytest.param(".".join("a" * 100_000) + " = 1", id="a key of many parts"),
        pytest.param((".".join("a" * 1000) + " = 1\n") * 500, id="many keys of many parts"),
        pytest.param("[[rules]]\n" * 100_000, id="rules without number"),
        pytest.param("[[rules]]\n" * 900, id="many empty rules"),
        pytest.param(GOOD.replace("{value:.1f}", "{value:2000000000}"), id="a width of gigabytes"),
        pytest.param("\ud800", id="half a character"),
        pytest.param("\0", id="a zero"),
    ],
)
def test_a_hostile_pack_on_the_topic_is_counted_and_leaves_earlier_packs_in_force(text):
    earlier, count = rule_pack.builtin(), metrics.RECORDS_REJECTED.labels("rule-pack")
    before, started_s = counted(count), time.monotonic()
    record = {"text": text, "name": "hostile", "effective_from": START_TIME}

    assert earlier is rule_topic.add_record(earlier, lambda _: record, b"a value", START_TIME)
    assert before + 1 == counted(count)
    assert time.monotonic() - started_s < 20


def test_a_record_that_is_no_pack_is_counted_and_leaves_earlier_packs_in_force():
    earlier = rule_pack.builtin()

    assert earlier is rule_topic.add_record(earlier, lambda _: {"text": None, "name": 7}, b"a value", START_TIME)


def test_everything_that_is_wrong_is_said_at_once():
    two = GOOD.replace('"warning"', '"bad"') + GOOD.replace('"raw-redfish"', '"raw-nothing"')
    with pytest.raises(Misconfigured) as error:
        rule_pack.parse(two, "pack.toml")

    assert ["pack.toml:", "  line 10: rules.0.severity", "  line 15: rules.1.topic"] == [
        ":".join(line.split(":")[:2]) for line in str(error.value).splitlines()
    ]


def test_a_rule_that_is_none_hides_nothing_that_is_wrong_with_the_others():
    two = GOOD.replace('"warning"', '"bad"') + GOOD.replace('"hot"', '"warm"').replace('"reading_celsius"', '"celsius"')
    with pytest.raises(Misconfigured) as error:
        rule_pack.parse(two, "pack.toml")

    assert ["line 10: rules.0.severity", "line 18: warm: value"] == [
        ":".join(line.split(":")[: 2 + line.count("warm")]).strip() for line in str(error.value).splitlines()[1:]
    ]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param(
            '"reading_celsius"', '"sensor_name"', "line 7: hot: value: 'sensor_name' is not a number", id="text"
        ),
        pytest.param(
            'readings = "t', 'category = "termal"\nreadings = "t', "line 5: hot: category: no record", id="a category"
        ),
        pytest.param(
            "45.0",
            "55.0",
            "line 9: hot: clear: it is beyond the limit; give a value below it",
            id="a clear limit beyond the limit",
        ),
        pytest.param("clear =", "plausible = [10, 0]\nclear =", "line 9: hot: plausible: an empty range", id="a range"),
        pytest.param(GOOD, "[presence]\nbeats = 3", "has no [[rules]]", id="a pack without rules"),
    ],
)
def test_what_would_never_judge_is_refused_when_it_is_applied_and_still_read_back(tmp_path, old, new, says):
    file = tmp_path / "pack.toml"
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(Misconfigured) as error:
        rule_pack.load(file)

    assert says in str(error.value)
    assert rule_pack.parse(file.read_text(), "as it was applied once")


def test_the_categories_of_redfish_are_those_that_its_producer_reads():
    assert set(SOURCES["redfish"].categories) == set(redfish.CATEGORIES)


def test_a_name_given_twice_is_refused():
    with pytest.raises(Misconfigured, match="line 14: hot: duplicate name"):
        rule_pack.parse(GOOD + GOOD, "pack.toml")


def test_a_file_that_is_not_there_says_what_to_do(tmp_path):
    with pytest.raises(Misconfigured, match=r"start from processors/rules\.toml"):
        rule_pack.load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        pytest.param("# a remark\n" + GOOD, True, id="a remark"),
        pytest.param(GOOD + "hold = 1\n", True, id="a default that is written out"),
        pytest.param(GOOD + "hold = 2\n", False, id="another hold"),
    ],
)
def test_the_fingerprint_is_of_what_the_rules_say(text, same):
    assert same is (rule_pack.parse(GOOD, "a").fingerprint == rule_pack.parse(text, "b").fingerprint)


@pytest.mark.parametrize(
    ("limit", "reading", "expected"),
    [
        pytest.param({"field": "max", "ratio": 0.9}, {"max": 100.0}, 90.0, id="a share"),
        pytest.param({"field": "max", "otherwise": 7.0}, {}, 7.0, id="otherwise"),
        pytest.param({"field": "max", "otherwise": 7.0}, {"max": 0}, 7.0, id="0 is not set"),
        pytest.param({"field": "max"}, {"max": None}, None, id="none"),
        pytest.param({"field": "max", "ratio": 0.01, "at_least": 1.0}, {"max": 20}, 1.0, id="at least"),
        pytest.param({"field": "max", "ratio": 0.01, "at_least": 1.0}, {"max": 0}, 1.0, id="at least, of nothing"),
        pytest.param({"field": "rd", "plus": "wr", "ratio": 0.5}, {"rd": 20, "wr": 60}, 40.0, id="a share of a sum"),
        pytest.param({"field": "rd", "plus": "wr", "at_least": 1.0}, {"rd": 20}, None, id="of a sum not known"),
        pytest.param({"fixed": 3.0}, {"max": 20}, 3.0, id="fixed"),
    ],
)
def test_a_limit(limit, reading, expected):
    assert expected == Limit(**limit).for_reading(reading)


def test_a_value_may_be_bad_below_its_limit():
    [rule] = rule_pack.parse(GOOD.replace("limit", 'worse = "below"\nlimit').replace("45.0", "55.0"), "a").rules

    assert ["breach", "between", "clear"] == [
        evaluate_reading(rule, {"reading_celsius": each}).status.value for each in (49.0, 52.0, 56.0)
    ]


def test_the_last_pack_that_was_there_in_time_judges():
    def pack(name):
        rule = Rule(name=name, topic="raw-host", component="x", word="host", good=("x",), severity="warning", text="x")
        return RuleSet(rule_pack.from_rules([rule]).base.document, name)

    def at(minutes):
        return START_TIME + timedelta(minutes=minutes)

    found = rule_pack.builtin()
    for name, effective, appended in (("b", 20, 5), ("a", 10, 1), ("c", 30, 50)):
        found = found.with_pack(AppliedPack(pack(name), at(effective), at(appended)))

    assert ["rules.toml", "a", "b", "b", "c"] == [
        found.pack_at(at(observed), at(appended)).name
        for observed, appended in ((9, 9), (10, 10), (20, 20), (35, 35), (35, 51))
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["apply", "--dry-run"], None, id="a check of a good file"),
        pytest.param(["apply", "--effective-from", "-1h"], "is in the past", id="applied to the past"),
        pytest.param(["test"], "either --from", id="tried out on nothing"),
        pytest.param(["test", "--live", "--from", "-1h"], "either --from", id="tried out on both"),
        pytest.param(["test", "--from", "tomorrow"], "is not a time", id="from no time"),
    ],
)
def test_what_a_command_is_asked_is_checked_before_anything_is_done(tmp_path, monkeypatch, arguments, says):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")  # nobody is there, and nobody is asked
    file = tmp_path / "pack.toml"
    file.write_text(GOOD)
    done = CliRunner().invoke(rules, [arguments[0], str(file), *arguments[1:]])

    if says is None:
        assert (0, True) == (done.exit_code, "1 rules: valid" in done.output)
    else:
        assert isinstance(done.exception, Misconfigured)
        assert says in str(done.exception)
