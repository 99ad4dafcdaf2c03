"""Checks that a BMC serves Redfish, accepts the login, and has readings. Logs in once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from producers import redfish
from producers.fleet.targets import RedfishTarget
from producers.redfish.documents import text, value_at
from producers.redfish.expand import members
from producers.redfish.http import transport
from producers.redfish.http.errors import Forbidden, RedfishError, ResourceMissing, ResponseTimeout, Unauthorized
from rackstream.doctor import network, tls
from rackstream.doctor.check import CheckResult, DoctorCheck, duration_text, fail, ok, skipped, warn
from rackstream.text.units import quantity

if TYPE_CHECKING:
    from producers.redfish.http.client import RedfishClient

ROOT: Final = "/redfish/v1/"
MAX_CLOCK_OFFSET_S: Final = 60.0
"""If a BMC's clock is off by more than this, it is reported."""
SESSIONS_FULL: Final = "no session available"
"""Prefix of the client's reason for Basic authentication when a BMC refuses another session."""
LOCKED: Final = ("lock", "delayed")
"""Parts of the message ids with which BMCs reject the login of a locked account."""


class BmcChecks:
    """The checks of one BMC, which share one session."""

    def __init__(self, target: RedfishTarget, timeout_s: float) -> None:
        self._target, self._timeout_s = target, timeout_s
        self._opened: RedfishClient | None = None
        self._root: Mapping[str, object] = {}

    def checks(self) -> list[DoctorCheck]:
        """Returns the checks from the BMC's name to its clock."""
        target, timeout_s = self._target, self._timeout_s
        parts = urlsplit(target.proxy or target.address)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        service = "proxy" if target.proxy else "BMC's web server"
        checks = network.checks(host, port, timeout_s, service=service)
        if parts.scheme == "https" and not target.proxy:
            checks.append(DoctorCheck("TLS", lambda: self._check_tls(host, port), ("port",), 2 * timeout_s + 1))
        connected = checks[-1].name
        return [
            *checks,
            DoctorCheck("service", self._check_service, (connected,), timeout_s + 1),
            DoctorCheck("login", self._check_login, ("service",), 2 * timeout_s + 1),
            DoctorCheck("capabilities", self._check_capabilities, ("login",), 2 * timeout_s + 1),
            DoctorCheck("BMC's clock", self._check_clock, ("capabilities",), timeout_s + 1, timeout_state="skipped"),
        ]

    def close(self) -> None:
        """Deletes the session."""
        if self._opened is not None:
            self._opened.close()

    @property
    def _client(self) -> RedfishClient:
        if self._opened is None:
            self._opened = redfish.create_client(self._target)
        return self._opened

    def _check_tls(self, host: str, port: int) -> CheckResult:
        verify = self._target.verify
        context = transport.tls_context(verify if isinstance(verify, bool) else str(verify))
        return tls.check_tls(host, port, context, self._timeout_s)

    def _deadline_s(self) -> float:
        return time.monotonic() + self._timeout_s

    def _check_service(self) -> CheckResult:
        try:
            self._root = self._client.get(ROOT, self._deadline_s())
        except ResponseTimeout:
            return fail(
                f"accepts connections but does not answer within {self._timeout_s:g} s",
                "its web server hangs, or is busy: try a longer --timeout, then reset the BMC (not its host)",
            )
        except Unauthorized:
            return ok("requires a login even for its service root")
        except ResourceMissing as error:
            return fail(f"has no Redfish service at {ROOT}: {error}", "is it a BMC, and is Redfish enabled on it?")
        except RedfishError as error:
            return fail(f"does not answer as a Redfish service: {error}", "is this the BMC's address and port?")
        version, vendor = text(self._root.get("RedfishVersion")), text(self._root.get("Vendor"))
        return ok(f"Redfish {version or '(no version given)'}" + (f" of {vendor}" if vendor else ""))

    def _check_login(self) -> CheckResult:
        target, client = self._target, self._client
        link = text(value_at(self._root, "Systems/@odata.id")) or text(value_at(self._root, "Chassis/@odata.id"))
        try:
            client.get(link or f"{ROOT}Systems", self._deadline_s())
        except Unauthorized:
            return self._unauthorized()
        except Forbidden:
            return fail(
                f"accepts the login of {target.username or 'anybody'} but denies reading (HTTP 403)",
                "give the user the role ReadOnly; a new password may have to be changed first; check the licence",
            )
        except ResourceMissing as error:
            return ok(f"login accepted; its systems: {error}")
        except RedfishError as error:
            return fail(f"login failed: {error}", "check the BMC's log; reset the BMC if this persists")
        return self._login_accepted()

    def _login_accepted(self) -> CheckResult:
        target, client = self._target, self._client
        if client.basic_reason.startswith(SESSIONS_FULL):
            return warn(
                f"{client.basic_reason}{self._rejection_ids()}, so Basic authentication is used: "
                "all its sessions are probably in use",
                "close sessions that others left open there; each request now costs the BMC a login",
            )
        if client.auth == "none":
            return ok("no login required")
        if client.auth == "session":
            return ok(f"as {target.username}, with a session")
        return ok(f"as {target.username}, with Basic authentication: {client.basic_reason or 'it has no sessions'}")

    def _unauthorized(self) -> CheckResult:
        target, basic_reason = self._target, self._client.basic_reason
        if target.username is None:
            return fail("requires a login (HTTP 401), but none is configured", "set `username` and `password`")
        ids = self._rejection_ids()
        if basic_reason.startswith(SESSIONS_FULL):
            return fail(
                f"{basic_reason}{ids}, and it accepts no login without one: all its sessions are in use",
                "close sessions that others left open, or wait until they expire (often 30 minutes)",
            )
        if any(word in ids.lower() for word in LOCKED):
            return fail(
                f"the account {target.username} is temporarily locked{ids}",
                "correct the password, then wait or unlock it in the BMC: producers retry by themselves",
            )
        return fail(
            f"rejects user {target.username} or the password (HTTP 401{ids})",
            f"check {target.password}; after several wrong passwords BMCs lock the account: check that too",
        )

    def _rejection_ids(self) -> str:
        """Lists the ids of the messages with which it refused to create a session."""
        ids = self._client.rejection_ids
        return f", {', '.join(ids)}" if ids else ""

    def _check_capabilities(self) -> CheckResult:
        systems, chassis = self._member_count("Systems"), self._member_count("Chassis")
        if not systems and not chassis:
            return fail("lists neither systems nor chassis, so there is nothing to poll", "update the BMC's firmware")
        product = text(self._root.get("Product"))
        return ok(
            f"{quantity(systems, 'system')}, {chassis} chassis{f' of {product}' if product else ''}; "
            f"`rackstream probe {self._target.host}` shows all"
        )

    def _member_count(self, collection: str) -> int:
        link = text(value_at(self._root, f"{collection}/@odata.id"))
        try:
            return len(list(members(self._client.get(link, self._deadline_s())))) if link else 0
        except ResourceMissing:
            return 0

    def _check_clock(self) -> CheckResult:
        """Compares the BMC's clock with ours. Never a warning: times of records are the producer's."""
        bmc_time = self._read_clock()
        if bmc_time is None:
            return skipped("it does not report its time")
        ahead_s = (bmc_time - datetime.now(UTC)).total_seconds()
        if abs(ahead_s) < MAX_CLOCK_OFFSET_S:
            return ok("right")
        side = "ahead" if ahead_s > 0 else "behind"
        return ok(
            f"{duration_text(abs(ahead_s))} {side}: records are not affected, but its own log is; set up NTP on it"
        )

    def _read_clock(self) -> datetime | None:
        link = text(value_at(self._root, "Managers/@odata.id"))
        try:
            managers = members(self._client.get(link, self._deadline_s())) if link else ()
            uri = next((text(manager.get("@odata.id")) for manager in managers), None)
            manager = self._client.get(uri, self._deadline_s()) if uri else {}
            bmc_time = datetime.fromisoformat(text(manager.get("DateTime")) or "")
        except (RedfishError, ValueError):
            return None
        return bmc_time if bmc_time.tzinfo else bmc_time.replace(tzinfo=UTC)
