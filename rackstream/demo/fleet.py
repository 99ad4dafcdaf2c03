"""The demo's fleet: fleet file, certificates for simulated BMCs, expected alerts."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import yaml

from rackstream.simulators import libvirt_testnode

EXPECTED_ALERTS: Final = ("temperature-high node-*", "memory-pressure *", "swap-full *", "nic-*-errors *")
"""Alerts that a demo may raise, as rule and host: simulated CPUs overheat, the others are about this machine. Any
other alert is a bug, such as errors of the test driver, whose counters rise for ever."""
PASSWORD_VARIABLE: Final = "RACKSTREAM_DEMO_BMC_PASSWORD"  # noqa: S105  the variable's name
"""Environment variable with the password of the simulated BMCs."""


def write_fleet_file(directory: Path, ports: list[int], authority: Path, report: Callable[[str], None]) -> Path:
    """Writes the fleet file: this machine, two libvirt connections, the simulated BMCs."""
    document: dict[str, object] = {
        "host": {"interval": 1, "targets": [{"host": socket.gethostname(), "labels": {"site": "here"}}]},
        "redfish": {
            "interval": 2,
            "targets": [
                {
                    "host": f"node-{number}",
                    "address": f"https://127.0.0.1:{port}",
                    "username": "demo",
                    "password": f"env:{PASSWORD_VARIABLE}",
                    "verify": str(authority),
                    "labels": {"rack": f"r{number}"},
                }
                for number, port in enumerate(ports, 1)
            ],
        },
    }
    if importlib.util.find_spec("libvirt") is not None:
        node = directory.absolute() / "node.xml"
        node.write_text(libvirt_testnode.node_xml(5, nics=2, disks=3))
        document["libvirt"] = {
            "interval": 1,
            "targets": [
                {"host": "kvm-default", "uri": "test:///default"},
                {"host": "kvm-node", "uri": f"test://{node}", "labels": {"rack": "r1"}},
            ],
        }
    else:
        report("libvirt-python is not installed: no VMs in this demo; `make setup` names what is missing")
    path = directory / "fleet.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def unexpected(raised: Iterable[str]) -> list[str]:
    """Returns the alerts (rule and host) that a demo must not raise."""
    return [alert for alert in raised if not any(fnmatchcase(alert, glob) for glob in EXPECTED_ALERTS)]


def create_certificates(directory: Path) -> tuple[Path, Path, Path]:
    """Creates a certificate for 127.0.0.1; returns it, its key, and the CA certificate."""
    import trustme

    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    tls_dir = directory.absolute() / "tls"
    tls_dir.mkdir(mode=0o700, exist_ok=True)
    certificate, key, ca = tls_dir / "bmc.crt", tls_dir / "bmc.key", tls_dir / "ca.crt"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    return certificate, key, ca
