"""The InfluxDB sink against an HTTP server that answers as InfluxDB 3.10 was seen to (shared measurements)."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from runtime.errors import Misconfigured, Retry
from sinks.influx import setup
from sinks.influx.client import InfluxClient
from sinks.influx.sink import InfluxConnector
from sinks.settings import InfluxSettings

TOKEN = "apiv3_very-secret"
Answer = tuple[int, dict[str, str], Any]


class Server(ThreadingHTTPServer):
    """Keeps the lines it acknowledged; `answer` decides on each body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stored: list[str] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.answer: Callable[[list[str]], Answer | None] = lambda _: None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # an answer in two packets waits for the client's delayed acknowledgement
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers)))
        body = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
        lines = body.decode().split("\n")
        status, headers, text = self.server.answer(lines) or (204, {}, None)
        if status == 204:
            self.server.stored += lines
        content = b"" if text is None else json.dumps(text).encode() if not isinstance(text, str) else text.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # the client that would not wait
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def settings(server: Server, **values: Any) -> InfluxSettings:
    url = f"http://127.0.0.1:{server.server_port}"
    return InfluxSettings.read(_env_file=None, url=url, database="db", token=TOKEN, **values)


@pytest.fixture
def client(server: Server) -> Iterator[InfluxClient]:
    made = InfluxClient(settings(server, max_lines=100))
    yield made
    made.close()


LINES = [f"m,n={at} f=1i {at}".encode() for at in range(1000)]
TEXT = [line.decode() for line in LINES]


def refuse_whole(bad: set[str], status: int) -> Callable[[list[str]], Answer | None]:
    return lambda lines: (status, {}, {"error": "no"}) if bad & set(lines) else None


def test_lines_go_to_the_v3_endpoint_synchronously_and_in_bodies(server: Server, client: InfluxClient) -> None:
    assert client.write(LINES) == {}
    assert sorted(server.stored) == sorted(TEXT)
    assert len(server.requests) == 10
    path, headers = server.requests[0]
    assert path == "/api/v3/write_lp?org=default&db=db&precision=nanosecond"
    assert headers["Authorization"] == f"Token {TOKEN}"


def test_bodies_can_be_compressed_and_the_endpoint_be_v2(server: Server) -> None:
    client = InfluxClient(settings(server, api="v2", compression="gzip"))
    assert client.write(LINES[:10]) == {}
    client.close()
    assert server.stored == TEXT[:10]
    path, headers = server.requests[0]
    assert path == "/api/v2/write?org=default&bucket=db&precision=ns"
    assert headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("bad", [{0}, {99}, {37, 38, 950}, set(range(100, 200))], ids=["first", "last", "some", "body"])
def test_a_refused_body_is_halved_down_to_the_bad_lines(server: Server, client: InfluxClient, status, bad) -> None:
    server.answer = refuse_whole({TEXT[at] for at in bad}, status)
    assert client.write(LINES) == dict.fromkeys(bad, "no")
    assert set(server.stored) == {text for at, text in enumerate(TEXT) if at not in bad}


def test_a_partial_write_names_its_lines_and_the_others_are_confirmed(server: Server, client: InfluxClient) -> None:
    bad = {TEXT[150], TEXT[199]}

    def answer(lines: list[str]) -> Answer | None:
        numbers = [number for number, text in enumerate(lines, 1) if text in bad]
        data = [{"error_message": f"bad {number}", "line_number": number, "original_line": "m"} for number in numbers]
        # Even if the server names only one of two: what it does not name is written again until it is acknowledged.
        return (400, {}, {"error": "partial write of line protocol occurred", "data": data[:1]}) if data else None

    server.answer = answer
    assert client.write(LINES) == {150: "bad 51", 199: "bad 99"}
    assert set(server.stored) == set(TEXT) - bad


@pytest.mark.parametrize(
    ("status", "headers", "after_s"),
    [
        pytest.param(429, {"Retry-After": "7"}, 7.0, id="429 with a wait"),
        pytest.param(503, {}, None, id="503"),
        pytest.param(500, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None, id="500 with a date"),
    ],
)
def test_a_busy_server_is_tried_again(server: Server, client: InfluxClient, status, headers, after_s) -> None:
    server.answer = lambda _: (status, headers, f"busy, {TOKEN}")
    with pytest.raises(Retry, match=rf"answers {status}: busy, \*\*\*") as caught:
        client.write(LINES)
    assert caught.value.after_s == after_s


