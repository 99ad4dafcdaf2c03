"""What the demo runs on: its fleet file, certificates for its simulated BMCs."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import yaml

from rackstream.simulators import libvirt_testnode

EXPECTED: Final = ("temperature-high node-*", "memory-pressure *", "swap-full *", "nic-*-errors *")
"""The alerts that a demo may raise, as rule and host: the simulated CPUs overheat; the others are this machine's own.
Any other is a failure of ours, such as errors of the test driver, whose counters rise for ever."""
PASSWORD: Final = "RACKSTREAM_DEMO_BMC_PASSWORD"  # noqa: S105  the variable's name


def fleet(directory: Path, ports: list[int], authority: Path, say: Callable[[str], None]) -> Path:
    """Writes the fleet file: this machine, two libvirt connections, the simulated BMCs."""
    document: dict[str, Any] = {
        "host": {"interval": 1, "targets": [{"host": socket.gethostname(), "labels": {"site": "here"}}]},
        "redfish": {
            "interval": 2,
            "targets": [
                {
                    "host": f"node-{number}",
                    "address": f"https://127.0.0.1:{port}",
                    "username": "demo",
                    "password": f"env:{PASSWORD}",
                    "verify": str(authority),
                    "labels": {"rack": f"r{number}"},
                }
                for number, port in enumerate(ports, 1)
            ],
        },
    }
    if importlib.util.find_spec("libvirt") is not None:
        node = directory.absolute() / "node.xml"
        node.write_text(libvirt_testnode.node(5, nics=2, disks=3))
        document["libvirt"] = {
            "interval": 1,
            "targets": [
                {"host": "kvm-default", "uri": "test:///default"},
                {"host": "kvm-node", "uri": f"test://{node}", "labels": {"rack": "r1"}},
            ],
        }
    else:
        say("libvirt-python is not installed: no VMs in this demo; `make setup` says what is missing")
    path = directory / "fleet.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def unexpected(raised: Iterable[str]) -> list[str]:
    """Alerts (rule and host) that a demo must not raise."""
    return [each for each in raised if not any(fnmatchcase(each, glob) for glob in EXPECTED)]


def certificates(directory: Path) -> tuple[Path, Path, Path]:
    """A certificate for 127.0.0.1, its key, and the authority that signed it, which the producer is told to trust."""
    import trustme

    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    where = directory.absolute() / "tls"
    where.mkdir(mode=0o700, exist_ok=True)
    certificate, key, ca = where / "bmc.crt", where / "bmc.key", where / "ca.crt"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    return certificate, key, ca
