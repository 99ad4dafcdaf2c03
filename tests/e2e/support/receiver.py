"""A receiver of webhooks over a real socket, which answers as a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self


class Posted(NamedTuple):
    """One request that was taken."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = Callable[[Posted], tuple[int, dict[str, str]] | None]
"""Status and headers; None: the connection is cut without an answer."""


def take(_: Posted) -> tuple[int, dict[str, str]]:
    return 200, {}


class Receiver(ThreadingHTTPServer):
    """Keeps what it answered with 2xx, in order; `seen` has all."""

    daemon_threads = True

    def __init__(self, answer: Answer = take) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.lock = threading.Lock()
        self.seen: list[Posted] = []
        self.taken: list[Posted] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts taken: bodies of single ones, or of Alertmanager's lists."""
        with self.lock:
            bodies = [each.json for each in self.taken]
        return [alert for body in bodies for alert in (body if isinstance(body, list) else [body])]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in the middle is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # it would hold every second answer back for 40 ms
    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # the client was killed before it had sent it all
            self.close_connection = True
            return
        posted = Posted(self.path, dict(self.headers), body)
        answer = self.server.answer(posted)
        with self.server.lock:
            self.server.seen.append(posted)
            if answer is not None and 200 <= answer[0] < 300:
                self.server.taken.append(posted)
        if answer is None:
            self.close_connection = True
            return
        status, headers = answer
        self.send_response(status)
        said = f"answer {status} to {self.path} {self.headers.get('Authorization')}".encode()
        for name, value in {"Content-Length": str(len(said)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass
