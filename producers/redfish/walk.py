"""The GETs of one poll: side by side, counted, and joined the way `$expand` would. Knows no category."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from producers.reader import Problems
from producers.redfish.faults import Fault, Missing
from producers.redfish.fields import NO_READING, Json, at, text
from producers.redfish.patience import PatientClient, key_of
from producers.redfish.plan import MEMBERS_MAX, PAGES_MAX, end_of, member_uris


@dataclass(frozen=True, slots=True)
class Found:
    """A document that a category's tables make records of."""

    uri: str
    document: Json
    place: Mapping[str, str | None]
    """What its records carry beside their table's fields: ids of what it belongs to."""


class Walk:
    """One poll of one category, by `deadline_s` on the client's clock."""

    def __init__(self, client: PatientClient, deadline_s: float, problems: Problems) -> None:
        self.faults: list[Fault] = []
        self.got = 0
        """Resources that were got."""
        self._client = client
        self._deadline_s = deadline_s
        self._problems = problems

    @property
    def sure(self) -> bool:
        """Whether what was not found is not there: an answer that was not got does not say that there is none."""
        return all(isinstance(fault, Missing) for fault in self.faults)

    def all(self, uris: Sequence[str]) -> list[Json | None]:
        """The resources in the order of their URIs; None, and a problem counted, where one was not got."""
        found: list[Json | None] = []
        for uri, answer in zip(uris, self._client.together(uris, self._deadline_s), strict=True):
            if isinstance(answer, Fault):
                self.faults.append(answer)
                self._problems.add(uri, str(answer), whole=not isinstance(answer, Missing))
                found.append(None)
            else:
                self.got += 1
                found.append(answer)
        return found

    def documents(self, uris: Iterable[str]) -> dict[str, Json]:
        """The resources that were got, each once, by `key_of` their URI; `@odata.id` is the URI asked for."""
        spellings: dict[str, str] = {}
        for uri in uris:
            spellings.setdefault(key_of(uri), uri)
        once = list(spellings.values())[:MEMBERS_MAX]
        # Some bodies name another resource's URI (BlueField 3: those of its manager).
        return {
            key_of(uri): {**answer, "Id": text(answer.get("Id")) or end_of(uri), "@odata.id": uri}
            for uri, answer in zip(once, self.all(once), strict=True)
            if answer is not None
        }

    def members(self, holders: Sequence[Json], name: str) -> list[list[Json]]:
        """For each holder the resources in the collection, or in the array of links, under its property `name`."""
        links = [text(at(holder, f"{name}/@odata.id")) for holder in holders]
        pages = iter(self.all([link for link in links if link]))
        uris = [
            list(self._over_pages(next(pages)) if link else member_uris(holder.get(name)))
            for holder, link in zip(holders, links, strict=True)
        ]
        found = self.documents(uri for each in uris for uri in each)
        keys = [list(dict.fromkeys(key_of(uri) for uri in each)) for each in uris]
        return [[found[key] for key in each if key in found] for each in keys]

    def _over_pages(self, page: Json | None) -> Iterator[str]:
        """URIs of a collection's members, from its first page on."""
        seen = set[str]()
        while page is not None:
            yield from member_uris(page.get("Members"))
            link = text(page.get("Members@odata.nextLink"))
            if not link or link in seen or len(seen) >= PAGES_MAX:
                return
            seen.add(link)
            page = self.all([link])[0]

    def join(self, documents: Sequence[Json], *paths: str) -> list[Json]:
        """The documents with what they link at `paths` in place of the links. Absent things are not asked about."""
        joined = list(documents)
        for path in paths:
            wanted = {
                position: link
                for position, each in enumerate(joined)
                if (link := text(at(each, f"{path}/@odata.id")))
                and (text(at(each, "Status/State")) or "").casefold() not in NO_READING
            }
            for position, answer in zip(wanted, self.all(list(wanted.values())), strict=True):
                if answer is not None:
                    joined[position] = _with(joined[position], path, answer)
        return joined


def _with(document: Json, path: str, inner: Any) -> Json:
    """The document with something else at a path that is there."""
    name, _, rest = path.partition("/")
    return {**document, name: _with(document[name], rest, inner) if rest else inner}
