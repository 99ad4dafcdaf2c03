"""A Redfish tree served over a real socket: a dictionary of path → document, changed at will. For tests."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trustme


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Tree

    def do_GET(self) -> None:
        path = self.path.rstrip("/")
        given = self.headers.get("Authorization")
        with self.server.lock:
            self.server.asked.append(path)
        if self.server.login and path != "/redfish/v1" and given != self.server.login:
            self.answer(401, {"error": {"code": "Base.1.8.NoValidSession"}})
        elif path not in self.server.tree:
            self.answer(404, {"error": {"code": "Base.1.8.ResourceMissingAtURI"}})
        else:
            document = self.server.tree[path]
            self.answer(200, {"@odata.id": path} | document if isinstance(document, dict) else document)

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
        self.asked: list[str] = []
        self.scheme = "http"
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"

    def handle_error(self, *_: Any) -> None:
        pass

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
