"""A password, a token and a proxy's password that nobody can mistake appear nowhere, whatever goes wrong."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import socket
import traceback
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner

from producers.reader import PollFailed
from producers.redfish import RedfishReader, RedfishTelemetryCollector
from producers.redfish.http.client import RedfishClient
from rackstream.cli import cli
from tests.e2e.support.doors import CHASSIS, PASSWORD, ROOT, SESSIONS, USERNAME, Door
from tests.e2e.support.trees import serving

CANARIES = ("canary-of-the-password", "canary-of-the-token", "canary-of-the-proxy")
ENCODED = tuple(
    base64.b64encode(f"{user}:{canary}".encode()).decode() for user in (USERNAME, "someone") for canary in CANARIES
)


def forbid(door: Door) -> None:
    door.forbidden = {CHASSIS, f"{ROOT}/Chassis"}


def lose_tokens(door: Door) -> None:
    door.tokens_work = False


def change_password(door: Door) -> None:
    door.password, door.basic_works = "another", False


def no_sessions(door: Door) -> None:
    door.post_status = 405


def used_up(door: Door) -> None:
    door.most = 0


def absent(door: Door) -> None:
    del door.tree[f"{CHASSIS}/Thermal"]


def garbage(door: Door) -> None:
    door.tree[CHASSIS] = ["no object"]


def elsewhere(door: Door) -> None:
    door.tree[CHASSIS] = {"Thermal": {"@odata.id": "https://127.0.0.2:9/x"}}


FAULTS: list[Callable[[Door], None]] = [
    forbid, lose_tokens, change_password, no_sessions, used_up, absent, garbage, elsewhere,
]  # fmt: skip


@pytest.fixture
def door() -> Iterator[Door]:
    with serving(Door()) as own:
        own.password = CANARIES[0]
        own.token_prefix = CANARIES[1]
        yield own


def clean(*texts: str) -> None:
    whole = "\n".join(texts)
    assert whole
    assert [] == [canary for canary in (*CANARIES, *ENCODED) if canary in whole]


def parts(whole: object) -> list[object]:
    """An object and all objects of the product that it is made of, as a debugger lists them."""
    ids: dict[int, object] = {}
    queue = [whole]
    while queue:
        part = queue.pop()
        is_ours = type(part).__module__.startswith(("producers.", "runtime."))
        if id(part) not in ids and (is_ours or isinstance(part, (list, tuple, set, dict))):
            ids[id(part)] = part
            queue += part.values() if isinstance(part, dict) else part if isinstance(part, (list, tuple, set)) else ()
            queue += getattr(part, "__dict__", {}).values()
    return [part for part in ids.values() if type(part).__module__ != "builtins"]


def outputs(reader: RedfishReader) -> Iterator[str]:
    """All that polls say, twice, for what is remembered is said in other words."""
    for _ in range(2):
        try:
            sample = reader.read("thermal", 5)
            yield json.dumps(sample.body) + json.dumps(sample.problems.as_records())
        except PollFailed as failed:
            yield "".join(traceback.format_exception(failed))
        [client] = [part for part in parts(reader) if isinstance(part, RedfishClient)]
        yield repr(reader.facts()) + repr(vars(client)) + repr(client.error_counts) + repr(parts(reader))


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_tells_a_secret(door: Door, fault: Callable[[Door], None], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = RedfishClient(door.url, lambda: (USERNAME, CANARIES[0]), stale_session=f"{SESSIONS}/9")
    reader = RedfishReader("node1", client, labels={}, intervals={})
    texts = [*outputs(reader)]
    fault(door)
    door.tokens.clear()
    reader = RedfishReader("node1", client, labels={}, intervals={})
    texts += [*outputs(reader)]
    reader.close()
    clean(*texts, caplog.text)
    assert door.made or client.basic_reason  # the secrets were really used


@pytest.mark.parametrize("fault", FAULTS)
def test_the_probe_tells_none(door: Door, fault: Callable[[Door], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BMC_PASSWORD", CANARIES[0])
    fault(door)
    for as_json in ([], ["--json"]):
        ended = CliRunner().invoke(
            cli, ["probe", door.url, "--username", USERNAME, "--password-env", "BMC_PASSWORD", *as_json]
        )
        trace = "".join(traceback.format_exception(ended.exception)) if ended.exception else ""
        clean(ended.output, trace + " ")


def refusing(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")


def babbling(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-dropbear\r\n\r\n")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("proxy", [refusing, babbling, None])
def test_a_proxy_that_fails_tells_none(
    scheme: str, proxy: Callable[[socket.socket], None] | None, caplog: pytest.LogCaptureFixture
) -> None:
    import threading

    caplog.set_level(logging.DEBUG)
    received = io.BytesIO()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        received.write(connection.recv(4096))
                        if proxy:
                            proxy(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        client = RedfishClient(
            f"{scheme}://127.0.0.1:9",
            lambda: (USERNAME, CANARIES[0]),
            proxy=f"http://someone:{CANARIES[2]}@127.0.0.1:{port}",
        )
        reader = RedfishReader("node1", client, labels={}, intervals={})
        clean(*outputs(reader), caplog.text + " ")
        reader.close()
        assert b"proxy-authorization: basic" in received.getvalue().lower()
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_a_collector_tells_none(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        serving(Door(tls=True)) as tls,
        RedfishTelemetryCollector("127.0.0.1", USERNAME, CANARIES[0], tls.port) as collector,
    ):
        assert PASSWORD == tls.password  # another: refused
        assert [] == collector.get_all_telemetry()
        assert collector._make_request("GET", f"https://{USERNAME}:{CANARIES[0]}@127.0.0.1:{tls.port}/x") is None
        clean(caplog.text, repr(collector), repr(collector.session.__dict__))
