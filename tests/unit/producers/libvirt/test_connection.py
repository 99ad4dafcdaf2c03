"""Credentials never leave the connection, and a missing libvirt-python says what to do."""

from __future__ import annotations

import subprocess
import sys

import pytest

from producers.libvirt.connection import is_connection_error, without_credentials


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        pytest.param("qemu:///system", "qemu:///system", id="nothing to hide"),
        pytest.param("qemu+ssh://kvm-01/system", "qemu+ssh://kvm-01/system", id="a server"),
        pytest.param("qemu+ssh://root@kvm-01/system?no_tty=1", "qemu+ssh://kvm-01/system?no_tty=1", id="a user"),
        pytest.param("qemu+tcp://u:p@kvm-01:16509/system", "qemu+tcp://kvm-01:16509/system", id="user and password"),
        pytest.param("qemu+tcp://u:p/w@kvm-01/system", "qemu+tcp://kvm-01/system", id="a password with a slash"),
        pytest.param("qemu+tcp://u:p@w@kvm-01/system", "qemu+tcp://kvm-01/system", id="a password with an @"),
        pytest.param("test:///srv/a@b/node.xml", "test:///srv/a@b/node.xml", id="an @ in a path"),
    ],
)
def test_the_address_holds_no_credentials(uri: str, expected: str):
    assert expected == without_credentials(uri)


class Failure(Exception):
    def __init__(self, code: int, origin: int) -> None:
        self.get_error_code = lambda: code
        self.get_error_domain = lambda: origin


@pytest.mark.parametrize(
    ("code", "origin", "expected"),
    [
        pytest.param(38, 7, True, id="broken pipe to the daemon"),
        pytest.param(1, 7, True, id="client socket is closed"),
        pytest.param(38, 10, False, id="broken pipe to one hypervisor"),
        pytest.param(3, 13, False, id="a call that an older daemon does not know"),
        pytest.param(42, 10, False, id="no such domain"),
    ],
)
def test_only_the_transports_errors_end_a_connection(code, origin, expected):
    assert expected == is_connection_error(Failure(code, origin))


def test_without_libvirt_python_the_package_imports_and_a_reader_says_what_is_missing():
    program = """
import sys
sys.modules["libvirt"] = None
from producers import libvirt
from producers.fleet.targets import LibvirtTarget
from runtime.errors import Misconfigured
try:
    libvirt.create_reader(LibvirtTarget(host="h", uri="test:///default"), 1.0)
except Misconfigured as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "libvirt-python" in done.stdout
    assert "make setup" in done.stdout
