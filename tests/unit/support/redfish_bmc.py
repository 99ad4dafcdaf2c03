"""A BMC behind the transport adapter of `requests`: the real client without sockets."""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter

from producers.redfish.http.client import RedfishClient

ROOT = "/redfish/v1"
SESSIONS = f"{ROOT}/SessionService/Sessions"


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def link(uri):
    return {"@odata.id": uri}


def collection(uri, *names):
    return {"@odata.id": uri, "Members": [link(f"{uri}/{name}") for name in names]}


class BmcAdapter(BaseAdapter):
    """Serves a tree: path → document, or HTTP status, or exception. Everything but the root needs a login."""

    def __init__(self, tree, *, sessions=True, password="secret", expands=False):
        super().__init__()
        self.tree = tree
        self.sessions = sessions
        """True, or the HTTP status of each login."""
        self.password = password
        self.expands = expands
        self.tokens = {}
        self.logins = 0
        self.tokens_work = self.basic_works = True
        self.requests = []
        """(Method, path and query, how it was authorized)."""

    def send(self, request, **_options):
        parts = urlsplit(request.url)
        path, query = unquote(parts.path).rstrip("/"), unquote(parts.query)
        way = self.authorization(request)
        self.requests.append((request.method, f"{path}?{query}" if query else path, way))
        status, document, headers = self.respond(request, path, query, way)
        body = b"" if document is None else json.dumps(document).encode()
        response = requests.Response()
        response.raw = urllib3.HTTPResponse(io.BytesIO(body), headers=headers, status=status, preload_content=False)
        return response

    def close(self):
        pass

    def authorization(self, request):
        if (token := request.headers.get("X-Auth-Token")) is not None:
            return "session" if token in self.tokens and self.tokens_work else "refused"
        authorization = request.headers.get("Authorization")
        if authorization is None:
            return ""
        return "basic" if self.basic_works and authorization == basic(self.password) else "refused"

    def respond(self, request, path, query, way):
        if request.method == "POST" and path == SESSIONS:
            return self.log_in(json.loads(request.body))
        if path != ROOT and way not in {"session", "basic"}:
            return 401, {"error": {}}, {}
        if request.method == "DELETE":
            self.tokens = {token: uri for token, uri in self.tokens.items() if uri != path}
            return 204, None, {}
        found = self.tree.get(f"{path}?{query}" if query else path, 404)
        if query.startswith("$expand=") and self.expands and isinstance(self.tree.get(path), dict):
            members = [self.tree[member["@odata.id"]] for member in self.tree[path]["Members"]]
            found = {**self.tree[path], "Members": members}
        if isinstance(found, Exception):
            raise found
        return (found, {"error": {}}, {}) if isinstance(found, int) else (200, found, {})

    def log_in(self, login):
        if self.sessions is not True:
            return self.sessions, {"error": {"code": "Base.1.8.SessionLimitExceeded"}}, {}
        if login != {"UserName": "monitor", "Password": self.password}:
            return 401, {"error": {}}, {}
        self.logins += 1
        token, uri = f"token-{self.logins}", f"{SESSIONS}/{self.logins}"
        self.tokens[token] = uri
        return 201, {"@odata.id": uri, "Id": str(self.logins)}, {"X-Auth-Token": token, "Location": uri}

    def count(self, method, path="", way=None):
        return sum(
            request[0] == method and path in {"", request[1]} and way in {None, request[2]} for request in self.requests
        )

    def paths(self):
        """Path → GETs so far; forgets them."""
        counted = Counter(path for method, path, _ in self.requests if method == "GET")
        self.requests.clear()
        return counted


def basic(password):
    return "Basic " + base64.b64encode(f"monitor:{password}".encode()).decode()


def client_of(adapter, clock, *, credentials=lambda: ("monitor", "secret"), **options):
    return RedfishClient("https://bmc", credentials, clock=clock, create_adapter=lambda: adapter, **options)
