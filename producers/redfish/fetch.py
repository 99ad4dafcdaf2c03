"""The GETs of one poll: side by side, counted, and joined the way `$expand` would. Knows no category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from producers.reader import Problems
from producers.redfish.cache import Learnt
from producers.redfish.discovery import MEMBERS_MAX, PAGES_MAX, end_of
from producers.redfish.expand import Collections, inline, members
from producers.redfish.http.errors import Fault, Missing
from producers.redfish.http.negative_cache import PatientClient, key_of
from producers.redfish.mapping.table import NO_READING, Json, Table, at, text


@dataclass(frozen=True, slots=True)
class Found:
    """A document that tables make records of."""

    uri: str
    document: Json
    place: Mapping[str, str | None]
    """What its records carry beside their table's fields: ids of what it belongs to."""
    tables: tuple[Table, ...]


class Walk:
    """One poll of one category, begun at `now_s`, to end by `deadline_s` on the client's clock."""

    def __init__(
        self, client: PatientClient, learnt: Learnt, now_s: float, deadline_s: float, problems: Problems
    ) -> None:
        self.faults: list[Fault] = []
        self.got = 0
        """Resources that were got."""
        self.now_s = now_s
        self.problems = problems
        self.learnt = learnt
        self._client = client
        self._collections = Collections(client, learnt.expanding)
        self._deadline_s = deadline_s
        self._missed: dict[str, Fault] = {}

    @property
    def sure(self) -> bool:
        """Whether what was not found is not there: an answer that was not got does not say that there is none."""
        return all(isinstance(fault, Missing) for fault in self.faults)

    def missed(self, below: str) -> dict[str, Fault]:
        """URI → fault of what was not got at or below a URI."""
        start = key_of(below)
        return {uri: fault for uri, fault in self._missed.items() if f"{key_of(uri)}/".startswith(f"{start}/")}

    def all(self, uris: Sequence[str]) -> list[Json | None]:
        """The resources in the order of their URIs; None, and a problem counted, where one was not got."""
        return self._counted(uris, self._client.together(uris, self._deadline_s))

    def kept(self, uris: Sequence[str]) -> list[Json | None]:
        """The same for resources that do not change: each is asked for once while the firmware stays."""
        unknown = list(dict.fromkeys(uri for uri in uris if key_of(uri) not in self.learnt.kept))
        for uri, answer in zip(unknown, self.all(unknown), strict=True):
            if answer is not None:
                self.learnt.kept[key_of(uri)] = answer
        return [self.learnt.kept.get(key_of(uri)) for uri in uris]

    def _counted(self, uris: Sequence[str], answers: Sequence[Json | Fault]) -> list[Json | None]:
        found: list[Json | None] = []
        for uri, answer in zip(uris, answers, strict=True):
            if isinstance(answer, Fault):
                self.faults.append(answer)
                self._missed[uri] = answer
                self.problems.add(uri, str(answer), whole=not isinstance(answer, Missing))
                found.append(None)
            else:
                self.got += 1
                found.append(answer)
        return found

    def documents(self, listed: Iterable[Json]) -> dict[str, Json]:
        """The resources that were got of links and of resources, each once, by `key_of` their URI.

        `@odata.id` is the URI asked for, for some bodies name another resource's (BlueField 3: those of its manager).
        """
        once: dict[str, Json] = {}
        for each in listed:
            uri = text(each.get("@odata.id"))
            if uri and len(once) < MEMBERS_MAX:
                once.setdefault(key_of(uri), each)
        links = {key: str(each["@odata.id"]) for key, each in once.items() if not inline(each)}
        answers = dict(zip(links, self.all(list(links.values())), strict=True))
        found: dict[str, Json] = {}
        for key, each in once.items():
            document = answers[key] if key in links else each
            if document is not None:
                uri = str(each["@odata.id"]).strip()
                found[key] = {**document, "Id": text(document.get("Id")) or end_of(uri), "@odata.id": uri}
        return found

    def listed(self, links: Sequence[str | None], levels: int = 1) -> list[list[Json] | None]:
        """What each collection lists over all its pages: links, or resources. None where it was not got."""
        there = [link for link in links if link]
        answers = self._collections.first_pages(there, self._deadline_s, levels)
        pages = iter(self._counted(there, answers))
        return [self._over_pages(next(pages)) if link else [] for link in links]

    def members(self, links: Sequence[str | None], levels: int = 1) -> list[list[Json]]:
        """The resources in each collection; none of one without a link."""
        return self.resources([each or [] for each in self.listed(links, levels)])

    def through(self, links: Sequence[str], collections: Iterable[str | None]) -> dict[str, Json]:
        """The resources by `key_of` their URI, of those in one of the collections all at once where that works."""
        found: dict[str, Json] = {}
        if self.learnt.expanding.works:
            parents = Counter(key_of(link).rpartition("/")[0] for link in links)
            worthwhile = [collection for collection in collections if collection and parents[key_of(collection)] > 1]
            wanted = {key_of(link) for link in links}
            for listed in self.listed(worthwhile):
                there = [each for each in listed or [] if key_of(text(each.get("@odata.id")) or "") in wanted]
                found |= self.documents(each for each in there if inline(each))
        return found | self.documents({"@odata.id": link} for link in links if key_of(link) not in found)

    def resources(self, listed: Sequence[Sequence[Json]]) -> list[list[Json]]:
        """The resources that lists of links or of resources name; those not got are left out."""
        found = self.documents(each for one in listed for each in one)
        keys = [list(dict.fromkeys(key_of(text(each.get("@odata.id")) or "") for each in one)) for one in listed]
        return [[found[key] for key in one if key in found] for one in keys]

    def _over_pages(self, page: Json | None) -> list[Json] | None:
        if page is None:
            return None
        told, seen = list(members(page)), set[str]()
        while link := text(page.get("Members@odata.nextLink")) if page is not None else None:
            if link in seen or len(seen) >= PAGES_MAX:
                break
            seen.add(link)
            page = self.all([link])[0]
            told += members(page)
        return told

    def join(self, documents: Sequence[Json], path: str, wanted: Iterable[str] = ()) -> list[Json]:
        """The documents with what they link at a path in place of the link. Absent things are not asked about.

        Where `wanted` properties are named, what has none of them is not asked for again.
        """
        joined = list(documents)
        places = {
            place: link
            for place, each in enumerate(joined)
            if (link := text(at(each, f"{path}/@odata.id")))
            and not inline(at(each, path))
            and key_of(link) not in self.learnt.useless
            and not absent(each)
        }
        names = set(wanted)
        for place, answer in zip(places, self.all(list(places.values())), strict=True):
            if answer is not None:
                joined[place] = _with(joined[place], path, answer)
                if names and not names & answer.keys():
                    self.learnt.useless.add(key_of(places[place]))
        return joined


def absent(document: Json) -> bool:
    """Whether this is an empty slot, of which nothing can be read."""
    return (text(at(document, "Status/State")) or "").casefold() in NO_READING


def links_at(holder: Json, name: str) -> Iterator[Json]:
    """The links, or resources, in an array of a resource."""
    each: Any = holder.get(name)
    yield from (one for one in (each if isinstance(each, list) else []) if isinstance(one, dict))


def _with(document: Json, path: str, inner: Any) -> Json:
    """The document with something else at a path that is there."""
    name, _, rest = path.partition("/")
    return {**document, name: _with(document[name], rest, inner) if rest else inner}
