"""`rackstream doctor HOST` before broken BMCs and hypervisors: real servers on loopback, each with its own fault."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rackstream.cli import cli
from rackstream.local import ports
from rackstream.simulators.faults import FaultShare, InjectedFault
from rackstream.simulators.redfish import RedfishSimulator
from tests.e2e.support.doors import PASSWORD, USERNAME, Door
from tests.e2e.support.trees import serving

SECRET = "RACKSTREAM_TEST_DOCTOR_PASSWORD"
LOGIN = {"username": USERNAME, "password": f"env:{SECRET}"}


class Patient:
    """A fleet file of one target, and what the doctor says of it. No Kafka runs: it is to be found before that."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def said(self, source: str = "redfish", *, code: int = 1, **target: Any) -> dict[str, Any]:
        fleet = self._folder / "fleet.yaml"
        fleet.write_text(yaml.safe_dump({source: {"targets": [{"host": "sick", **target}]}}))
        places = ("--fleet", str(fleet), "--data-dir", str(self._folder / "data"))
        result = CliRunner().invoke(cli, ["doctor", "sick", "--json", "--timeout", "2", *places])
        assert code == result.exit_code, result.output
        assert PASSWORD not in result.output
        return dict(json.loads(result.stdout))


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "RACKSTREAM_DATA_DIR", "INFLUX_URL", "INFLUX_DB", "INFLUX_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(SECRET, PASSWORD)
    return Patient(tmp_path)


def finding(said: dict[str, Any], check: str) -> dict[str, Any]:
    return next(dict(each) for each in said["findings"] if each["check"] == check)


