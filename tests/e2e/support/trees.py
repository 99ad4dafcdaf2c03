"""Redfish over real sockets, for tests: a tree of path → document, changed at will, and the emulator of sushy-tools."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 2**16  # head and body in one packet, else each answer waits for a delayed acknowledgement
    server: Tree

    def do_GET(self) -> None:
        path = self.path.rstrip("/")
        given = self.headers.get("Authorization")
        with self.server.lock:
            self.server.asked.append(path)
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
            refused = self.server.too_many if self.server.at_once > 1 else 0
        time.sleep(self.server.slow_s)
        with self.server.lock:
            self.server.at_once -= 1
        bare, _, query = path.partition("?")
        path = bare if self.server.expands and query.startswith("$expand=") else path
        if refused:
            self.answer(refused, {"error": {"code": "Base.1.8.ServiceTemporarilyUnavailable"}})
        elif self.server.login and path != "/redfish/v1" and given != self.server.login:
            self.answer(401, {"error": {"code": "Base.1.8.NoValidSession"}})
        elif path not in self.server.tree:
            self.answer(404, {"error": {"code": "Base.1.8.ResourceMissingAtURI"}})
        else:
            self.answer(
                200, self.server.expanded(path) if path != self.path.rstrip("/") else self.server.document(path)
            )

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.answer(201, {"got": json.loads(self.rfile.read(length) or b"null")})

    def answer(self, code: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


class Tree(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, tree: dict[str, Any], *, username: str = "", password: str = "", tls: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tree = tree
        self.login = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode() if username else None
        self.lock = threading.Lock()
        self.connections: list[socket.socket] = []
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.slow_s = 0.0
        """How long each answer takes."""
        self.too_many = 0
        """Status of what is asked while another request is under way; 0: it takes several."""
        self.expands = False
        """Whether $expand puts the members of a collection into it; else it is a resource that is not there."""
        self.scheme = "http"
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"

    def handle_error(self, *_: Any) -> None:
        pass

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    def hang_up(self) -> None:
        """Ends all connections, also those that clients keep for later requests."""
        for connection in self.connections:
            with contextlib.suppress(OSError):  # ended already
                connection.shutdown(socket.SHUT_RDWR)

    def document(self, path: str) -> Any:
        document = self.tree[path]
        return {"@odata.id": path} | document if isinstance(document, dict) else document

    def expanded(self, path: str) -> Any:
        document = self.document(path)
        links = [member["@odata.id"].rstrip("/") for member in document["Members"]]
        members = [self.document(link) if link in self.tree else {"@odata.id": link} for link in links]
        return document | {"Members": members}

    @property
    def port(self) -> int:
        return self.server_address[1]

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving(tree: Tree) -> Iterator[Tree]:
    thread = threading.Thread(target=tree.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield tree
    finally:
        tree.shutdown()
        tree.server_close()
        thread.join()


@contextlib.contextmanager
def emulated(directory: Path, **settings: str) -> Iterator[int]:
    """Port of a sushy-emulator with its fake driver and these settings of its own."""
    config = directory / "emulator.conf"
    lines = {"FAKE_DRIVER": True, "STATE_DIR": str(directory), **settings}
    config.write_text("".join(f"SUSHY_EMULATOR_{name} = {value!r}\n" for name, value in lines.items()))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "sushy_tools.emulator.main", "-i", "127.0.0.1", "-p", str(port)]
    with (
        (directory / "log").open("w") as log,
        subprocess.Popen([*command, "--config", str(config)], stdout=log, stderr=log) as process,
    ):
        try:
            deadline_s = time.monotonic() + 20
            while time.monotonic() < deadline_s:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None, (directory / "log").read_text()
                    time.sleep(0.05)
            yield port
        finally:
            process.kill()
