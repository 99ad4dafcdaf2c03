"""The reader of one libvirt target: rounds (`isolation`) become samples; what does not answer is marked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import structlog

from producers.libvirt import mapping
from producers.libvirt.connection import without_credentials
from producers.libvirt.device_cache import Key
from producers.libvirt.worker.supervisor import Isolation, Limits
from producers.reader import Facts, Problems, Sample

if TYPE_CHECKING:
    from producers.fleet.config import LibvirtTarget
    from schemas.records import Domain

log = structlog.get_logger()
CATEGORY: Final = "domains"


class LibvirtReader:
    """Reader of one libvirt target, category `domains`. Connects at the first `read`."""

    source = "libvirt"

    def __init__(
        self, target: LibvirtTarget, interval_s: float, limits: Limits, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.host = target.host
        self.address = without_credentials(target.uri)
        self.labels = target.labels
        self.intervals = {CATEGORY: interval_s}
        self._isolation = Isolation(target.uri, self.address, limits)
        self._clock = clock
        self._last: dict[Key, Domain] = {}
        """What each domain answered last."""
        self._silent: dict[str, str] = {}
        """UUID → name of those that do not answer."""
        self._calls = 0
        self._call_s = 0.0

    def read(self, category: str, timeout_s: float) -> Sample:
        """All active domains. One that does not answer has its last known values and is `stale`.

        Raises:
            PollFailed: `unreachable`, `auth_failed`, or `late`: the host answers, but not in time.
        """
        if category != CATEGORY:
            raise ValueError(f"libvirt has no category {category!r}")
        began_s = self._clock()
        try:
            answer = self._isolation.round(timeout_s)
        finally:
            self._call_s += self._clock() - began_s
        self._calls += answer["calls"]
        problems = Problems()
        for field, cause, count, whole in answer["problems"]:
            problems.add(field, cause, count, whole=whole)
        domains: list[Domain] = answer["domains"]
        fresh: dict[Key, Domain] = {(domain["uuid"], domain["domain_id"]): domain for domain in domains}
        silent = [mapping.Who(*each) for each in answer["silent"]]
        last = {key: self._last[key] for who in silent if (key := (who.uuid, who.domain_id)) in self._last}
        self._last = fresh | last
        for who in silent:
            problems.add("domain", f"{who.name} does not answer", whole=True)
        self._note(silent)
        stale = [mapping.unanswered(who, last.get((who.uuid, who.domain_id))) for who in silent]
        hypervisor = self.described.get("hypervisor")
        return Sample({"uri": self.address, "hypervisor": hypervisor, "domains": domains + stale}, problems)

    def facts(self) -> Facts:
        """Which hypervisor answers, and which domains do not."""
        return Facts(
            requests=self._calls,
            request_s=self._call_s,
            model=self.described.get("hypervisor"),
            firmware=self.described.get("version"),
            left_out=tuple(sorted(self._silent.values())),
        )

    @property
    def described(self) -> dict[str, Any]:
        """What answered last: `hypervisor`, `version`, `libvirt`; empty before."""
        return self._isolation.described

    def survey(self, timeout_s: float) -> dict[str, Any]:
        """What each group of figures gives (`survey`), without domains that do not answer.

        Raises:
            PollFailed: as for `read`.
        """
        return self._isolation.survey(timeout_s)

    def hurry(self) -> None:
        """A round ends within its own limits."""

    def close(self) -> None:
        """Ends the connection and its process; a later `read` begins anew."""
        self._isolation.close()

    def _note(self, silent: list[mapping.Who]) -> None:
        """Says once that a domain does not answer, and once that it does."""
        before, self._silent = self._silent, {who.uuid: who.name for who in silent}
        self._isolation.quarantine.settle(self._silent, time.monotonic())
        for uuid in self._silent.keys() - before.keys():
            log.warning(
                "a domain does not answer: left out, its last values stand", host=self.host, domain=self._silent[uuid]
            )
        for uuid in before.keys() - self._silent.keys():
            log.info("a domain that did not answer does so again, or is gone", host=self.host, domain=before[uuid])
