"""`make audit`: vulnerabilities fail it, an unreachable service does not."""

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
    code, output = audit(service[1])

    assert (0, True) == (code, output.endswith(" 0 vulnerabilities\n")), output


def test_a_vulnerable_package_fails_with_its_name_and_the_fixed_version(service):
    service[0].vulnerable = {"fastavro"}

    code, output = audit(service[1])

    assert 1 == code
    assert "vulnerable: fastavro" in output
    assert "CVE-2026-0001" in output
    assert "fixed in 99.0" in output


def test_an_unreachable_service_is_reported_and_fails_nothing():
    code, output = audit("http://127.0.0.1:1/v1/query")

    assert (0, True) == (code, output.startswith("NOT AUDITED: ")), output
