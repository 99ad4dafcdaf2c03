"""Redfish trees in folders, as captures are kept, served over TLS: `redfish/v1/Systems/index.json` and so on."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import trustme

USERNAME, PASSWORD = "monitor", "not-a-secret"
BASIC = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
ERRORS = {
    "LicenseKeyRequired": 403,
    "InsufficientPrivilege": 403,
    "ResourceMissing": 404,
    "NotFound": 404,
    "InternalError": 500,
}
"""What an error document kept in a folder says → the status it came with."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 2**16
    server: Captured

    def do_GET(self) -> None:
        path, _, query = unquote(self.path).partition("?")
        path = path.rstrip("/")
        with self.server.lock:
            self.server.asked.append(path + ("?" + query if query else ""))
        known = self.headers.get("Authorization") == BASIC or self.headers.get("X-Auth-Token") in self.server.tokens
        if path != "/redfish/v1" and not known:
            self.answer(401, {"error": {"code": "Base.1.8.NoValidSession"}})
            return
        document = self.server.document(f"{path}?{query}" if query else path) or self.server.document(path)
        if document is None:
            self.answer(404, {"error": {"code": "Base.1.8.ResourceMissingAtURI"}})
        elif "error" in document:
            text = json.dumps(document)
            self.answer(next((code for word, code in ERRORS.items() if word in text), 400), document)
        else:
            expanded = self.server.expands and "$expand=" in query and isinstance(document.get("Members"), list)
            self.answer(200, self.server.expanded(document) if expanded else document)

    def do_POST(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
        if given != {"UserName": USERNAME, "Password": PASSWORD}:
            self.answer(401, {"error": {"code": "Base.1.8.NoValidSession"}})
            return
        token = secrets.token_hex(8)
        self.server.tokens.add(token)
        uri = f"/redfish/v1/SessionService/Sessions/{token[:4]}"
        self.answer(201, {"@odata.id": uri, "Id": token[:4]}, **{"X-Auth-Token": token, "Location": uri})

    def do_DELETE(self) -> None:
        self.answer(200, {})

    def answer(self, code: int, document: Any, **headers: str) -> None:
        body = json.dumps(document).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


class Captured(ThreadingHTTPServer):
    """One tree. `expands`: whether it honours `$expand`, one level deep, on collections."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, folder: Path, *, expands: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.expands = expands
        self.lock = threading.Lock()
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        pass

    def document(self, path: str) -> dict[str, Any] | None:
        try:
            return json.loads((self.folder / path.strip("/") / "index.json").read_bytes())
        except OSError:
            return None

    def expanded(self, collection: dict[str, Any]) -> dict[str, Any]:
        members = [self.document(member["@odata.id"]) or member for member in collection["Members"]]
        return {**collection, "Members": members}


@contextlib.contextmanager
def serving(captured: Captured) -> Iterator[Captured]:
    thread = threading.Thread(target=captured.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield captured
    finally:
        captured.shutdown()
        captured.server_close()
        thread.join()
