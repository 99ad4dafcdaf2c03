"""Reads collections with `$expand`, which returns the members in the same response, as far as the BMC supports it.

What the service root advertises is tried; what works is decided by the responses. A form of the query that fails is not
used again, and after the last one collections are read without `$expand`. Independent of the kind of resource.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Final

from producers.redfish.documents import Json, JsonObject, number, objects, text, uri_key, uri_of, value_at
from producers.redfish.http.errors import Forbidden, RedfishError, ResourceMissing, Unreachable
from producers.redfish.http.negative_cache import NegativeCacheClient

EXPAND_QUERY_PATH: Final = "ProtocolFeaturesSupported/ExpandQuery"
MAX_FAILURES: Final = 2
"""Consecutive server errors or bad responses after which a form is given up; a refusal (4xx) suffices alone."""
LINK_PROPERTIES: Final = frozenset({"@odata.id", "@odata.type", "@odata.etag", "@odata.context"})
"""A member that has only these is a link."""


class ExpandSupport:
    """Support of one BMC for `$expand`, as advertised and as found. Safe for several threads.

    Args:
        root: The service root.
    """

    def __init__(self, root: JsonObject) -> None:
        features = value_at(root, EXPAND_QUERY_PATH)
        features = features if isinstance(features, dict) else {}
        self._forms = list(_query_forms(features))
        levels = number(features.get("MaxLevels"))
        self.max_levels = int(levels) if features.get("Levels") is True and levels is not None and levels >= 1 else 1
        self.works = False
        """True once a response contained members."""
        self._failures = 0
        self._single_level: set[str] = set()
        self._unsupported: set[str] = set()
        self._lock = threading.Lock()

    def query(self, link: str, levels: int = 1) -> str:
        """Returns the query string for a collection; empty if it is to be read without `$expand`."""
        with self._lock:
            if not self._forms or "?" in link or uri_key(link) in self._unsupported:
                return ""
            form = self._forms[0]
            depth = 1 if uri_key(link) in self._single_level else min(levels, self.max_levels)
        return f"?$expand={form}($levels={depth})" if depth > 1 and not form.endswith(")") else f"?$expand={form}"

    def record_success(self) -> None:
        """Records that a response contained members."""
        with self._lock:
            self.works, self._failures = True, 0

    def record_failure(self, link: str, query: str, *, is_refusal: bool) -> None:
        """Records that `link + query` failed or returned only links, while the plain collection could be read."""
        with self._lock:
            if self.works:
                has_levels = "levels=1" not in query and "levels" in query
                (self._single_level if has_levels else self._unsupported).add(uri_key(link))
                return
            self._failures += 1
            is_current = bool(self._forms) and query.startswith(f"?$expand={self._forms[0]}")
            if is_current and (is_refusal or self._failures >= MAX_FAILURES):
                self._forms.pop(0)
                self._failures = 0


def _query_forms(features: JsonObject) -> Iterator[str]:
    """Yields the forms of the query, best first: `.` skips what is under Links; `*` may make a response large."""
    if features.get("NoLinks") is True:
        yield "."
        if features.get("Levels") is True:
            yield ".($levels=1)"
    if features.get("ExpandAll") is True:
        yield "*($levels=1)" if features.get("Levels") is True else "*"


class CollectionReader:
    """Reads collections, expanded if that works."""

    def __init__(self, client: NegativeCacheClient, expand: ExpandSupport) -> None:
        self._client = client
        self._expand = expand

    def first_pages(self, links: Sequence[str], deadline_s: float, levels: int = 1) -> list[JsonObject | RedfishError]:
        """Returns the first page of each collection, or its error, in the order of the links."""
        queries = [self._expand.query(link, levels) for link in links]
        expanded_links = [link + query for link, query in zip(links, queries, strict=True)]
        results = self._client.get_all(expanded_links, deadline_s)
        retries = [i for i, result in enumerate(results) if queries[i] and self._may_be_due_to_query(result)]
        plain_results = self._client.get_all([links[i] for i in retries], deadline_s)
        for i, result in zip(retries, plain_results, strict=True):
            if not isinstance(result, RedfishError):
                is_refusal = isinstance(results[i], ResourceMissing)
                self._expand.record_failure(links[i], queries[i], is_refusal=is_refusal)
            results[i] = result
        for link, query, result in zip(links, queries, results, strict=True):
            if query and not isinstance(result, RedfishError):
                self._evaluate(link, query, result)
        return results

    def _may_be_due_to_query(self, result: JsonObject | RedfishError) -> bool:
        if not isinstance(result, RedfishError) or isinstance(result, Unreachable | Forbidden):
            return False
        return not (self._expand.works and str(result) == "HTTP 404")

    def _evaluate(self, link: str, query: str, page: JsonObject) -> None:
        listed = list(members(page))
        if any(is_resource(member) for member in listed):
            self._expand.record_success()
        elif listed and not self._expand.works:  # a BMC that ignores queries
            self._expand.record_failure(link, query, is_refusal=True)


def members(collection: JsonObject | None) -> Iterator[JsonObject]:
    """Yields the members on a page of a collection: links, or resources."""
    for member in objects(collection.get("Members")) if collection else ():
        if uri_of(member):
            yield member
        elif collection and is_resource(member) and (own_uri := uri_of(collection)):
            yield {**member, "@odata.id": f"{own_uri.rstrip('/')}/{text(member['Id'])}"}  # iLO 7: ""


def is_resource(value: Json) -> bool:
    """True if this is a resource and not only a link to one."""
    return isinstance(value, dict) and bool(value.keys() - LINK_PROPERTIES) and text(value.get("Id")) is not None
