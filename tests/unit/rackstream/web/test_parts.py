"""Parts of the page that need no browser: values as HTML, who is logged in, which requests are its own, charts."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from rackstream.stored import charts
from rackstream.web import cells
from rackstream.web.charts import HOST_CHARTS, VM_CHARTS
from rackstream.web.csrf import is_same_origin
from rackstream.web.logins import FAILURE_WINDOW_S, MAX_FAILURES, SESSION_S, LoginSessions
from runtime import topics
from runtime.settings import KafkaSettings
from schemas.testing import make_raw_record, make_record
from sinks import datasets
from sinks.files.sink import FilesSink
from sinks.sink import Batch, Item

HOSTILE = "<img src=x onerror=alert(1)>\"'"
AT = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "markup",
    [
        pytest.param(cells.text(HOSTILE, "bad"), id="text"),
        pytest.param(cells.link(HOSTILE, cells.path("hosts", HOSTILE)), id="link"),
        pytest.param(cells.button(HOSTILE, HOSTILE, description=HOSTILE), id="button"),
        pytest.param(cells.state(HOSTILE, HOSTILE, HOSTILE), id="state"),
        pytest.param(cells.states({HOSTILE: HOSTILE}), id="states"),
        pytest.param(cells.labels({HOSTILE: HOSTILE}), id="labels"),
        pytest.param(cells.number(1.0, HOSTILE), id="unit"),
        pytest.param(cells.celsius(1.0, 2.0, HOSTILE), id="sensor"),
        pytest.param(cells.facts([(HOSTILE, HOSTILE)]), id="facts"),
    ],
)
def test_a_name_from_outside_is_text_and_no_markup(markup):
    assert "<img" not in markup
    assert 'onerror=alert(1)>"' not in markup


def test_a_host_whose_name_has_a_slash_has_an_address_of_its_own():
    assert "/ui/hosts/a%2Fb%3Fc" == cells.path("hosts", "a/b?c")


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(0, "< 10 s"), (-5, "< 10 s"), (19, "10 s"), (59, "50 s"), (60, "1 min"), (7199, "1 h"), (90_000, "1 d")],
)
def test_an_age_is_said_in_one_unit(seconds, says):
    assert f"{says} ago" == cells.age(AT, AT + timedelta(seconds=seconds))


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def test_only_a_browser_that_gave_the_token_may_change_things_and_not_for_ever():
    clock = Clock()
    logins = LoginSessions(SecretStr("tökën"), clock)

    assert logins.log_in("b1", "guess", "10.0.0.1")
    assert not logins.is_logged_in("b1")
    assert "" == logins.log_in("b1", " tökën\n", "10.0.0.1")
    assert (True, False) == (logins.is_logged_in("b1"), logins.is_logged_in("b2"))
    clock.now_s = SESSION_S - 1
    assert logins.is_logged_in("b1")
    clock.now_s += SESSION_S
    assert not logins.is_logged_in("b1")
    logins.log_in("b2", "tökën", "10.0.0.1")
    logins.log_out("b2")
    assert not logins.is_logged_in("b2")


def test_no_browser_logs_in_with_an_empty_token():
    with pytest.raises(ValueError, match="empty"):
        LoginSessions(SecretStr(" "), Clock())


def test_a_token_cannot_be_guessed_by_trying():
    clock = Clock()
    logins = LoginSessions(SecretStr("token"), clock)
    for _ in range(MAX_FAILURES):
        assert "That is not the token." == logins.log_in("b1", "guess", "10.0.0.1")

    assert "Too many" in logins.log_in("b2", "token", "10.0.0.1"), "a new browser is no new client"
    assert "" == logins.log_in("b3", "token", "10.0.0.2"), "nobody is locked out by others"
    clock.now_s = FAILURE_WINDOW_S + 1
    assert "" == logins.log_in("b2", "token", "10.0.0.1")


@pytest.mark.parametrize(
    ("kind", "origin", "own"),
    [
        pytest.param("websocket", "http://fleet:8000", True, id="its own socket"),
        pytest.param("websocket", "https://FLEET:8000", True, id="behind a proxy that ends TLS"),
        pytest.param("websocket", "http://fleet:8001", False, id="another port"),
        pytest.param("websocket", "http://evil.example", False, id="another site"),
        pytest.param("websocket", "null", False, id="a sandboxed frame"),
        pytest.param("websocket", None, False, id="a socket of no origin"),
        pytest.param("http", None, True, id="a request for a page"),
        pytest.param("http", "http://evil.example", False, id="a request of another site"),
    ],
)
def test_what_comes_from_another_origin_is_known(kind, origin, own):
    headers = [(b"host", b"fleet:8000")] + ([(b"origin", origin.encode())] if origin else [])

    assert own == is_same_origin({"type": kind, "path": "/ui/", "headers": headers})


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two sensors of one host, a reading a minute, over two hours."""
    monkeypatch.setattr(topics, "topic_id", lambda *_: "id")
    sink = FilesSink(KafkaSettings.read(bootstrap="nowhere:1", data_dir=tmp_path), tmp_path / "files", "parquet")
    partition = ("fleet.raw.redfish", 0)
    sink.assign(partition, (0, 200))
    items = []
    for number in range(120):
        readings = [
            make_record("RedfishTemperature", sensor_id=name, sensor_name=name, reading_celsius=value)
            for name, value in (("CPU", 50.0 + number), ("Inlet", 20.0), ("unread", None))
        ]
        at = AT + timedelta(minutes=number)
        record = make_raw_record(
            "RedfishSample", host="it's", category="thermal", observed_at=at, at_s=number, temperatures=readings
        )
        items.append(Item("raw-redfish", partition, number, record))
    sink.write(Batch(tuple(items), {partition: (0, 120)}))
    sink.close()
    return tmp_path / "files"


