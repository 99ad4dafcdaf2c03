"""Real QEMU guests under a private libvirtd: namespaces and state directories of its own, no systemd, nothing left.

A lab is one process tree in its own mount, network and process namespaces. Their first process ends when the lab is
closed, or when whoever started it dies, however that dies; the kernel then ends every libvirtd and QEMU in there.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from uuid import NAMESPACE_URL, uuid5

from tests.e2e.support.guest import definition, sector, source

PROGRAMS = ("libvirtd", "qemu-system-x86_64", "virsh", "unshare", "nsenter", "ip")
PACKAGES = "libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 iproute2"
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
UNSHARE = ("unshare", "-m", "-n", "-p", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
HIDDEN = {"/etc/libvirt": "etc", "/var/lib/libvirt": "lib", "/var/log/libvirt": "log", "/run": "run"}
"""Directories of which the lab's libvirtd sees its own, and where these lie in the lab."""
CACHE = "/var/cache/libvirt"
INIT = "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); print(flush=True); sys.stdin.read()"
"""The first process: collects orphans, for libvirtd waits for a QEMU until it is collected; ends with its input."""
SERVER = """auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_ro_perms = "0777"
host_uuid = "{uuid}"
"""
DRIVER = """user = "root"
group = "root"
dynamic_ownership = 0
security_driver = "none"
namespaces = []
stdio_handler = "file"
"""


def missing() -> str | None:
    """Why there can be no lab here; None: there can."""
    absent = [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]
    if absent:
        return f"real QEMU needs {', '.join(absent)}: apt-get install --no-install-recommends {PACKAGES}"
    if os.geteuid() != 0:
        return "real QEMU needs root, for namespaces and network devices of its own"
    absent = [each for each in (*HIDDEN, CACHE, "/dev/net/tun") if not Path(each).exists()]
    if absent:
        return f"real QEMU needs {', '.join(absent)}"
    script = "umount -R /sys && mount -t sysfs sysfs /sys && ip link add br0 type bridge"
    tried = subprocess.run([*UNSHARE, "sh", "-c", script], capture_output=True, text=True, env=_environment())
    if tried.returncode:
        return f"real QEMU needs namespaces of its own, which this machine does not allow: {tried.stderr.strip()}"
    return None


def _environment(**more: str) -> dict[str, str]:
    return os.environ | {"PATH": PATH} | more


