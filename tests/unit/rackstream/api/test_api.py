"""The console's parts that need no Kafka: whom it answers, its token, what it says of failures, slow readers."""

import asyncio
import contextlib
import json
import stat
import threading
import time

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from rackstream.api import events
from rackstream.api.app import create_app
from rackstream.api.middleware import MAX_BODY_BYTES, is_allowed_host
from rackstream.api.settings import ConsoleSettings, read_token
from rackstream.control import CollectorControl
from rackstream.view.model import STALL_S, View
from rackstream.view.traffic import OffsetSnapshot
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from schemas.testing import START_TIME
from tests.unit.rackstream.view.test_model import alert, domains, seeing, target, thermal


@contextlib.contextmanager
def serving(view):
    """A client of a console that shows this view; there is no Kafka."""
    settings = KafkaSettings.read(bootstrap="127.0.0.1:9")
    served = create_app(settings, lambda: settings, CollectorControl(), SecretStr("t"), view)
    with TestClient(served, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client():
    with serving(seeing(target(), thermal("h1", (40.0, 80.0)), domains("h1", "a"), alert("x"))) as client:
        yield client


@pytest.mark.parametrize(
    ("host", "names", "answered"),
    [
        ("127.0.0.1:8000", (), True),
        ("192.168.1.5", (), True),
        ("[::1]:8000", (), True),
        ("localhost:8000", (), True),
        ("console:8000", (), True),
        ("a.localhost", (), True),
        ("evil.example", (), False),
        ("127.0.0.1.evil.example", (), False),
        ("evil.example:8000", ("rack.example",), False),
        ("Rack.Example:8000", ("rack.example",), True),
        ("evil.example", ("*",), True),
        ("[evil.example]", (), False),
        ("", (), False),
    ],
)
def test_a_name_that_another_site_could_lead_here_is_not_answered(host, names, answered):
    assert answered == is_allowed_host([host], names)


def test_a_request_with_two_hosts_is_not_answered():
    assert not is_allowed_host(["127.0.0.1", "evil.example"], ())


def test_a_foreign_name_gets_no_data(client):
    answer = client.get("/api/hosts", headers={"Host": "evil.example"})

    assert (421, False) == (answer.status_code, "h1" in answer.text)


@pytest.mark.parametrize("path", ["/api/overview", "/docs", "/nowhere", "/healthz"])
def test_browsers_are_told_to_keep_others_out(client, path):
    headers = client.get(path, headers={"Origin": "https://evil.example"}).headers

    assert "default-src 'none'" in headers["content-security-policy"]
    assert ("nosniff", "DENY") == (headers["x-content-type-options"], headers["x-frame-options"])
    assert [] == [name for name in headers if name.startswith("access-control-")]


def test_a_body_that_is_too_long_is_refused_whether_it_says_so_or_not(client):
    headers = {"Authorization": "Bearer t", "Content-Type": "application/json"}
    declared = client.post("/api/silences", content=b" " * (MAX_BODY_BYTES + 1), headers=headers)
    undeclared = client.post("/api/silences", content=iter([b" " * 600_000] * 2), headers=headers)

    assert (413, 413) == (declared.status_code, undeclared.status_code)


def test_a_failure_of_ours_is_told_with_an_id_that_is_in_the_log(capsys):
    answers = [{}]

    def decode(_alias, _value):
        if answers:
            return answers.pop()
        raise RuntimeError("password=hunter2")

    view = View(decode=decode)
    view.apply([("raw-host", b"h1", b"\x00\x00\x00\x00\x01\x04h1\x02c\x02")])
    with serving(view) as client:
        answer = client.get("/api/hosts/h1")

    assert (500, {"detail", "id"}) == (answer.status_code, set(answer.json()))
    assert "hunter2" not in answer.text
    logged = capsys.readouterr()
    assert answer.json()["id"] in logged.out + logged.err


def test_what_changes_something_needs_the_token(client):
    body = {"matchers": {"host": "h1"}, "for": "1h", "why": "test", "who": "ann"}
    answers = [
        client.post("/api/silences", json=body),
        client.post("/api/silences", json=body, headers={"Authorization": "Bearer ö".encode()}),
        client.delete("/api/silences/x"),
        client.post("/api/telemetry/start"),
    ]

    assert [401] * 4 == [answer.status_code for answer in answers]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"matchers": {"host": "*"}}, "a silence must not match every alert"),
        ({"for": None}, "a duration is required"),
        ({"until": "2999-01-01"}, "a duration is required"),
        ({"for": "soon"}, "soon"),
        ({"for": "99999999999d"}, "99999999999d"),
        ({"for": None, "until": "2001-01-01"}, "would never be active"),
        ({"matchers": {}}, "matchers"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused_with_the_reason(client, change, why):
    body = {"matchers": {"host": "h1"}, "for": "1h", "why": "test", "who": "ann"} | change
    answer = client.post("/api/silences", json=body, headers={"Authorization": "Bearer t"})

    assert 422 == answer.status_code
    assert why in answer.text


def test_a_console_that_has_not_reached_kafka_is_healthy_and_not_ready(client):
    assert 200 == client.get("/healthz").status_code
    answer = client.get("/readyz")
    assert 503 == answer.status_code
    assert ["Kafka does not answer", "the view has not caught up"] == answer.json()["why"]


def test_a_console_whose_reading_thread_stands_still_or_fails_is_not_ready_and_says_so(monkeypatch):
    view = seeing(target(), thermal("h1", (40.0, 80.0)))
    view.set_ready()
    view.record_offsets(OffsetSnapshot(0.0, {}), None, [], START_TIME)
    now_s = time.monotonic()
    view.record_progress("view-consumer")
    with serving(view) as client:
        assert {"status": "ready"} == client.get("/readyz").json()
        view.record_reader_error("RuntimeError('odd')")
        assert ["records are not being read: RuntimeError('odd')"] == client.get("/readyz").json()["why"]
        view.record_reader_error("")
        monkeypatch.setattr(time, "monotonic", lambda: now_s + STALL_S + 5)
        answer = client.get("/readyz")

    assert 503 == answer.status_code
    assert "no progress of view-consumer for 30 s" in answer.json()["why"][0]
    assert "no progress of view-consumer" in view.pipeline().outage_notice


def test_the_page_of_the_routes_loads_nothing_from_elsewhere(client):
    text = client.get("/docs").text

    assert "GET /api/hosts/{host}" in text
    assert "needs the token" in text
    assert [] == [word for word in ("<script", "http://", "https://", "src=") if word in text]


def test_a_value_that_json_cannot_hold_is_null():
    view = seeing(thermal("h1", (float("nan"), 80.0)), ("power", power_of("h1", float("inf"))))
    with serving(view) as client:
        answers = [client.get(path) for path in ("/api/hosts/h1", "/api/hosts", "/api/overview")]

    assert [200] * 3 == [answer.status_code for answer in answers]
    assert None is answers[0].json()["temperatures"][0]["celsius"]


def power_of(host, watts):
    from schemas.testing import make_record

    return make_record("Power", host=host, consumed_watts=watts)


def test_consoles_that_start_together_make_one_token_that_only_their_user_may_read(tmp_path):
    tokens, barrier = [], threading.Barrier(8)

    def start():
        barrier.wait()
        tokens.append(read_token(ConsoleSettings(token=None), tmp_path / "data").get_secret_value())

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (1, 8) == (len(set(tokens)), len(tokens))
    assert ["api-token"] == [path.name for path in (tmp_path / "data").iterdir()]
    assert 0o600 == stat.S_IMODE((tmp_path / "data" / "api-token").stat().st_mode)


@pytest.mark.parametrize(
    ("text", "mode"), [("s" * 16, 0o644), ("\n", 0o600), ("short", 0o600)], ids=["readable", "empty", "short"]
)
def test_a_token_file_that_protects_nothing_is_refused(tmp_path, text, mode):
    (tmp_path / "api-token").write_text(text)
    (tmp_path / "api-token").chmod(mode)

    with pytest.raises(Misconfigured, match=r"[Dd]elete it"):
        read_token(ConsoleSettings(token=None), tmp_path)


class Reader:
    """A reader of events at the ASGI door; `open` says whether it takes what it is sent."""

    def __init__(self):
        self.sent, self.open, self.gone = [], asyncio.Event(), asyncio.Event()
        self.open.set()

    async def send(self, message):
        await self.open.wait()
        self.sent.append(message.get("body", b"").decode())

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    @property
    def ids(self):
        return [line[4:] for line in "".join(self.sent).splitlines() if line.startswith("id: ")]


async def until(condition):
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110  several things may make it true
            await asyncio.sleep(0.02)


def begin(broadcast, reader, kinds=("alert",), last_id=None):
    stream = events.EventStream(broadcast, frozenset(kinds), last_id)
    return asyncio.create_task(stream({}, reader.receive, reader.send))


def ready():
    view = View()
    view.set_ready()
    return view


def test_a_reader_that_takes_nothing_is_dropped_and_others_are_not(monkeypatch):
    monkeypatch.setattr(events, "SEND_TIMEOUT_S", 0.3)

    async def run():
        view = ready()
        broadcast = events.EventBroadcast(view)
        slow, quick = Reader(), Reader()
        tasks = begin(broadcast, slow), begin(broadcast, quick)
        await until(lambda: slow.sent and quick.sent)
        slow.open.clear()
        seeing(alert("a"), view=view)
        await until(tasks[0].done)
        seeing(alert("b"), view=view)
        await until(lambda: len(quick.ids) == 2)
        assert (1, []) == (broadcast.clients, slow.ids)
        quick.gone.set()
        await until(tasks[1].done)
        assert 0 == broadcast.clients

    asyncio.run(run())


def test_a_reader_goes_on_after_the_event_it_saw_last():
    async def run():
        view = ready()
        broadcast = events.EventBroadcast(view)
        first = Reader()
        task = begin(broadcast, first)
        await until(lambda: first.sent)
        seeing(alert("a"), alert("b"), view=view)
        await until(lambda: len(first.ids) == 2)
        first.gone.set()
        await until(task.done)
        seeing(alert("c"), view=view)
        again, other = Reader(), Reader()
        begin(broadcast, again, last_id=first.ids[0])
        begin(broadcast, other, last_id="0-17")
        await until(lambda: len(again.ids) == 2 and other.sent)
        seeing(alert("d"), view=view)
        await until(lambda: len(again.ids) == 3 and other.ids)
        assert again.ids[-1] == other.ids[0]
        assert ["missed" in "".join(reader.sent) for reader in (again, other)] == [False, True]
        for reader in (again, other):
            reader.gone.set()
        await until(lambda: broadcast.clients == 0)

    asyncio.run(run())


def test_readers_that_begin_at_once_each_get_an_event_once():
    async def run():
        view = ready()
        broadcast = events.EventBroadcast(view)
        seeing(alert("a"), view=view)
        seeing(alert("b"), view=view)
        readers = [Reader() for _ in range(8)]
        for reader in readers:
            begin(broadcast, reader, last_id=f"{broadcast.run_id}-0")
        await until(lambda: all(reader.ids for reader in readers))
        assert {(f"{broadcast.run_id}-1", f"{broadcast.run_id}-2")} == {tuple(reader.ids) for reader in readers}
        for reader in readers:
            reader.gone.set()
        await until(lambda: broadcast.clients == 0)

    asyncio.run(run())


def test_readers_get_the_kinds_they_ask_for_and_the_overview_again_and_again(monkeypatch):
    monkeypatch.setattr(events, "OVERVIEW_INTERVAL_S", 0.1)
    monkeypatch.setattr(events, "POLL_INTERVAL_S", 0.05)

    async def run():
        view = ready()
        broadcast = events.EventBroadcast(view, lambda: stopped)
        stopped = False
        reader = Reader()
        task = begin(broadcast, reader, ("status", "overview"))
        await until(lambda: "".join(reader.sent).count("event: overview") >= 2)
        seeing(target(), alert("a"), view=view)
        await until(lambda: "event: status" in "".join(reader.sent))
        sent = "".join(reader.sent)
        assert "event: alert" not in sent
        data = [line[6:] for line in sent.splitlines() if line.startswith("data: ")]
        assert all(json.loads(line) is not None for line in data)
        stopped = True
        await until(task.done)

    asyncio.run(run())


def test_there_is_a_limit_to_readers(client, monkeypatch):
    monkeypatch.setattr(events, "MAX_CLIENTS", 0)

    assert 503 == client.get("/api/events").status_code
    assert 422 == client.get("/api/events?kinds=nonsense").status_code