@pytest.mark.parametrize(
    ("api", "status", "text", "names"),
    [
        pytest.param("v3", 401, "unauthorized access", "INFLUX_TOKEN", id="wrong token"),
        pytest.param("v3", 403, "forbidden", "INFLUX_TOKEN", id="no rights"),
        pytest.param("v2", 404, 'database not found: "db"', "INFLUX_DB", id="no such database"),
        pytest.param(
            "v3", 404, "404 page not found", "RACKSTREAM_INFLUX_API=v2", id="an old server has no v3 endpoint"
        ),
        pytest.param("v2", 405, "", "RACKSTREAM_INFLUX_API=v3", id="no v2 endpoint"),
        pytest.param("v3", 302, "", "INFLUX_URL", id="a redirect"),
    ],
)
def test_what_a_person_must_mend_names_the_setting(server: Server, api, status, text, names) -> None:
    client = InfluxClient(settings(server, api=api))
    server.answer = lambda _: (status, {}, {"error": text})
    with pytest.raises(Misconfigured, match=names) as caught:
        client.write(LINES[:1])
    client.close()
    assert TOKEN not in str(caught.value)


def test_one_wrong_token_among_busy_answers_is_not_a_retry(server: Server, client: InfluxClient) -> None:
    server.answer = lambda lines: (401, {}, "") if TEXT[950] in lines else (503, {}, "")
    with pytest.raises(Misconfigured):
        client.write(LINES)


def test_no_server_is_tried_again(server: Server, client: InfluxClient) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(Retry, match=r"not reached: .*refused"):
        client.write(LINES[:1])


def test_a_slow_server_is_tried_again(server: Server) -> None:
    client = InfluxClient(settings(server, timeout_s=0.2))
    asked = threading.Event()
    server.answer = lambda _: (204, {}, "") if asked.wait(5) else None
    with pytest.raises(Retry, match="not reached"):
        client.write(LINES[:1])
    asked.set()
    client.close()


def test_the_token_shows_nowhere(server: Server, client: InfluxClient) -> None:
    for each in (settings(server), client, InfluxConnector(settings(server))):
        assert TOKEN not in repr(each)
        assert TOKEN not in str(each)
    for token in ("with\nnewline", "ümlaut", ""):
        with pytest.raises(Misconfigured) as caught:
            InfluxSettings.read(_env_file=None, url="http://influx", database="db", token=token)
        assert "no HTTP header can carry" in str(caught.value)
        assert not token or token not in str(caught.value)


def test_all_missing_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INFLUX_URL", "INFLUX_DB", "INFLUX_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Misconfigured, match=r"INFLUX_URL: not set; INFLUX_DB: not set; INFLUX_TOKEN: not set"):
        InfluxSettings.read(_env_file=None)


@pytest.mark.parametrize("url", ["influx:8181", "http://user:pw@influx:8181", "http://influx/path", "ftp://influx"])
def test_an_address_the_client_would_misread_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"INFLUX_URL|url"):
        InfluxSettings.read(_env_file=None, url=url, database="db", token=TOKEN)


def test_a_connector_writes_by_count_and_by_time_and_drains(server: Server) -> None:
    connector = InfluxConnector(settings(server, max_lines=100, max_sec=0.05))
    connector.start_writing()
    for text in TEXT[:250]:
        assert connector.enqueue(text)
    assert connector.stop_writing(timeout=60)
    assert server.stored == TEXT[:250]
    assert (connector.written, connector.dropped, connector.queue_size) == (250, 0, 0)


def test_a_connector_keeps_its_lines_while_the_server_is_away_and_bounds_them(server: Server) -> None:
    connector = InfluxConnector(settings(server, max_sec=0.01), max_queued=10)
    server.answer = lambda _: (503, {}, "")
    with capture_logs() as logs:
        assert [connector.enqueue(text) for text in TEXT[:12]] == [True] * 10 + [False] * 2
    assert len(logs) == 1
    connector.start_writing()
    assert not connector.stop_writing(timeout=0.3)
    assert (connector.queue_size, connector.dropped) == (10, 2)
    server.answer = lambda _: None
    connector.start_writing()
    assert connector.stop_writing(timeout=60)
    assert server.stored == TEXT[:10]


