"""A BMC that misbehaves, over a real socket: what a poll says, and that nothing it should not lose is lost."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from producers.reader import PollFailed, Sample
from producers.redfish import RedfishReader
from producers.redfish.http.client import MAX_CONCURRENT_REQUESTS, RedfishClient
from producers.redfish.http.transport import MAX_BODY_BYTES
from rackstream.simulators.faults import InjectedFault
from rackstream.simulators.redfish import RedfishSimulator

PASSWORD = "correct-horse-battery"
ROOT = "/redfish/v1"
Answer = Callable[["Handler"], None]


class Clock:
    """The real one, and a way to pass time."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


class Handler(BaseHTTPRequestHandler):
    """Answers from `server.tree`: a document, or something that misbehaves."""

    protocol_version = "HTTP/1.1"
    server: Bmc

    def do_GET(self) -> None:
        path = self.path.rstrip("/")
        with self.server.lock:
            self.server.asked.append((path, self.headers.get("Authorization")))
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        try:
            answer = self.server.tree.get(path, status(404))
            if callable(answer):
                answer(self)
            else:
                self.send(json.dumps(answer).encode())
        except OSError:
            self.close_connection = True
        finally:
            with self.server.lock:
                self.server.at_once -= 1

    def send(self, body: bytes, code: int = 200, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


class Bmc(ThreadingHTTPServer):
    """A BMC of two chassis, each with one temperature and 100 W, whose tree tests change at will."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.asked: list[tuple[str, str | None]] = []
        self.at_once = self.most_at_once = 0
        self.scheme = "http"
        self.tree: dict[str, Any] = {
            ROOT: {"Systems": link(f"{ROOT}/Systems"), "Chassis": link(f"{ROOT}/Chassis")},
            f"{ROOT}/Systems": {"Members": [link(f"{ROOT}/Systems/1")]},
            f"{ROOT}/Systems/1": {"Id": "1"},
            f"{ROOT}/Chassis": {"Members": [link(f"{ROOT}/Chassis/A"), link(f"{ROOT}/Chassis/B/")]},
        }
        for name in "AB":
            uri = f"{ROOT}/Chassis/{name}"
            self.tree[uri] = {"Id": name, "Thermal": link(f"{uri}/Thermal"), "Power": link(f"{uri}/Power")}
            self.tree[f"{uri}/Thermal"] = thermal(uri, 20)
            self.tree[f"{uri}/Power"] = {"PowerControl": [{"MemberId": "0", "PowerConsumedWatts": 100}]}

    def handle_error(self, *_: Any) -> None:
        pass

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def times(self, path: str) -> int:
        return sum(each == path for each, _ in self.asked)


def link(uri: str) -> dict[str, str]:
    return {"@odata.id": uri}


def thermal(uri: str, celsius: float) -> dict[str, Any]:
    entry = {"@odata.id": f"{uri}/Thermal#/Temperatures/0", "MemberId": "0", "ReadingCelsius": celsius}
    return {"@odata.id": f"{uri}/Thermal", "Temperatures": [entry]}


def status(code: int, **headers: str) -> Answer:
    return lambda handler: handler.send(b"{}", code, **headers)


def says(body: bytes) -> Answer:
    return lambda handler: handler.send(body)


def reset(handler: Handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def truncated(handler: Handler) -> None:
    handler.send(b'{"Temperatures": [', **{"Content-Length": "1000"})
    handler.close_connection = True


def hangs(handler: Handler) -> None:
    time.sleep(20)
    handler.close_connection = True


def drips(handler: Handler) -> None:
    handler.send(b"", **{"Content-Length": "1000"})
    for _ in range(200):
        handler.wfile.write(b" ")
        time.sleep(0.1)
    handler.close_connection = True


def stalls(handler: Handler) -> None:
    handler.send(b'{"Temperatures": [', **{"Content-Length": "1000"})
    time.sleep(20)
    handler.close_connection = True


def drips_head(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(200):
        handler.wfile.write(b"X-%d: 1\r\n" % number)
        time.sleep(0.1)
    handler.close_connection = True


def not_http(handler: Handler) -> None:
    handler.wfile.write(b"SSH-2.0-dropbear\r\n\r\n")
    handler.close_connection = True


def huge(handler: Handler) -> None:
    handler.send(b" ", **{"Content-Length": str(MAX_BODY_BYTES * 4)})
    with contextlib.suppress(OSError):
        for _ in range(MAX_BODY_BYTES * 4 // 2**20):
            handler.wfile.write(b" " * 2**20)
    handler.close_connection = True


@contextlib.contextmanager
def serving(bmc: Bmc) -> Iterator[Bmc]:
    thread = threading.Thread(target=bmc.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield bmc
    bmc.shutdown()
    bmc.server_close()
    thread.join()


@pytest.fixture
def bmc() -> Iterator[Bmc]:
    with serving(Bmc()) as each:
        yield each


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_reader(clock: Clock) -> Iterator[Callable[..., RedfishReader]]:
    readers: list[RedfishReader] = []

    def open_one(url: str, **options: Any) -> RedfishReader:
        client = RedfishClient(url, lambda: ("root", PASSWORD), clock=clock, **options)
        readers.append(RedfishReader("node1", client, labels={}, intervals={}, clock=clock))
        return readers[-1]

    yield open_one
    for each in readers:
        each.close()


@pytest.fixture
def reader(bmc: Bmc, open_reader: Callable[..., RedfishReader]) -> RedfishReader:
    return open_reader(bmc.url)


def celsius(sample: Sample) -> dict[str, float]:
    return {temperature["chassis_id"]: temperature["reading_celsius"] for temperature in sample.body["temperatures"]}


BAD_ANSWERS = [
    pytest.param(reset, "connection reset", id="a reset"),
    pytest.param(hangs, "no answer in time", id="no answer"),
    pytest.param(not_http, "answer is not HTTP", id="no HTTP"),
    pytest.param(drips_head, "no time left in this poll", id="a dripping head"),
    pytest.param(drips, "no time left in this poll", id="a dripping body"),
    pytest.param(stalls, "no time left in this poll", id="a body that stalls"),
    pytest.param(status(403), "HTTP 403", id="403"),
    pytest.param(status(404), "HTTP 404", id="404"),
    pytest.param(status(500), "HTTP 500", id="500"),
    pytest.param(status(503), "HTTP 503", id="503"),
    pytest.param(says(b""), "answer is empty", id="an empty body"),
    pytest.param(says(b"<!DOCTYPE html><html>Log in</html>"), "answer is not JSON", id="HTML"),
    pytest.param(says(b"\x00\x01<<<"), "answer is not JSON", id="garbage"),
    pytest.param(says(b"[" * 100_000), "answer is not JSON", id="JSON nested too deeply"),
    pytest.param(says(b"[]"), "answer is not a JSON object", id="an array"),
    pytest.param(says(b'{"error": {"code": "x"}}'), "answer is an error document", id="an error document with 200"),
    pytest.param(truncated, "answer cut off", id="a truncated body"),
    pytest.param(huge, "answer larger than 16 MiB", id="a huge body"),
    pytest.param(status(308, Location="http://127.0.0.2:9/x"), "link to another origin, not followed", id="a redirect"),
]


@pytest.mark.parametrize(("answer", "cause"), BAD_ANSWERS)
def test_a_bad_resource_is_counted_and_loses_no_other(
    bmc: Bmc, reader: RedfishReader, answer: Answer, cause: str
) -> None:
    reader.read("system", 5)
    bmc.tree[f"{ROOT}/Chassis/A/Thermal"] = answer
    began_s = time.monotonic()
    sample = reader.read("thermal", 2.0)
    assert {"B": 20.0} == celsius(sample)
    assert {(f"{ROOT}/Chassis/A/Thermal", cause): 1} == dict(sample.problems.counts)
    assert time.monotonic() - began_s < 15


@pytest.mark.parametrize(("answer", "cause"), BAD_ANSWERS)
def test_a_bad_service_root_fails_the_poll_as_unreachable(
    bmc: Bmc, reader: RedfishReader, answer: Answer, cause: str
) -> None:
    bmc.tree[ROOT] = answer
    began_s = time.monotonic()
    with pytest.raises(PollFailed, match=cause) as failed:
        reader.read("thermal", 2.0)
    assert failed.value.status == "unreachable"
    assert time.monotonic() - began_s < 15
    bmc.tree[ROOT] = {"Chassis": link(f"{ROOT}/Chassis")}
    assert {"A": 20.0, "B": 20.0} == celsius(reader.read("thermal", 5))


def test_nobody_there_is_unreachable(open_reader: Callable[..., RedfishReader]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(PollFailed, match="connection refused") as failed:
        open_reader(url).read("system", 2)
    assert failed.value.status == "unreachable"


def test_a_page_that_is_no_redfish_is_unreachable(bmc: Bmc, reader: RedfishReader) -> None:
    bmc.tree[ROOT] = {"hello": "world"}
    with pytest.raises(PollFailed, match="no Redfish service root"):
        reader.read("system", 2)


def test_https_to_a_plain_port_is_a_tls_failure(bmc: Bmc, open_reader: Callable[..., RedfishReader]) -> None:
    with pytest.raises(PollFailed, match="TLS failed") as failed:
        open_reader(bmc.url.replace("http:", "https:"), verify=False).read("system", 2)
    assert failed.value.status == "unreachable"


@pytest.mark.parametrize("answer", [drips, stalls])
def test_a_body_dripping_over_tls_meets_the_deadline(
    answer: Answer, tmp_path: Path, open_reader: Callable[..., RedfishReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    # Ignored: `verify` comes from fleet.yaml, not from the environment.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    server = Bmc()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.scheme = "https"
    with serving(server):
        reader = open_reader(server.url, verify=str(tmp_path / "ca.pem"))
        reader.read("system", 5)
        server.tree[f"{ROOT}/Chassis/A/Thermal"] = answer
        began_s = time.monotonic()
        assert {"B": 20.0} == celsius(reader.read("thermal", 2.0))
        assert time.monotonic() - began_s < 15


def test_after_a_401_the_bmc_is_left_alone_for_a_minute(bmc: Bmc, reader: RedfishReader, clock: Clock) -> None:
    good = bmc.tree[f"{ROOT}/Systems"]
    bmc.tree[f"{ROOT}/Systems"] = status(401)
    for category in ("system", "thermal", "power"):
        with pytest.raises(PollFailed) as failed:
            reader.read(category, 2)
        assert failed.value.status == "auth_failed"
    assert bmc.times(f"{ROOT}/Systems") == 1
    before = len(bmc.asked)
    clock.ahead_s += 59
    with pytest.raises(PollFailed, match="not tried again for 60 s"):
        reader.read("system", 2)
    assert len(bmc.asked) == before
    clock.ahead_s += 2
    bmc.tree[f"{ROOT}/Systems"] = good
    assert len(reader.read("system", 2).body["systems"]) == 1


def test_a_user_who_may_read_nothing_is_auth_failed(bmc: Bmc, reader: RedfishReader) -> None:
    bmc.tree[f"{ROOT}/Systems"] = bmc.tree[f"{ROOT}/Chassis"] = status(403)
    with pytest.raises(PollFailed) as failed:
        reader.read("system", 2)
    assert failed.value.status == "auth_failed"


@pytest.mark.parametrize("where", [ROOT, f"{ROOT}/Systems", f"{ROOT}/Systems/1"])
@pytest.mark.parametrize("answer", [status(401), status(500), reset, truncated])
def test_no_message_tells_the_password(bmc: Bmc, reader: RedfishReader, answer: Answer, where: str) -> None:
    bmc.tree[where] = answer
    with contextlib.suppress(PollFailed):
        reader.read("system", 2)
    bmc.tree[ROOT] = status(401)
    reader = RedfishReader("node1", RedfishClient(bmc.url, lambda: ("root", PASSWORD)), labels={}, intervals={})
    with pytest.raises(PollFailed) as failed:
        reader.read("system", 2)
    told = "".join(traceback.format_exception(failed.value)) + repr(reader) + repr(vars(reader))
    assert PASSWORD not in told
    reader.close()


@pytest.mark.parametrize("how", ["link", "redirect", "member"])
def test_credentials_never_leave_for_another_origin(bmc: Bmc, reader: RedfishReader, how: str) -> None:
    with serving(Bmc()) as stranger:
        stranger.tree["/x"] = thermal("/x", 99)
        if how == "link":
            bmc.tree[f"{ROOT}/Chassis/A"]["Thermal"] = link(f"{stranger.url}/x")
        elif how == "redirect":
            bmc.tree[f"{ROOT}/Chassis/A/Thermal"] = status(307, Location=f"{stranger.url}/x")
        else:
            bmc.tree[f"{ROOT}/Chassis"]["Members"][0] = link(stranger.url.replace("http://", "//") + "/x")
        sample = reader.read("thermal", 5)
        assert {"B": 20.0} == celsius(sample)
        assert ["link to another origin, not followed"] == [cause for _, cause in sample.problems.counts]
        assert stranger.asked == []


@pytest.mark.parametrize(
    "odd", ["http:\\\\evil.example/x", "http://evil.example\\@127.0.0.1/x", "http://[", "redfish/v1", "\x00", "//"]
)
def test_odd_links_harm_nothing(bmc: Bmc, reader: RedfishReader, odd: str) -> None:
    bmc.tree[f"{ROOT}/Chassis/A"]["Thermal"] = link(odd)
    assert {"B": 20.0} == celsius(reader.read("thermal", 5))


def test_a_redirect_within_the_bmc_is_followed_with_credentials(bmc: Bmc, reader: RedfishReader) -> None:
    bmc.tree["/moved"] = bmc.tree[ROOT]
    bmc.tree[ROOT] = status(308, Location="/moved")
    assert {"A": 20.0, "B": 20.0} == celsius(reader.read("thermal", 5))
    assert all(authorization for _, authorization in bmc.asked)


def test_redirects_in_a_circle_end(bmc: Bmc, reader: RedfishReader) -> None:
    bmc.tree[ROOT] = status(307, Location=ROOT)
    with pytest.raises(PollFailed, match="too many redirects"):
        reader.read("thermal", 5)


def test_discovery_is_done_once(bmc: Bmc, reader: RedfishReader) -> None:
    for category in ("system", "thermal", "power") * 3:
        reader.read(category, 5)
    assert (1, 1, 3) == (bmc.times(ROOT), bmc.times(f"{ROOT}/Chassis/A"), bmc.times(f"{ROOT}/Chassis/A/Thermal"))


def test_a_bmc_that_comes_back_with_other_ids_is_discovered_anew(bmc: Bmc, reader: RedfishReader) -> None:
    reader.read("thermal", 5)
    for path in [path for path in bmc.tree if path.startswith(f"{ROOT}/Chassis/")]:
        del bmc.tree[path]
    bmc.tree[f"{ROOT}/Chassis"] = {"Members": [link(f"{ROOT}/Chassis/C")]}
    bmc.tree[f"{ROOT}/Chassis/C"] = {"Thermal": link("/c")}
    bmc.tree["/c"] = thermal("/c", 30)
    assert {} == celsius(reader.read("thermal", 5))
    assert {"C": 30.0} == celsius(reader.read("thermal", 5))


def test_a_dead_link_is_asked_again_only_after_ten_minutes(bmc: Bmc, reader: RedfishReader, clock: Clock) -> None:
    path = f"{ROOT}/Chassis/A/Thermal"
    alive = bmc.tree.pop(path)
    for _ in range(3):
        assert {(path, "HTTP 404"): 1} == dict(reader.read("thermal", 5).problems.counts)
    assert bmc.times(path) == 1
    bmc.tree[path] = alive
    clock.ahead_s += 601
    assert {"A": 20.0, "B": 20.0} == celsius(reader.read("thermal", 5))


def test_a_broken_resource_is_tried_at_the_next_poll_then_less_and_less(
    bmc: Bmc, reader: RedfishReader, clock: Clock
) -> None:
    path = f"{ROOT}/Chassis/A/Thermal"
    bmc.tree[path] = status(503)
    for _ in range(60):
        reader.read("thermal", 5)
        clock.ahead_s += 10
    assert 5 <= bmc.times(path) <= 8


def test_a_chassis_that_hangs_delays_no_other(bmc: Bmc, reader: RedfishReader) -> None:
    bmc.tree[f"{ROOT}/Chassis/A"] = hangs
    sample = reader.read("thermal", 2)
    assert {"B": 20.0} == celsius(sample)
    assert f"{ROOT}/Chassis/A" in {where for where, _ in sample.problems.counts}


def test_a_collection_that_breaks_once_is_asked_at_the_next_poll(bmc: Bmc, reader: RedfishReader) -> None:
    good, path = bmc.tree[f"{ROOT}/Chassis"], f"{ROOT}/Chassis"
    bmc.tree[path] = says(b"<<<")
    assert {(path, "answer is not JSON"): 1} == dict(reader.read("thermal", 5).problems.counts)
    bmc.tree[path] = good
    assert {"A": 20.0, "B": 20.0} == celsius(reader.read("thermal", 5))


def test_chassis_that_all_hang_fail_the_poll_and_are_asked_at_the_next(bmc: Bmc, reader: RedfishReader) -> None:
    good = {path: bmc.tree[path] for path in (f"{ROOT}/Chassis/A", f"{ROOT}/Chassis/B")}
    bmc.tree.update(dict.fromkeys(good, hangs))
    with pytest.raises(PollFailed, match="no answer in time"):
        reader.read("thermal", 0.5)
    bmc.tree.update(good)
    assert {"A": 20.0, "B": 20.0} == celsius(reader.read("thermal", 5))


def test_pages_are_followed_once_and_members_read_once(bmc: Bmc, reader: RedfishReader) -> None:
    collection = bmc.tree[f"{ROOT}/Chassis"]
    collection["Members"] = [collection["Members"][0], None, {}, link(""), link(f"{ROOT}/Chassis/A/")]
    collection["Members@odata.nextLink"] = f"{ROOT}/Chassis?$skip=75"
    bmc.tree[f"{ROOT}/Chassis?$skip=75"] = {
        "Members": [link(f"{ROOT}/Chassis/A"), link(f"{ROOT}/Chassis/B")],
        "Members@odata.nextLink": f"{ROOT}/Chassis",
    }
    assert {"A": 20.0, "B": 20.0} == celsius(reader.read("thermal", 5))
    assert bmc.times(f"{ROOT}/Chassis/A") == 1


def test_one_reading_is_recorded_once(bmc: Bmc, reader: RedfishReader) -> None:
    bmc.tree[f"{ROOT}/Chassis/B"]["Thermal"] = link(f"{ROOT}/Chassis/A/Thermal/")  # shared by two chassis
    entries = bmc.tree[f"{ROOT}/Chassis/A/Thermal"]["Temperatures"]
    entries.append({"MemberId": "0", "ReadingCelsius": 1})
    entries.append({"@odata.id": f"{ROOT}/Chassis/A/Thermal#Temperatures/0", "MemberId": "7", "ReadingCelsius": 1})
    sample = reader.read("thermal", 5)
    assert [("A", "0", 20.0)] == [
        (temperature["chassis_id"], temperature["sensor_id"], temperature["reading_celsius"])
        for temperature in sample.body["temperatures"]
    ]
    assert {("temperatures", "duplicate ignored"): 2} == dict(sample.problems.counts)


def test_two_chassis_of_one_id_are_told_apart(bmc: Bmc, reader: RedfishReader) -> None:
    bmc.tree[f"{ROOT}/Chassis/A"]["Id"] = bmc.tree[f"{ROOT}/Chassis/B"]["Id"] = "Self"
    assert {"Self": 20.0, "B": 20.0} == celsius(reader.read("thermal", 5))


def test_a_bmc_without_thermal_says_so(bmc: Bmc, reader: RedfishReader) -> None:
    bmc.tree[f"{ROOT}/Chassis"]["Members"] = None
    sample = reader.read("thermal", 5)
    assert {("thermal", "the BMC links no such resource"): 1} == dict(sample.problems.counts)


def test_at_most_four_requests_at_once(bmc: Bmc, reader: RedfishReader) -> None:
    uris = [f"{ROOT}/Chassis/C{number}" for number in range(12)]
    bmc.tree[f"{ROOT}/Chassis"]["Members"] = [link(uri) for uri in uris]

    def slow(document: dict[str, Any]) -> Answer:
        def answer(handler: Handler) -> None:
            time.sleep(0.05)
            handler.send(json.dumps(document).encode())

        return answer

    for uri in uris:
        bmc.tree[uri] = slow({"Thermal": link(f"{uri}/Thermal"), "Power": link(f"{uri}/Power")})
        bmc.tree[f"{uri}/Thermal"] = slow(thermal(uri, 20))
        bmc.tree[f"{uri}/Power"] = slow({"PowerControl": [{"PowerConsumedWatts": 1}]})
    samples: dict[str, Sample] = {}
    threads = [
        threading.Thread(target=lambda name=name: samples.update({name: reader.read(name, 10)}))
        for name in ("system", "thermal", "power")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (12, 12, 1) == tuple(
        len(samples[category].body[array])
        for category, array in (("thermal", "temperatures"), ("power", "power_controls"), ("system", "systems"))
    )
    assert bmc.most_at_once == MAX_CONCURRENT_REQUESTS
    assert bmc.times(ROOT) == 1


def test_what_fails_for_good_is_told_at_every_poll_though_it_is_no_longer_asked_for() -> None:
    passed_s = 0.0

    def clock() -> float:
        return passed_s + time.monotonic()

    with RedfishSimulator(1, model="lenovo", username="root", password="x") as simulator:
        simulator.set_fault(0, InjectedFault.create("5xx", 500, "/Power"))
        reader = RedfishReader(
            "h",
            RedfishClient(simulator.urls[0], lambda: ("root", "x"), clock=clock),
            labels={},
            intervals={},
            clock=clock,
        )
        for _ in range(10):
            assert reader.read("power", 5).problems.whole
            passed_s += 2
        reader.close()
