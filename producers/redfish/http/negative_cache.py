"""A client that does not ask at each poll for resources that are not to be had. Knows no resource."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from producers.redfish.http.client import Client, Clock
from producers.redfish.http.errors import Denied, Fault, Missing, Unreachable
from producers.redfish.mapping.table import Json

DEAD_S: Final = 600.0
"""A resource that is not there is not asked for again before this."""
BROKEN_S: Final = 15.0
"""Nor one that broke twice before this, then doubled up to DEAD_S; one that broke once is tried at the next poll."""

HELPERS: Final = ThreadPoolExecutor(1024, thread_name_prefix="redfish-get")
"""Shared by all BMCs: threads begun anew for each poll took more time than their requests. As many begin as are busy at
once, three to a poll under way; the number here is never met."""


def key_of(uri: str) -> str:
    """What spellings of one URI have in common: slashes at the end, and HPE's `Thermal#Fans/0` for `#/Fans/0`."""
    path, mark, fragment = uri.partition("#")
    return path.rstrip("/") + mark + fragment.strip("/")


class PatientClient:
    """A client that remembers which resources failed. Safe for several threads."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self.client = client
        """Asks whatever happened before."""
        self._clock = clock
        self._dead: dict[str, tuple[int, float, Fault]] = {}

    def get(self, link: str, deadline_s: float) -> Json:
        """The resource; of one that failed lately, its fault, with `fresh` false.

        Raises:
            Fault: it was not got.
        """
        key = key_of(link)
        failures, until_s, known = self._dead.get(key, (0, 0.0, None))
        if known is not None and self._clock() < until_s:
            raise known.remembered()  # a copy: the traceback of one raised again and again only grows
        try:
            answer = self.client.get(link, deadline_s)
        except (Unreachable, Denied):  # says something about the BMC, not about the resource
            raise
        except Fault as fault:
            wait_s = DEAD_S if isinstance(fault, Missing) else min(DEAD_S, BROKEN_S * (2 ** min(failures, 8) - 1))
            self._dead[key] = (failures + 1, self._clock() + wait_s, fault.remembered())
            raise
        self._dead.pop(key, None)
        return answer

    def forget(self) -> None:
        """Asks for everything again."""
        self._dead.clear()

    def together(self, links: Sequence[str], deadline_s: float) -> list[Json | Fault]:
        """The resources, or their faults, in the order of the links. Side by side: one that hangs starves no other."""
        answers: list[Json | Fault] = [Missing("not asked")] * len(links)
        # Each thread takes the next one; `next` of a range is atomic.
        positions = iter(range(len(links)))

        def work() -> None:
            for position in positions:
                try:
                    answers[position] = self.get(links[position], deadline_s)
                except Fault as fault:
                    answers[position] = fault

        helpers = [HELPERS.submit(work) for _ in range(min(self.client.at_once, len(links)) - 1)]
        work()
        for helper in helpers:
            helper.result()
        return answers
