"""Client that does not request unavailable resources again at each poll."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from producers.redfish.documents import JsonObject, uri_key
from producers.redfish.http.client import Clock, RedfishClient
from producers.redfish.http.errors import RedfishError, ResourceMissing, Unauthorized, Unreachable

MISSING_RETRY_S: Final = 600.0
"""A resource that is missing is not requested again before this time."""
BROKEN_RETRY_S: Final = 15.0
"""Nor is one whose response was bad twice; the time doubles up to MISSING_RETRY_S. After one bad response it is
requested at the next poll."""
MAX_DOUBLINGS: Final = 8

REQUEST_POOL: Final = ThreadPoolExecutor(1024, thread_name_prefix="redfish-get")
"""Threads shared by all BMCs, because starting threads for each poll took longer than the requests. The pool grows to
the number busy at once, three for each running poll; its limit is never reached."""


class NegativeCacheClient:
    """A client that remembers which resources failed. Safe for several threads."""

    def __init__(self, client: RedfishClient, clock: Clock) -> None:
        self.client = client
        """The client without this cache."""
        self._clock = clock
        self._failures: dict[str, tuple[int, float, RedfishError]] = {}
        """URI key → (consecutive failures, time of the next request, last error)."""

    def get(self, link: str, deadline_s: float) -> JsonObject:
        """Returns the resource; raises the previous error, with `fresh` False, if the resource failed recently.

        Raises:
            RedfishError: The resource could not be read.
        """
        key = uri_key(link)
        failures, retry_at_s, previous = self._failures.get(key, (0, 0.0, None))
        if previous is not None and self._clock() < retry_at_s:
            raise previous.as_cached()  # a copy: the traceback of an error raised again and again keeps growing
        try:
            resource = self.client.get(link, deadline_s)
        except (Unreachable, Unauthorized):  # about the BMC, not about the resource
            raise
        except RedfishError as error:
            backoff_s = BROKEN_RETRY_S * (2 ** min(failures, MAX_DOUBLINGS) - 1)
            wait_s = MISSING_RETRY_S if isinstance(error, ResourceMissing) else min(MISSING_RETRY_S, backoff_s)
            self._failures[key] = (failures + 1, self._clock() + wait_s, error.as_cached())
            raise
        self._failures.pop(key, None)
        return resource

    def clear(self) -> None:
        """Forgets all failures."""
        self._failures.clear()

    def get_all(self, links: Sequence[str], deadline_s: float) -> list[JsonObject | RedfishError]:
        """Returns the resources, or their errors, in the order of the links.

        Requests are sent concurrently, so that one that hangs does not hold up the others.
        """
        results: list[JsonObject | RedfishError] = [ResourceMissing("not requested")] * len(links)
        # Each thread takes the next position; `next` of a range iterator is atomic.
        positions = iter(range(len(links)))

        def work() -> None:
            for position in positions:
                try:
                    results[position] = self.get(links[position], deadline_s)
                except RedfishError as error:
                    results[position] = error

        helpers = [REQUEST_POOL.submit(work) for _ in range(min(self.client.max_concurrent, len(links)) - 1)]
        work()
        for helper in helpers:
            helper.result()
        return results