def until(condition: Callable[[], object], what: str, timeout_s: float = 120) -> None:
    """Waits until something is true."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.02)


class Lab:
    """One hypervisor. `cache`: where another lab's libvirtd noted what QEMU can do, which takes it a second or more."""

    def __init__(self, name: str = "kvm-a", cache: Path | None = None) -> None:
        # Short, for the path of a socket may have 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="rs-qemu-"))
        self.cache = cache or self.directory / "cache"
        self.uri = f"qemu+unix:///system?socket={self.directory}/run/libvirt/libvirt-sock"
        self._init: subprocess.Popen[str] | None = None
        try:
            self._write(str(uuid5(NAMESPACE_URL, f"rackstream:{name}")))
            self._begin()
            self.start_daemon()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends every process of the lab and removes its files."""
        if self._init is not None:
            self._init.stdin.close()
            self._init.wait(60)
            self._init.stdout.close()
            self._init = None
        shutil.rmtree(self.directory)

    @property
    def process(self) -> int:
        """The process, outside, that all of the lab descends from."""
        return self._init.pid

    def _write(self, uuid: str) -> None:
        for each in (*HIDDEN.values(), "run/libvirt"):
            (self.directory / each).mkdir()
        self.cache.mkdir(exist_ok=True)
        (self.directory / "etc/libvirtd.conf").write_text(SERVER.format(uuid=uuid))
        (self.directory / "etc/qemu.conf").write_text(DRIVER)

    def _begin(self) -> None:
        """Makes the namespaces, with a bridge."""
        script = [f"mount --bind {self.directory}/{name} {target}" for target, name in HIDDEN.items()]
        script += [f"mount --bind {self.cache} {CACHE}"]
        # A /sys of this network, and without control groups: libvirt then reads CPU times from /proc, and labs neither
        # leave groups behind nor meet in them.
        script += ["umount -R /sys", "mount -t sysfs sysfs /sys"]
        script += ["ip link set lo up", "ip link add br0 type bridge", "ip link set br0 up"]
        script += [f'exec {sys.executable} -I -S -c "$INIT"']
        pipe = subprocess.PIPE
        command = [*UNSHARE, "sh", "-ec", "\n".join(script)]
        self._init = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=_environment(INIT=INIT))
        assert self._init.stdout.readline() == "\n", "the lab's namespaces could not be made"

    def inside(self, *command: str) -> str:
        """What a command prints that runs in the lab's namespaces."""
        [first] = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text().split()
        return _output("nsenter", "-t", first, "-m", "-n", "-p", "--", *command)

    def virsh(self, *command: str) -> str:
        """What virsh prints."""
        return _output("virsh", "-q", "-c", self.uri, *command)

    def start_daemon(self) -> None:
        """Starts libvirtd and waits until it answers, and has found out what its QEMU can do: it does so only once."""
        self.inside("libvirtd", "-d", "-p", "/run/libvirt/libvirtd.pid", "-f", "/etc/libvirt/libvirtd.conf")
        self.virsh("capabilities")

    def kill_daemon(self) -> None:
        """Kills libvirtd (-9) and waits until it is gone; guests live on."""
        file = self.directory / "run/libvirt/libvirtd.pid"
        number = file.read_text().strip()
        self.inside("sh", "-c", f"kill -KILL {number}; while kill -0 {number}; do sleep 0.01; done 2>/dev/null")
        file.unlink()

    def start(self, name: str, number: int, *, busy: bool = False, boot: str = "hd") -> None:
        """Defines and starts a guest with two NICs and three disks.

        Args:
            name: of the domain; its UUID follows from it.
            number: up to 255, its own within the lab; part of its MACs and its devices' names (`t<number>.0`).
            busy: it reads and writes its first disk all the time.
            boot: `hd`, or `network`: it never gets a lease, asks for ever, and keeps a processor busy.
        """
        self.define(name, number, busy=busy, boot=boot)
        self.virsh("start", name)

    def define(self, name: str, number: int, *, busy: bool = False, boot: str = "hd") -> None:
        """Defines a guest without starting it."""
        disks = [self.disk(f"{name}-{n}", busy=busy) for n in range(3)]
        path = self.directory / f"{name}.xml"
        path.write_text(definition(name, number, disks, boot=boot, emulator=shutil.which(PROGRAMS[1], path=PATH)))
        self.virsh("define", str(path))

    def disk(self, name: str, *, busy: bool = False) -> Path:
        """The file of a new bootable raw disk of 1 MiB."""
        path = self.directory / f"{name}.raw"
        path.write_bytes(sector(busy=busy))
        os.truncate(path, 1 << 20)
        return path

    def plug(self, name: str, number: int) -> None:
        """Adds a NIC `plugged<number>` and a disk `vdx` to a guest that runs."""
        for kind, xml in source(number, self.disk(f"{name}-plugged")).items():
            path = self.directory / f"{name}-{kind}.xml"
            path.write_text(xml)
            self.virsh("attach-device", name, str(path), "--live")

    def stop(self, name: str) -> None:
        """Ends a guest at once and forgets it."""
        self.virsh("destroy", name)
        if name in self.virsh("list", "--all", "--name").split():
            self.virsh("undefine", name)

    def migrate(self, name: str, other: Lab) -> None:
        """Moves a running guest to another lab, live."""
        flags = ("--live", "--p2p", "--persistent", "--undefinesource", "--unsafe")
        self.virsh("migrate", name, *flags, "--desturi", other.uri, "--migrateuri", f"unix://{self.directory}/move")

    def state(self, name: str) -> str:
        """What virsh calls the state of a guest."""
        return self.virsh("domstate", name).strip()

    def signal(self, name: str, which: signal.Signals) -> None:
        """Sends a signal to a guest's QEMU."""
        number = (self.directory / f"run/libvirt/qemu/{name}.pid").read_text().strip()
        self.inside("sh", "-c", f"kill -{which.name.removeprefix('SIG')} {number}")

    @contextmanager
    def hung(self, name: str) -> Iterator[None]:
        """A guest's QEMU does not run meanwhile."""
        self.signal(name, signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(name, signal.SIGCONT)


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=_environment())
    assert not done.returncode, f"{' '.join(command)}: {done.stderr.strip()}"
    return done.stdout