def test_a_chart_has_a_line_per_sensor_averaged_to_its_steps(files):
    period = charts.ChartPeriod(AT + timedelta(hours=1), AT + timedelta(hours=2))
    lines = dict(charts.chart_lines(files, HOST_CHARTS[0], {"host": "it's"}, period))

    assert {"CPU", "Inlet"} == lines.keys()
    assert (60, (AT.timestamp() + 3600) * 1000, 110.0) == (len(lines["CPU"]), *lines["CPU"][0])
    long = charts.ChartPeriod(AT, AT + timedelta(days=10))
    assert [("CPU", 109.5), ("Inlet", 20.0)] == [
        (name, sum(mean for _, mean in points) / len(points))
        for name, points in charts.chart_lines(files, HOST_CHARTS[0], {"host": "it's"}, long)
    ]


def test_a_chart_of_nothing_has_no_lines(files, tmp_path):
    before = charts.ChartPeriod(AT - timedelta(hours=2), AT)

    assert [] == charts.chart_lines(files, HOST_CHARTS[0], {"host": "it's"}, before)
    assert [] == charts.chart_lines(
        files, HOST_CHARTS[0], {"host": "other"}, charts.ChartPeriod(AT, AT + timedelta(hours=2))
    )
    assert [] == charts.chart_lines(tmp_path / "nowhere", HOST_CHARTS[0], {"host": "it's"}, before)


@pytest.mark.parametrize("chart", [*HOST_CHARTS, *VM_CHARTS], ids=lambda chart: f"{chart.title} {chart.dataset}")
def test_each_chart_asks_for_columns_that_its_dataset_has(files, chart):
    where = {"host": "h"} if chart in HOST_CHARTS else {"host": "h", "uuid": "u"}

    assert chart.dataset in {dataset.name for dataset in datasets.ALL}
    assert [] == charts.chart_lines(files, chart, where, charts.ChartPeriod(AT, AT + timedelta(hours=2)))