@contextlib.contextmanager
def listening(*, full: bool = False) -> Iterator[int]:
    """A port whose program never accepts: connections are made, unless its backlog is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, contextlib.ExitStack() as stack:
        port = server.getsockname()[1]
        for _ in range(4 if full else 0):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(("127.0.0.1", port))
        yield port


@contextlib.contextmanager
def handshaking(context: ssl.SSLContext) -> Iterator[int]:
    """A port that speaks TLS, and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                line.settimeout(5)
                with contextlib.suppress(OSError), line, context.wrap_socket(line, server_side=True) as tls:
                    tls.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def serving_side(issued: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(context)
    return context


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idrac-default")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now.replace(year=2100))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "own.pem").write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "own.pem")
    return context


def test_a_name_that_nobody_resolves(patient: Patient) -> None:
    said = patient.said(address="https://bmc-17.invalid")

    assert "name" == said["stops_at"]
    assert "bmc-17.invalid is not resolved" in said["verdict"]
    assert "getent hosts bmc-17.invalid" in said["do"]
    assert ["skipped"] * 4 == [finding(said, each)["state"] for each in ("port", "TLS", "service", "login")]


def test_a_port_that_nobody_listens_on(patient: Patient) -> None:
    said = patient.said(address=f"https://127.0.0.1:{ports.free_port()}")

    assert "port" == said["stops_at"]
    assert "refuses connections" in said["verdict"]


def test_a_port_whose_packets_are_dropped(patient: Patient) -> None:
    with listening(full=True) as port:
        said = patient.said(address=f"https://127.0.0.1:{port}")

    assert "port" == said["stops_at"]
    assert "firewall" in said["verdict"]


@pytest.mark.parametrize(("scheme", "check"), [("http", "service"), ("https", "TLS")])
def test_a_bmc_that_takes_connections_and_never_answers(patient: Patient, scheme: str, check: str) -> None:
    with listening() as port:
        said = patient.said(address=f"{scheme}://127.0.0.1:{port}")

    assert check == said["stops_at"]
    assert "accepts connections but" in said["verdict"]
    assert "reset the BMC" in said["do"]


def test_a_self_signed_certificate(patient: Patient, tmp_path: Path) -> None:
    with handshaking(self_signed(tmp_path)) as port:
        said = patient.said(address=f"https://127.0.0.1:{port}")

    assert "TLS" == said["stops_at"]
    assert "self-signed" in said["verdict"]
    assert "verify: FILE" in said["do"]


def test_a_certificate_of_an_unknown_authority(patient: Patient) -> None:
    with handshaking(serving_side(trustme.CA().issue_cert("127.0.0.1"))) as port:
        said = patient.said(address=f"https://127.0.0.1:{port}")

    assert "TLS" == said["stops_at"]
    assert "authority that is not" in said["verdict"]


@pytest.mark.parametrize(
    ("names", "days", "told"),
    [
        ("127.0.0.1", -1, "has expired"),
        ("bmc.example", 300, "not issued for this address"),
        ("127.0.0.1", 5, "expires in"),
    ],
    ids=["expired", "of another name", "soon to expire"],
)
def test_a_certificate_of_a_known_authority(patient: Patient, tmp_path: Path, names: str, days: int, told: str) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    until = datetime.now(UTC) + timedelta(days=days)
    with handshaking(serving_side(authority.issue_cert(names, not_after=until))) as port:
        said = patient.said(address=f"https://127.0.0.1:{port}", verify=str(tmp_path / "ca.pem"))

    tls = finding(said, "TLS")
    assert told in tls["seen"]
    assert ("warn" if days > 0 and names == "127.0.0.1" else "fail") == tls["state"]
    assert ("service" if tls["state"] == "warn" else "TLS") == said["stops_at"]


def test_a_bmc_whose_tls_is_too_old(patient: Patient) -> None:
    context = serving_side(trustme.CA().issue_cert("127.0.0.1"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with handshaking(context) as port:
        said = patient.said(address=f"https://127.0.0.1:{port}", verify=False)

    assert "TLS" == said["stops_at"]
    assert "older than 1.2" in said["verdict"]


def test_https_asked_of_a_port_of_plain_http(patient: Patient) -> None:
    with RedfishSimulator() as simulator:
        said = patient.said(address=simulator.urls[0].replace("http:", "https:"))

    assert "TLS" == said["stops_at"]
    assert "does not speak TLS" in said["verdict"]


def test_a_wrong_password_is_tried_once(patient: Patient) -> None:
    with serving(Door()) as door:
        door.password = "another"
        said = patient.said(address=door.url, **LOGIN)

        assert 1 == door.count("POST")

    assert "login" == said["stops_at"]
    assert f"rejects user {USERNAME}" in said["verdict"]
    assert SECRET in said["do"]


def test_a_password_that_is_not_there(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRET)
    with RedfishSimulator() as simulator:
        said = patient.said(address=simulator.urls[0], **LOGIN)

    assert "target" == said["stops_at"]
    assert f"{SECRET}, which should hold a secret, is not set" in said["verdict"]


def test_a_login_that_nobody_configured(patient: Patient) -> None:
    with RedfishSimulator(username=USERNAME, password=PASSWORD) as simulator:
        said = patient.said(address=simulator.urls[0])

    assert "login" == said["stops_at"]
    assert "none is configured" in said["verdict"]


def test_an_account_that_is_locked(patient: Patient) -> None:
    with serving(Door()) as door:
        door.post_status, door.post_error = 401, {"@Message.ExtendedInfo": [{"MessageId": "Oem.1.0.AccountLockedOut"}]}
        said = patient.said(address=door.url, **LOGIN)

        assert 1 == door.count("POST")
    assert "login" == said["stops_at"]
    assert "temporarily locked, Oem.1.0.AccountLockedOut" in said["verdict"]


def test_sessions_that_are_used_up_where_there_is_nothing_else(patient: Patient) -> None:
    with serving(Door()) as door:
        door.most, door.basic_works = 0, False
        said = patient.said(address=door.url, **LOGIN)

    assert "login" == said["stops_at"]
    assert "HTTP 503, RAC0218" in said["verdict"]
    assert "all its sessions are in use" in said["verdict"]


def test_sessions_that_are_used_up_where_basic_goes_on(patient: Patient) -> None:
    fault = FaultShare(InjectedFault.create("sessions"), 1, is_percentage=False)
    with RedfishSimulator(username=USERNAME, password=PASSWORD, faults=[fault]) as simulator:
        said = patient.said(address=simulator.urls[0], **LOGIN)

    login = finding(said, "login")
    assert ("warn", "Kafka") == (login["state"], said["stops_at"])
    assert "Basic authentication is used" in login["seen"]


def test_a_bmc_in_order_is_left_without_a_session(patient: Patient) -> None:
    with RedfishSimulator(username=USERNAME, password=PASSWORD) as simulator:
        said = patient.said(address=simulator.urls[0], **LOGIN)

        assert [] == simulator.bmcs[0].sessions.ids
        assert 1 == simulator.bmcs[0].sessions.closed
    checks = ("target", "name", "port", "service", "login", "capabilities")
    assert ["ok"] * len(checks) == [finding(said, check)["state"] for check in checks]
    assert "Kafka" == said["stops_at"]
    assert "rackstream up" in said["do"]


@pytest.mark.libvirt
def test_a_libvirt_daemon_on_a_closed_port(patient: Patient) -> None:
    said = patient.said("libvirt", uri=f"qemu+tcp://127.0.0.1:{ports.free_port()}/system")

    assert "port" == said["stops_at"]


@pytest.mark.libvirt
def test_a_libvirt_uri_that_does_not_connect(patient: Patient) -> None:
    said = patient.said("libvirt", uri="test:///nowhere/node.xml")

    assert "connection" == said["stops_at"]
    assert "no libvirt connection" in said["verdict"]
    assert "virsh -c 'test:///nowhere/node.xml' list" in said["do"]


def test_a_host_that_nobody_knows_is_refused_with_those_like_it(patient: Patient, tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("host: {targets: [{host: rack-1-17}]}\n")
    result = CliRunner().invoke(cli, ["doctor", "rack-1-71", "--data-dir", str(tmp_path / "data")])

    assert "did you mean rack-1-17?" in str(result.exception)
