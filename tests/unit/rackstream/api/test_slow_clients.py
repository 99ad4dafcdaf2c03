"""Clients that begin a request and do not end it are sent away; real sockets, short times."""

import contextlib
import socket
import threading

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from rackstream.api import middleware
from rackstream.api.http_protocol import TimedProtocol
from rackstream.api.middleware import RequestGuard
from tests.unit.support.waiting import until


class QuickProtocol(TimedProtocol):
    header_timeout_s = 0.3


async def answer_after_body(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await PlainTextResponse("done")(scope, receive, send)


@contextlib.contextmanager
def serving(app):
    """The port of a server with this application."""
    config = uvicorn.Config(app, port=0, http=QuickProtocol, log_config=None, lifespan="off", timeout_keep_alive=60)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        until(lambda: server.started)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX-", id="half a header"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT", id="half of the second request"),
    ],
)
def test_a_request_whose_headers_do_not_end_ends_its_connection(text):
    with serving(answer_after_body) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(text)
        with contextlib.suppress(ConnectionResetError):
            while client.recv(4096):  # a connection that stays would run into the timeout of 10 s
                pass


def test_a_request_that_takes_long_to_answer_is_answered():
    release = threading.Event()

    async def slow(scope, receive, send):
        import asyncio

        await asyncio.to_thread(release.wait)
        await PlainTextResponse("done")(scope, receive, send)

    with serving(slow) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        threading.Timer(3 * QuickProtocol.header_timeout_s, release.set).start()
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_body_that_does_not_end_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(middleware, "BODY_TIMEOUT_S", 0.3)
    with (
        serving(RequestGuard(answer_after_body)) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as client,
    ):
        client.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab")
        assert client.recv(4096).startswith(b"HTTP/1.1 ")
