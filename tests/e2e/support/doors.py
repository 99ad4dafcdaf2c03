"""A BMC with a door: sessions and Basic authentication as real ones have them, over a real socket, changed at will."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from tests.e2e.support import trees

ROOT = "/redfish/v1"
SESSIONS = f"{ROOT}/SessionService/Sessions"
CHASSIS = f"{ROOT}/Chassis/1"
USERNAME, PASSWORD = "root", "correct-hörse-battery"


def link(uri: str) -> dict[str, str]:
    return {"@odata.id": uri}


def tree() -> dict[str, Any]:
    """One chassis of one temperature."""
    return {
        ROOT: {"Chassis": link(f"{ROOT}/Chassis"), "Links": {"Sessions": link(SESSIONS)}},
        f"{ROOT}/Chassis": {"Members": [link(CHASSIS)]},
        CHASSIS: {"Id": "1", "Thermal": link(f"{CHASSIS}/Thermal")},
        f"{CHASSIS}/Thermal": {"Temperatures": [{"MemberId": "0", "ReadingCelsius": 20}]},
    }


class Handler(trees.Handler):
    server: Door

    def do_GET(self) -> None:  # noqa: N802
        door, path = self.server, self.path.rstrip("/")
        way = self.way()
        with door.lock:
            door.seen.append(("GET", path, way))
        if path != ROOT and (not way or path in door.forbidden):
            return self.answer(401, {"error": {"code": "Base.1.8.NoValidSession"}})
        if path in door.tree and door.etags:
            body = json.dumps(door.tree[path]).encode()
            etag = f'"{hashlib.sha1(body).hexdigest()}"' if door.etags == "true" else '"always the same"'
            door.sent_bytes += 0 if self.headers.get("If-None-Match") == etag else len(body)
            if self.headers.get("If-None-Match") == etag:
                self.send_response(304)
                self.send_header("ETag", etag)
                return self.end_headers()
            self.send_response(200)
            self.send_header("ETag", etag)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return None
        self.headers["Authorization"] = door.login or ""
        return super().do_GET()

    def do_POST(self) -> None:  # noqa: N802
        door, path = self.server, self.path.rstrip("/")
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with door.lock:
            door.seen.append(("POST", path, ""))
        if door.post_moved and path == SESSIONS:
            self.send_response(308)
            self.send_header("Location", door.post_moved)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if door.post_status != 201 or path not in {door.sessions_at, door.post_moved}:
            return self.answer(door.post_status if door.post_status != 201 else 404, {"error": door.post_error})
        if (given["UserName"], given["Password"]) != (USERNAME, door.password):
            return self.answer(401, {"error": {}})
        if len(door.tokens) >= door.most:
            return self.answer(503, {"error": {"code": "RAC0218"}})
        door.made += 1
        token, uri = f"{door.token_prefix}{door.made}", f"{door.sessions_at}/{door.made}"
        door.tokens[token] = uri
        body = json.dumps(link(uri) | {"Id": str(door.made)}).encode()
        self.send_response(201)
        self.send_header("X-Auth-Token", token)
        self.send_header("Location", door.location or door.url + uri)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def do_DELETE(self) -> None:  # noqa: N802
        door = self.server
        with door.lock:
            door.seen.append(("DELETE", self.path, self.way()))
        time.sleep(door.delete_s)
        if not self.way():
            return self.answer(401, {"error": {}})
        door.tokens = {token: uri for token, uri in door.tokens.items() if uri != self.path}
        return self.answer(200, {})

    def way(self) -> str:
        """How a request is let in; empty: not."""
        door, token = self.server, self.headers.get("X-Auth-Token")
        if token:
            return "session" if token in door.tokens and door.tokens_work else ""
        return "basic" if door.basic_works and self.headers.get("Authorization") == door.login else ""


class Door(trees.Tree):
    def __init__(self, **options: Any) -> None:
        super().__init__(tree(), username=USERNAME, password=PASSWORD, **options)
        self.RequestHandlerClass = Handler
        self.password = PASSWORD
        self.seen: list[tuple[str, str, str]] = []
        """Method, path and how it was let in, of each request."""
        self.tokens: dict[str, str] = {}
        """Token → URI of its session."""
        self.made = 0
        self.most = 8
        self.sessions_at = SESSIONS
        self.token_prefix = "token-"
        self.location = ""
        self.post_status = 201
        self.post_error: dict[str, Any] = {}
        self.post_moved = ""
        self.basic_works = self.tokens_work = True
        self.forbidden: set[str] = set()
        self.delete_s = 0.0
        self.etags = ""
        self.sent_bytes = 0

    def count(self, method: str, path: str = "", way: str | None = None) -> int:
        return sum(each[0] == method and path in {"", each[1]} and way in {None, each[2]} for each in list(self.seen))
