"""A BMC, asked as its producer asks it: does it serve Redfish, let us in, and give what is polled? One login."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from producers import redfish
from producers.fleet.config import RedfishTarget
from producers.redfish.expand import members
from producers.redfish.http import transport
from producers.redfish.http.errors import Denied, Fault, Forbidden, Missing, Silent
from producers.redfish.mapping.table import at, text
from rackstream.doctor import network, tls
from rackstream.doctor.check import Check, Finding, ago, count, fail, ok, skipped, warn

ROOT: Final = "/redfish/v1/"
AMISS_S: Final = 60.0
"""A BMC's clock that is off by more is told of."""
LOCKED: Final = ("lock", "delayed")
"""In the ids of messages with which BMCs refuse a login for a while."""


class Bmc:
    """One BMC."""

    def __init__(self, target: RedfishTarget, timeout_s: float) -> None:
        self._target, self._timeout_s = target, timeout_s
        self._client: Any = None
        self._root: Mapping[str, Any] = {}

    def checks(self) -> list[Check]:
        """From its name to its clock."""
        target, limit_s = self._target, self._timeout_s
        parts = urlsplit(target.proxy or target.address)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        path = network.checks(host, port, limit_s, what="proxy" if target.proxy else "BMC's web server")
        if parts.scheme == "https" and not target.proxy:
            path.append(Check("TLS", lambda: self._tls(host, port), ("port",), 2 * limit_s + 1))
        before = path[-1].name
        return [
            *path,
            Check("service", self._service, (before,), limit_s + 1),
            Check("login", self._login, ("service",), 2 * limit_s + 1),
            Check("capabilities", self._capabilities, ("login",), 2 * limit_s + 1),
            Check("BMC's clock", self._clock, ("capabilities",), limit_s + 1, late_is="skipped"),
        ]

    def close(self) -> None:
        """Deletes the session."""
        if self._client is not None:
            self._client.close()

    def _tls(self, host: str, port: int) -> Finding:
        verify = self._target.verify
        context = transport.tls_context(verify if isinstance(verify, bool) else str(verify))
        return tls.look(host, port, context, self._timeout_s)

    def _deadline_s(self) -> float:
        return time.monotonic() + self._timeout_s

    def _service(self) -> Finding:
        self._client = redfish.client_of(self._target)
        try:
            self._root = self._client.get(ROOT, self._deadline_s())
        except Silent:
            return fail(
                f"takes connections and does not answer within {self._timeout_s:g} s",
                "its web server hangs, or is busy: try a longer --timeout, then reset the BMC (not its host)",
            )
        except Denied:
            return ok("asks for a login already at its service root")
        except Missing as fault:
            return fail(f"has no Redfish service at {ROOT}: {fault}", "is it a BMC, and is Redfish switched on in it?")
        except Fault as fault:
            return fail(f"does not answer as a Redfish service: {fault}", "is this the BMC's address and port?")
        version, vendor = text(self._root.get("RedfishVersion")), text(self._root.get("Vendor"))
        return ok(f"Redfish {version or 'of no version'}" + (f" of {vendor}" if vendor else ""))

    def _login(self) -> Finding:
        target, client = self._target, self._client
        link = text(at(self._root, "Systems/@odata.id")) or text(at(self._root, "Chassis/@odata.id"))
        try:
            client.get(link or f"{ROOT}Systems", self._deadline_s())
        except Denied:
            return self._denied()
        except Forbidden:
            return fail(
                f"lets {target.username or 'us'} in, and not read (HTTP 403)",
                "give the user the role ReadOnly; a new password may have to be changed first; look at the licence",
            )
        except Missing as fault:
            return ok(f"lets us in; of its systems it says {fault}")
        except Fault as fault:
            return fail(f"no answer to who is logged in: {fault}", "look at the BMC's log; reset it if this goes on")
        if client.why_basic.startswith("no session to be had"):
            return warn(
                f"{client.why_basic}{self._told()}, so Basic is used: its sessions are probably used up",
                "close sessions that others left open there; each request now costs the BMC a login",
            )
        ways = {"session": f"as {target.username}, by a session", "none": "none is asked for"}
        return ok(
            ways.get(client.auth, f"as {target.username}, by Basic: {client.why_basic or 'it makes no sessions'}")
        )

    def _denied(self) -> Finding:
        target, why = self._target, self._client.why_basic
        if target.username is None:
            return fail("asks for a login (HTTP 401), and none is configured", "give `username` and `password`")
        if why.startswith("no session to be had"):
            return fail(
                f"{why}{self._told()}, and without one it lets nobody in: its sessions are used up",
                "close sessions that others left open, or wait until they expire (often 30 minutes)",
            )
        if any(word in self._told().lower() for word in LOCKED):
            return fail(
                f"the account {target.username} is locked for now{self._told()}",
                "wait or unlock it in the BMC, and correct the password first: producers try again by themselves",
            )
        return fail(
            f"refuses user {target.username} and its password (HTTP 401{self._told()})",
            f"check what {target.password} holds; after several wrong ones BMCs lock the account: look there too",
        )

    def _told(self) -> str:
        """Ids of the messages with which it refused to make a session."""
        return f", {', '.join(ids)}" if (ids := self._client.refused_by) else ""

    def _capabilities(self) -> Finding:
        sizes = {each: self._size(each) for each in ("Systems", "Chassis")}
        if not any(sizes.values()):
            return fail("names neither systems nor chassis, so there is nothing to poll", "update the BMC's firmware")
        told = f"{count(sizes['Systems'], 'system')}, {sizes['Chassis']} chassis"
        product = text(self._root.get("Product"))
        return ok(f"{told}{f' of {product}' if product else ''}; `rackstream probe {self._target.host}` shows all")

    def _size(self, name: str) -> int:
        link = text(at(self._root, f"{name}/@odata.id"))
        try:
            return len(list(members(self._client.get(link, self._deadline_s())))) if link else 0
        except Missing:
            return 0

    def _clock(self) -> Finding:
        """A note only: times of records are the producer's."""
        told = None
        try:
            if link := text(at(self._root, "Managers/@odata.id")):
                uris = [text(member.get("@odata.id")) for member in members(self._client.get(link, self._deadline_s()))]
                manager = self._client.get(uris[0], self._deadline_s()) if uris and uris[0] else {}
                told = datetime.fromisoformat(text(manager.get("DateTime")) or "")
        except (Fault, ValueError):
            pass
        if told is None:
            return skipped("it does not tell its time")
        ahead_s = ((told if told.tzinfo else told.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
        if abs(ahead_s) < AMISS_S:
            return ok("right")
        side = "ahead" if ahead_s > 0 else "behind"
        return ok(f"{ago(abs(ahead_s))} {side}: records are not touched by it, its own log is; give it NTP")