class Old(BaseHTTPRequestHandler):
    """InfluxDB 2 and 3 as far as setting up goes, after their API references; `made` is what was asked of it."""

    protocol_version = "HTTP/1.1"
    version = "3.10.3"
    made: ClassVar[list[tuple[str, Any]]] = []

    def do_GET(self) -> None:
        names = [body.get("db") or body.get("name") for _, body in self.made]
        path, _, query = self.path.partition("?")
        if path == "/api/v2/buckets":
            name = parse_qs(query)["name"][0]
            found = [{"name": name, "retentionRules": [{"everySeconds": 604800}]}] if name in names else []
            self.say(200 if found else 404, {"buckets": found})
        elif path == "/api/v2/orgs":
            self.say(200, {"orgs": [{"id": "0a", "name": "default"}]})
        elif path == "/api/v3/configure/database":
            self.say(200, [{"iox::database": name} for name in names])
        else:
            self.say(200, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "write" in self.path:
            self.say(400 if self.version.startswith("3") else 204, None)
        else:
            self.made.append((self.path, json.loads(body)))
            self.say(201, {})

    def say(self, status: int, content: Any) -> None:
        right = self.headers["Authorization"] == f"Token {TOKEN}"
        body = b"" if status == 204 or not right else json.dumps(content).encode()
        self.send_response(status if right else 401)
        self.send_header("X-Influxdb-Version", self.version)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    ("version", "api", "asked"),
    [
        pytest.param(
            "3.10.3",
            "v3",
            [("/api/v3/configure/database", {"db": "fleet", "retention_period": "30d"}),
             ("/api/v3/configure/database", {"db": "devices", "retention_period": "7d"})],
            id="databases of version 3",
        ),
        pytest.param(
            "v2.7.12",
            "v2",
            [("/api/v2/buckets",
              {"orgID": "0a", "name": name, "retentionRules": [{"type": "expire", "everySeconds": seconds}]})
             for name, seconds in (("fleet", 2592000), ("devices", 604800))],
            id="buckets of version 2",
        ),
    ],
)  # fmt: skip
def test_the_set_up_asks_for_the_retention_advised_once(version: str, api: str, asked: list[Any]) -> None:
    Old.version, Old.made = version, []
    with ThreadingHTTPServer(("127.0.0.1", 0), Old) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        given = {"url": f"http://127.0.0.1:{server.server_port}", "database": "fleet", "devices_database": "devices"}
        chosen = InfluxSettings.read(_env_file=None, token=TOKEN, api=api, **given)
        assert [False, False] == [place.exists for place in setup.InfluxServer(chosen).write_targets(create=False)]
        assert [] == Old.made
        assert [True, True] == [place.created for place in setup.InfluxServer(chosen).write_targets(create=True)]
        assert asked == Old.made
        again = setup.InfluxServer(chosen).write_targets(create=True)
        assert [(True, False), (True, False)] == [(each.exists, each.created) for each in again]
        assert asked == Old.made
        with pytest.raises(Misconfigured, match=r"answers 401: check INFLUX_TOKEN"):
            setup.InfluxServer(chosen.model_copy(update={"token": SecretStr("wrong")})).write_targets(create=False)
        server.shutdown()


def test_devices_go_to_the_database_of_their_own(server: Server) -> None:
    client = InfluxClient(settings(server, devices_database="short"))
    assert client.write([b"vm_devices,VMID=1 f=1i 1", b"vm_totals,VMID=1 f=1i 1"]) == {}
    client.close()
    assert {f"/api/v3/write_lp?org=default&db={name}&precision=nanosecond" for name in ("db", "short")} == {
        path for path, _ in server.requests
    }


def test_the_reason_of_a_long_refusal_is_kept(server: Server, client: InfluxClient) -> None:
    server.answer = lambda _: (400, {}, {"error": f"unable to parse '{'y' * 70_000}': max key length exceeded"})
    [reason] = client.write([b"m f=1i 1"]).values()
    assert reason.endswith("max key length exceeded")
    assert len(reason) < 600
