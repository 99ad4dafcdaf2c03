"""`$expand`: collections read with their members in one request, as far as this BMC can. Knows no resource.

What a BMC says it can do is tried, and what it answers decides: a way of asking that it answers badly is given up for
good, and after the last one collections are read plain.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

from producers.redfish.http.errors import Fault, Forbidden, Missing, Unreachable
from producers.redfish.http.negative_cache import PatientClient, key_of
from producers.redfish.mapping.table import Json, at, number, text

FEATURES: Final = "ProtocolFeaturesSupported/ExpandQuery"
STRIKES: Final = 2
"""Server errors and garbage in a row that end a way; they may be a bad moment, a refusal (4xx) is not."""
ONE: Final = frozenset({"@odata.id", "@odata.type", "@odata.etag", "@odata.context"})
"""Of a member that has only these, a collection holds the link."""


class Expanding:
    """How one BMC takes `$expand`. Safe for several threads."""

    def __init__(self, root: Json) -> None:
        told = at(root, FEATURES)
        told = told if isinstance(told, dict) else {}
        self._ways = list(_ways(told))
        deepest = number(told.get("MaxLevels"))
        self.levels = int(deepest) if told.get("Levels") is True and deepest is not None and deepest >= 1 else 1
        """How deep it says to go."""
        self.works = False
        """Whether an answer has had its members in it."""
        self._strikes = 0
        self._shallow: set[str] = set()
        self._not_here: set[str] = set()
        self._lock = threading.Lock()

    def query(self, link: str, levels: int = 1) -> str:
        """What to append to the link of a collection; nothing where it is to be read plain."""
        with self._lock:
            if not self._ways or "?" in link or key_of(link) in self._not_here:
                return ""
            way = self._ways[0]
            deep = 1 if key_of(link) in self._shallow else min(levels, self.levels)
        return f"?$expand={way}($levels={deep})" if deep > 1 and not way.endswith(")") else f"?$expand={way}"

    def worked(self) -> None:
        """Members were in the answer."""
        with self._lock:
            self.works, self._strikes = True, 0

    def failed(self, link: str, query: str, *, surely: bool) -> None:
        """The answer to `link + query` was bad, or had links only, and the plain one was good."""
        with self._lock:
            if self.works:
                (self._shallow if "levels=1" not in query and "levels" in query else self._not_here).add(key_of(link))
                return
            self._strikes += 1
            current = bool(self._ways) and query.startswith(f"?$expand={self._ways[0]}")
            if current and (surely or self._strikes >= STRIKES):
                self._ways.pop(0)
                self._strikes = 0


def _ways(told: Json) -> Iterator[str]:
    """Ways of asking, best first. `.` leaves out what is under Links; `*` may make an answer large."""
    if told.get("NoLinks") is True:
        yield "."
        if told.get("Levels") is True:
            yield ".($levels=1)"
    if told.get("ExpandAll") is True:
        yield "*($levels=1)" if told.get("Levels") is True else "*"


class Collections:
    """Reads collections by a client, expanded where that works."""

    def __init__(self, client: PatientClient, expanding: Expanding) -> None:
        self._client = client
        self.expanding = expanding

    def first_pages(self, links: Sequence[str], deadline_s: float, levels: int = 1) -> list[Json | Fault]:
        """The first page of each collection, or its fault, in the order of the links."""
        queries = [self.expanding.query(link, levels) for link in links]
        asked = [link + query for link, query in zip(links, queries, strict=True)]
        answers = self._client.together(asked, deadline_s)
        again = [place for place, each in enumerate(answers) if queries[place] and self._blames(each)]
        plain = self._client.together([links[place] for place in again], deadline_s)
        for place, answer in zip(again, plain, strict=True):
            if not isinstance(answer, Fault):
                self.expanding.failed(links[place], queries[place], surely=isinstance(answers[place], Missing))
            answers[place] = answer
        for link, query, answer in zip(links, queries, answers, strict=True):
            if query and not isinstance(answer, Fault):
                self._note(link, query, answer)
        return answers

    def _blames(self, answer: Json | Fault) -> bool:
        """Whether the query may be to blame for an answer."""
        if not isinstance(answer, Fault) or isinstance(answer, Unreachable | Forbidden):
            return False
        return not (self.expanding.works and str(answer) == "HTTP 404")

    def _note(self, link: str, query: str, answer: Json) -> None:
        told = list(members(answer))
        if any(inline(each) for each in told):
            self.expanding.worked()
        elif told and not self.expanding.works:  # it knows no queries, and says so by ignoring them
            self.expanding.failed(link, query, surely=True)


def members(collection: Json | None) -> Iterator[Json]:
    """What a page of a collection lists: links, or resources."""
    listed = collection.get("Members") if collection else None
    for member in listed if isinstance(listed, list) else []:
        if not isinstance(member, dict):
            continue
        if text(member.get("@odata.id")):
            yield member
        elif collection and inline(member) and (own := text(collection.get("@odata.id"))):
            yield {**member, "@odata.id": f"{own.rstrip('/')}/{text(member['Id'])}"}  # iLO 7: ""


def inline(resource: Any) -> bool:
    """Whether this is a resource, and not only a link to it."""
    return isinstance(resource, dict) and bool(resource.keys() - ONE) and text(resource.get("Id")) is not None
