"""Reader of one libvirt target: converts polls to samples, and marks unresponsive domains."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog

from producers.libvirt import mapping
from producers.libvirt.connection import without_credentials
from producers.libvirt.device_cache import DomainKey
from producers.libvirt.worker.supervisor import WorkerLimits, WorkerSupervisor
from producers.reader import Problems, Sample, TargetFacts

if TYPE_CHECKING:
    from producers.fleet.targets import LibvirtTarget
    from producers.libvirt.stat_groups import GroupSurvey
    from producers.libvirt.worker.ipc import ServerInfo
    from schemas.records import Domain

log = structlog.get_logger()
CATEGORY: Final = "domains"


class LibvirtReader:
    """Reads one libvirt target, category `domains`. Connects at the first `read`."""

    source = "libvirt"

    def __init__(
        self,
        target: LibvirtTarget,
        interval_s: float,
        limits: WorkerLimits,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host = target.host
        self.address = without_credentials(target.uri)
        self.labels = target.labels
        self.intervals = {CATEGORY: interval_s}
        self._supervisor = WorkerSupervisor(target.uri, self.address, limits)
        self._clock = clock
        self._last: dict[DomainKey, Domain] = {}
        """The last values of each domain."""
        self._unresponsive: dict[str, str] = {}
        """UUID → name of the domains that do not answer."""
        self._calls = 0
        self._call_s = 0.0

    def read(self, category: str, timeout_s: float) -> Sample:
        """Reads all active domains.

        One that does not answer keeps its last values and is marked `stale`.

        Raises:
            PollFailed: `unreachable`, `auth_failed`, or `late`: the host answers, but not in time.
        """
        if category != CATEGORY:
            raise ValueError(f"libvirt has no category {category!r}")
        started_s = self._clock()
        try:
            result = self._supervisor.poll(timeout_s)
        finally:
            self._call_s += self._clock() - started_s
        self._calls += result["calls"]
        problems = Problems()
        for field, cause, count, whole in result["problems"]:
            problems.add(field, cause, count, whole=whole)
        domains = result["domains"]
        fresh: dict[DomainKey, Domain] = {(domain["uuid"], domain["domain_id"]): domain for domain in domains}
        unresponsive = [mapping.DomainIdentity(*identity) for identity in result["unresponsive"]]
        last = {
            key: self._last[key]
            for identity in unresponsive
            if (key := (identity.uuid, identity.domain_id)) in self._last
        }
        self._last = fresh | last
        for identity in unresponsive:
            problems.add("domain", f"{identity.name} does not answer", whole=True)
        self._log_changes(unresponsive)
        stale = [
            mapping.stale_domain(identity, last.get((identity.uuid, identity.domain_id))) for identity in unresponsive
        ]
        hypervisor = self.server_info.get("hypervisor")
        return Sample({"uri": self.address, "hypervisor": hypervisor, "domains": domains + stale}, problems)

    def facts(self) -> TargetFacts:
        """Returns the hypervisor's version, the calls made so far, and the unresponsive domains."""
        return TargetFacts(
            requests=self._calls,
            request_s=self._call_s,
            model=self.server_info.get("hypervisor"),
            firmware=self.server_info.get("version"),
            left_out=tuple(sorted(self._unresponsive.values())),
        )

    @property
    def server_info(self) -> ServerInfo:
        """Driver and versions of the server that answered last; empty before the first poll."""
        return self._supervisor.server_info

    def survey(self, timeout_s: float) -> dict[str, GroupSurvey]:
        """Reads every group of statistics, without domains that do not answer (`stat_groups`).

        Raises:
            PollFailed: As for `read`.
        """
        return self._supervisor.survey(timeout_s)

    def abort(self) -> None:
        """Does nothing: a poll ends within its own limits."""

    def close(self) -> None:
        """Closes the connection and its process; a later `read` starts another."""
        self._supervisor.close()

    def _log_changes(self, unresponsive: list[mapping.DomainIdentity]) -> None:
        """Logs once when a domain stops answering, and once when it answers again or is gone."""
        before, self._unresponsive = self._unresponsive, {identity.uuid: identity.name for identity in unresponsive}
        self._supervisor.quarantine.update(self._unresponsive, time.monotonic())
        for uuid in self._unresponsive.keys() - before.keys():
            log.warning(
                "domain does not answer: skipped, its last values are repeated as stale",
                host=self.host,
                domain=self._unresponsive[uuid],
            )
        for uuid in before.keys() - self._unresponsive.keys():
            log.info("domain answers again, or is gone", host=self.host, domain=before[uuid])
