"""libvirt URIs: no program is run by one, and the topic names no file of a producer."""

import pytest

from producers.fleet.libvirt_uri import check_libvirt_uri, check_shared_libvirt_uri
from rackstream.probe.target import LoginOptions, targets
from runtime.errors import Misconfigured

PROGRAMS = [
    "qemu+ssh://h/system?command=/path",
    "qemu+ext:///system?command=/path",
    "qemu+ext://h/system",
    "qemu+ssh://h/system?netcat=/path",
    "qemu+ssh://h/system?no_tty=1&command=/path",
    "qemu+ssh://h/system?no_tty=1;command=/path",
    "qemu+ssh://h/system?%63ommand=/path",
    "qemu+ssh://h/system?COMMAND=/path",
    "qemu+ssh://-oProxyCommand=x/system",
    "qemu+ssh://-l@h/system",
    "qemu+ssh://u:hunter2@h/system",
    "qemu:///embed?root=/tmp",
    "qemu+ssh://h/system?name=qemu%2Bext:///system",
    "qemu+ssh://h/system?no_tty=1&no_tty=1",
    "qemu+ssh://h/system?socket=$(x)",
    "qemu+ssh://h/system?socket=`x`",
    "qemu+ssh://h:99999/system",
    "qemu+ssh://[x/system",
    "qemu+ssh://h/system\n",
    "evil:///system",
    "qemu:system",
    "an-alias",
    "",
]
LOCAL = [
    "qemu+ssh://h/system?keyfile=/etc/keys/id",
    "qemu+ssh://h/system?known_hosts=/dev/null",
    "qemu+ssh://h/system?no_verify=1",
    "qemu+ssh://h/system?sshauth=agent",
    "qemu+unix:///system?socket=/run/libvirt/libvirt-sock",
    "qemu+unix://h/system",
    "qemu+tls://h/system?pkipath=/run/secrets",
    "qemu:///system",
    "test:///srv/a@b/node.xml",
    "esx://h/",
]
SHARED = [
    "qemu+tls://kvm-1/system",
    "qemu+ssh://root@kvm-1:2222/system?no_tty=1",
    "qemu+tcp://10.0.0.1:16509/system",
    "qemu+libssh2://[fe80::1]/session?mode=direct",
    "xen://kvm-1/",
    "test:///default",
]


@pytest.mark.parametrize("uri", PROGRAMS)
def test_what_runs_a_program_or_is_malformed_is_refused_everywhere(uri):
    for check in (check_libvirt_uri, check_shared_libvirt_uri):
        with pytest.raises(ValueError) as refused:
            check(uri)
        assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("uri", LOCAL)
def test_a_file_of_this_machine_may_be_named_by_its_fleet_file_only(uri):
    assert uri == check_libvirt_uri(uri)
    with pytest.raises(ValueError, match=r"not allowed|names a file|cannot be shared|name the host"):
        check_shared_libvirt_uri(uri)


@pytest.mark.parametrize("uri", SHARED)
def test_a_remote_hypervisor_may_be_shared(uri):
    assert uri == check_shared_libvirt_uri(uri)


def test_the_command_line_refuses_it_too(tmp_path):
    with pytest.raises(Misconfigured, match="'command' is not one of"):
        targets("qemu+ssh://h/system?command=/path", LoginOptions(), tmp_path / "none")
    with pytest.raises(Misconfigured, match="port '99999'"):
        targets("https://bmc:99999", LoginOptions(), tmp_path / "none")
