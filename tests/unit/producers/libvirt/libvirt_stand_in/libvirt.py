"""Stands in for libvirt-python in the libvirt process: a hypervisor whose VMs and daemon hang as a file says.

The URI is `stand-in:///<path>` of a JSON file that is read at every call. `vms` are there; those `hung` do not answer;
`silent`: the daemon answers nobody; `refused`: it takes no connection; `lost`: bulk calls lose it; `vm_s`: seconds that
a bulk call takes for each VM; `die`: exit code of the process at a bulk call; `cpu`: every VM's CPU time.

As with libvirt, the first bulk call that meets a hung VM waits, even after whoever asked is gone; later ones do not.
"""
# ruff: noqa: N801, N802, N815 -- libvirt's names

import json
import os
import threading
import time
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

STATS = {"state.state": 1, "state.reason": 1, "cpu.time": 1, "balloon.current": 1, "balloon.rss": 1, "net.count": 0,
         "block.count": 1, "block.0.name": "vda", "block.0.rd.reqs": 1}  # fmt: skip
PARTIAL = {"state.state": 1, "cpu.time": 1, "net.count": 0, "block.count": 1, "block.0.name": "vda"}


class libvirtError(Exception):
    def __init__(self, code, origin, text):
        super().__init__(text)
        self.get_error_code = lambda: code
        self.get_error_domain = lambda: origin


class Daemon:
    """What outlives a connection is in files beside the one of the URI."""

    def __init__(self, path):
        self.path = Path(path)

    def says(self):
        said = json.loads(self.path.read_text())
        while said.get("silent"):
            time.sleep(0.01)
            said = json.loads(self.path.read_text())
        return said

    def waits_for(self, name):
        return self.path.with_name(f"{name}.waits")

    def is_busy(self, name):
        """Somebody waits for the VM since … ms, until it answers."""
        since = self.waits_for(name)
        if name not in self.says()["hung"]:
            since.unlink(missing_ok=True)
            return 0
        return int((time.time() - since.stat().st_mtime) * 1000) + 1 if since.exists() else 0


class Domain:
    def __init__(self, daemon, name):
        self.daemon = daemon
        self.name = lambda: name
        self.ID = lambda: 7
        self.UUIDString = lambda: str(uuid5(NAMESPACE_URL, name))
        self.isActive = lambda: 1
        self.XMLDesc = lambda: f"<domain><name>{name}</name></domain>"

    def controlInfo(self):
        busy_ms = self.daemon.is_busy(self.name())
        return [2, 0, busy_ms] if busy_ms else [0, 0, 0]

    def stats(self, said):
        name = self.name()
        if self.daemon.is_busy(name):
            return PARTIAL
        if name in said["hung"]:
            self.daemon.waits_for(name).touch()
            while name in self.daemon.says()["hung"]:
                time.sleep(0.01)
            self.daemon.waits_for(name).unlink(missing_ok=True)
        time.sleep(said.get("vm_s", 0))
        return STATS | {"cpu.time": said.get("cpu", 1)}


class Connection:
    def __init__(self, daemon):
        self.daemon = daemon
        self.getType = lambda: "STAND-IN"
        self.getVersion = self.getLibVersion = lambda: 1_002_003
        self.isAlive = lambda: 1
        self.close = lambda: 0

    def listAllDomains(self, _flags):
        return [Domain(self.daemon, name) for name in self.daemon.says()["vms"]]

    def getAllDomainStats(self, groups, _flags):
        return self.domainListGetStats(self.listAllDomains(1), groups, 0)

    def domainListGetStats(self, listed, groups, _flags):
        said = self.daemon.says()
        if said.get("die"):
            os._exit(said["die"])
        if said.get("lost"):
            raise libvirtError(38, 7, "Cannot write data: Broken pipe")
        return [(domain, domain.stats(said) if groups & 32 else PARTIAL) for domain in listed]

    def setKeepAlive(self, *_):
        raise libvirtError(3, 0, "not supported")

    domainEventRegisterAny = setKeepAlive


def openReadOnly(uri):
    daemon = Daemon(uri.removeprefix("stand-in://"))
    if daemon.says().get("refused"):
        raise libvirtError(38, 7, "Connection refused")
    return Connection(daemon)


def registerErrorHandler(*_):
    pass


def virEventRegisterDefaultImpl():
    pass


def virEventRunDefaultImpl():
    threading.Event().wait()
