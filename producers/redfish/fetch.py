"""Fetches the resources of one poll: concurrently, with errors counted, and linked resources joined.

Independent of categories: `system_resources`, `storage_resources` and `chassis_resources` decide what is fetched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from producers.reader import Problems
from producers.redfish.cache import BmcCache
from producers.redfish.discovery import MAX_MEMBERS, MAX_PAGES
from producers.redfish.documents import (
    Json,
    JsonObject,
    is_absent,
    key_of,
    last_segment,
    link_at,
    text,
    uri_key,
    uri_of,
    value_at,
)
from producers.redfish.expand import CollectionReader, is_resource, members
from producers.redfish.http.errors import RedfishError, ResourceMissing
from producers.redfish.http.negative_cache import NegativeCacheClient
from producers.redfish.mapping.table import RedfishRecord, ResourceTable


@dataclass(frozen=True, slots=True)
class FetchedResource:
    """A resource, and the tables that map it to records."""

    uri: str
    document: JsonObject
    owner_ids: Mapping[str, str | None]
    """Fields that its records get in addition: ids of the system, chassis or storage it belongs to."""
    tables: tuple[ResourceTable[RedfishRecord], ...]


class ResourceFetcher:
    """Fetches resources for one poll of one category.

    Args:
        client: Client of the BMC.
        cache: Facts found by earlier polls.
        now_s: Start of the poll on the client's clock.
        deadline_s: End of the poll on the client's clock.
        problems: Counts resources that could not be read.
    """

    def __init__(
        self, client: NegativeCacheClient, cache: BmcCache, now_s: float, deadline_s: float, problems: Problems
    ) -> None:
        self.errors: list[RedfishError] = []
        self.fetched = 0
        """Resources read."""
        self.now_s = now_s
        self.problems = problems
        self.cache = cache
        self._client = client
        self._collections = CollectionReader(client, cache.expand)
        self._deadline_s = deadline_s
        self._errors_by_uri: dict[str, RedfishError] = {}

    @property
    def is_complete(self) -> bool:
        """True if every request got a definite response, so that resources not found do not exist."""
        return all(isinstance(error, ResourceMissing) for error in self.errors)

    def errors_below(self, uri: str) -> dict[str, RedfishError]:
        """Returns URI → error for the failed resources at or below a URI."""
        prefix = f"{uri_key(uri)}/"
        return {
            failed_uri: error
            for failed_uri, error in self._errors_by_uri.items()
            if f"{uri_key(failed_uri)}/".startswith(prefix)
        }

    def get_all(self, uris: Sequence[str]) -> list[JsonObject | None]:
        """Returns the resources in the order of the URIs; None, and a counted problem, for failures."""
        return self._without_errors(uris, self._client.get_all(uris, self._deadline_s))

    def get_static(self, uris: Sequence[str]) -> list[JsonObject | None]:
        """Returns resources that do not change; each is read once while the firmware stays the same."""
        static = self.cache.static_resources
        missing = list(dict.fromkeys(uri for uri in uris if uri_key(uri) not in static))
        for uri, document in zip(missing, self.get_all(missing), strict=True):
            if document is not None:
                static[uri_key(uri)] = document
        return [static.get(uri_key(uri)) for uri in uris]

    def _without_errors(
        self, uris: Sequence[str], results: Sequence[JsonObject | RedfishError]
    ) -> list[JsonObject | None]:
        documents: list[JsonObject | None] = []
        for uri, result in zip(uris, results, strict=True):
            if isinstance(result, RedfishError):
                self.errors.append(result)
                self._errors_by_uri[uri] = result
                self.problems.add(uri, str(result), whole=not isinstance(result, ResourceMissing))
                documents.append(None)
            else:
                self.fetched += 1
                documents.append(result)
        return documents

    def get_resources(self, links_or_resources: Iterable[JsonObject]) -> dict[str, JsonObject]:
        """Returns URI key → resource, each once; links are followed, resources are taken as they are.

        `@odata.id` is the requested URI, because some resources name another one (BlueField 3: those of its manager).
        """
        unique: dict[str, JsonObject] = {}
        for item in links_or_resources:
            uri = uri_of(item)
            if uri and len(unique) < MAX_MEMBERS:
                unique.setdefault(uri_key(uri), item)
        links = {key: str(item["@odata.id"]) for key, item in unique.items() if not is_resource(item)}
        linked = dict(zip(links, self.get_all(list(links.values())), strict=True))
        resources: dict[str, JsonObject] = {}
        for key, item in unique.items():
            document = linked[key] if key in links else item
            if document is not None:
                uri = str(item["@odata.id"]).strip()
                resource_id = text(document.get("Id")) or last_segment(uri)
                resources[key] = {**document, "Id": resource_id, "@odata.id": uri}
        return resources

    def list_collections(self, links: Sequence[str | None], levels: int = 1) -> list[list[JsonObject] | None]:
        """Returns the members of each collection over all pages, links or resources; None for failures."""
        uris = [link for link in links if link]
        results = self._collections.first_pages(uris, self._deadline_s, levels)
        first_pages = iter(self._without_errors(uris, results))
        return [self._all_pages(next(first_pages)) if link else [] for link in links]

    def get_collections(self, links: Sequence[str | None], levels: int = 1) -> list[list[JsonObject]]:
        """Returns the resources in each collection; an empty list for a missing link."""
        return self.get_members([listed or [] for listed in self.list_collections(links, levels)])

    def get_members(self, collections: Sequence[Sequence[JsonObject]]) -> list[list[JsonObject]]:
        """Returns the resources for lists of links or resources, without those that could not be read."""
        resources = self.get_resources(item for items in collections for item in items)
        keys = [dict.fromkeys(key_of(item) for item in items) for items in collections]
        return [[resources[key] for key in unique_keys if key in resources] for unique_keys in keys]

    def get_linked(self, links: Sequence[str], collections: Iterable[str | None]) -> dict[str, JsonObject]:
        """Returns URI key → resource. Those in one of the collections are read with it, if `$expand` works."""
        resources: dict[str, JsonObject] = {}
        if self.cache.expand.works:
            parents = Counter(uri_key(link).rpartition("/")[0] for link in links)
            worthwhile = [collection for collection in collections if collection and parents[uri_key(collection)] > 1]
            keys = set(map(uri_key, links))
            for listed in self.list_collections(worthwhile):
                resources |= self.get_resources(
                    member for member in listed or [] if is_resource(member) and key_of(member) in keys
                )
        return resources | self.get_resources({"@odata.id": link} for link in links if uri_key(link) not in resources)

    def _all_pages(self, page: JsonObject | None) -> list[JsonObject] | None:
        if page is None:
            return None
        listed, seen = list(members(page)), set[str]()
        while link := text(page.get("Members@odata.nextLink")) if page is not None else None:
            if link in seen or len(seen) >= MAX_PAGES:
                break
            seen.add(link)
            page = self.get_all([link])[0]
            listed += members(page)
        return listed

    def inline_links(
        self, documents: Sequence[JsonObject], path: str, relevant: Iterable[str] = ()
    ) -> list[JsonObject]:
        """Returns the documents with the resource linked at a path in place of the link.

        Links of absent parts are not followed.

        Args:
            documents: Resources with links.
            path: Path of the link.
            relevant: Properties that are read; a linked resource without any of them is not requested again.
        """
        inlined = list(documents)
        links = {
            i: link
            for i, document in enumerate(inlined)
            if (link := link_at(document, path))
            and not is_resource(value_at(document, path))
            and uri_key(link) not in self.cache.irrelevant
            and not is_absent(document)
        }
        properties = set(relevant)
        for i, linked in zip(links, self.get_all(list(links.values())), strict=True):
            if linked is not None:
                inlined[i] = _with_value(inlined[i], path, linked)
                if properties and not properties & linked.keys():
                    self.cache.irrelevant.add(uri_key(links[i]))
        return inlined


def _with_value(document: JsonObject, path: str, value: Json) -> JsonObject:
    """Returns the document with the value at an existing path replaced."""
    name, _, rest = path.partition("/")
    return {**document, name: _with_value(document[name], rest, value) if rest else value}
