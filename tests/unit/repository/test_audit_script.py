"""`make audit`: what an advisory service says decides, and its absence is told."""

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).parents[3]
ADVISORY = {
    "id": "GHSA-xxxx-yyyy-zzzz",
    "aliases": ["CVE-2026-0001"],
    "summary": "a test",
    "affected": [
        {
            "package": {"name": "fastavro", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0"}]}],
        }
    ],
}


@pytest.fixture
def service():
    """Speaks OSV's query; `vulnerable` names packages."""

    class Answer(BaseHTTPRequestHandler):
        vulnerable = frozenset()

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = {"vulns": [ADVISORY]} if asked["package"]["name"] in self.vulnerable else {}
            text = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    yield Answer, f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


def audit(url):
    command = [sys.executable, "scripts/audit", "-s", "osv", "--osv-url", url]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    return done.returncode, done.stdout


def test_packages_without_advisories_pass(service):
    code, said = audit(service[1])

    assert (0, True) == (code, said.endswith(" 0 vulnerabilities\n")), said


def test_a_vulnerable_package_fails_with_its_name_and_the_mended_version(service):
    service[0].vulnerable = {"fastavro"}

    code, said = audit(service[1])

    assert 1 == code
    assert "vulnerable: fastavro" in said
    assert "CVE-2026-0001" in said
    assert "mended in 99.0" in said


def test_a_service_that_is_away_is_told_and_fails_nothing():
    code, said = audit("http://127.0.0.1:1/v1/query")

    assert (0, True) == (code, said.startswith("NOT AUDITED: ")), said
