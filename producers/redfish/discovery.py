"""Discovers the systems and chassis of one BMC: service root, its collections, their members. Ids are never guessed.

After an hour only the root, the collections and the firmware version are read again; while they are unchanged, all else
is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from producers.reader import Problems
from producers.redfish.cache import BmcCache
from producers.redfish.documents import JsonObject, last_segment, link_at, objects, text, uri_key, uri_of, value_at
from producers.redfish.expand import CollectionReader, ExpandSupport, is_resource, members
from producers.redfish.http.client import Clock
from producers.redfish.http.errors import (
    BadResponse,
    Forbidden,
    RedfishError,
    ResourceMissing,
    Unauthorized,
    Unreachable,
)
from producers.redfish.http.negative_cache import MISSING_RETRY_S, NegativeCacheClient
from producers.redfish.http.session import SERVICE_ROOT

CHASSIS_LINKS: Final[Mapping[str, tuple[str, ...]]] = {
    "thermal": ("Thermal", "ThermalSubsystem", "Sensors"),
    "power": ("Power", "PowerSubsystem", "Sensors", "EnvironmentMetrics"),
    "network": ("NetworkAdapters",),
    "storage": ("Drives",),
}
"""Category → properties of a Chassis that link its resources."""
SYSTEM_COLLECTIONS: Final = (
    "Processors",
    "Memory",
    "NetworkInterfaces",
    "EthernetInterfaces",
    "Storage",
    "SimpleStorage",
)
"""Collections of a System that are read."""
CHASSIS_PROPERTIES: Final = tuple(dict.fromkeys(name for names in CHASSIS_LINKS.values() for name in names))
MAX_MEMBERS: Final = 1024
MAX_PAGES: Final = 64
"""Limits for one collection; the largest on record have 47 chassis and 4 pages."""
PLAN_VALID_S: Final = 3600.0
"""Interval of the check for inserted blades and updated firmware."""
REDISCOVERY_S: Final = 86_400.0
"""Everything is read again after this time, because not every change shows in a version or a list."""
INCOMPLETE_RETRY_S: Final = 60.0
"""After this time discovery is repeated for the parts that did not respond."""
MEMBERS_TIME_SHARE: Final = 0.6
"""Members may take this share of a poll, so that those already known can be read in the rest."""


@dataclass(frozen=True, slots=True)
class DiscoveredResource:
    """A System or a Chassis."""

    uri: str
    resource_id: str
    """Its Id, or the last segment of its URI."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Property → linked URI, for the properties that some category reads."""
    system_ids: tuple[str, ...] = ()
    """For a Chassis: ids of the Systems in it, as far as the BMC reports them."""
    contained_by: str = ""
    """For a Chassis: URI of the enclosing one."""


@dataclass(slots=True)
class DiscoveryPlan:
    """Systems and chassis to poll."""

    valid_until_s: float
    systems: list[DiscoveredResource] = field(default_factory=list)
    chassis: list[DiscoveredResource] = field(default_factory=list)
    cache: BmcCache = field(default_factory=BmcCache)
    outdated: bool = False
    """True if a poll found that the BMC has changed."""
    problems: Problems = field(default_factory=Problems)
    """Systems and chassis that could not be read."""


class Discovery:
    """Creates plans. Keeps the members that responded, because one poll may be too short to read all of them."""

    def __init__(self, client: NegativeCacheClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self.root: JsonObject = {}
        """Service root as last read."""
        self.firmware: str | None = None
        """FirmwareVersion of the first Manager that has one."""
        self._members: dict[str, JsonObject] = {}
        """URI key → System or Chassis."""
        self._cache = BmcCache()
        self._firmware_versions: tuple[str, ...] | None = None
        self._check_firmware_at_s = self._rediscover_at_s = float("-inf")

    def first_text(self, *names: str) -> str | None:
        """Returns the first of these properties that the service root, or else a System or Chassis, has."""
        documents = (self.root, *tuple(self._members.values()))
        values = (text(document.get(name)) for document in documents for name in names)
        return next((value for value in values if value), None)

    def invalidate(self) -> None:
        """Makes the next run read everything again."""
        self._rediscover_at_s = float("-inf")

    def run(self, deadline_s: float) -> DiscoveryPlan:
        """Returns a new plan.

        Raises:
            RedfishError: The service root, both of its collections or all of their members could not be read.
        """
        root = self._client.client.get(SERVICE_ROOT, deadline_s)
        links = {name: link_at(root, name) for name in ("Systems", "Chassis")}
        if not any(links.values()):
            raise BadResponse("no Redfish service root at /redfish/v1/")
        self.root = root
        now_s = self._clock()
        if now_s >= self._rediscover_at_s:
            self._firmware_versions, self._check_firmware_at_s = None, float("-inf")
            self._rediscover_at_s = now_s + REDISCOVERY_S
            self._reset()
        elif now_s >= self._check_firmware_at_s:
            self._check_firmware(deadline_s)
        plan = DiscoveryPlan(now_s + PLAN_VALID_S, cache=self._cache)
        uris = self._list_collections(links, deadline_s, plan)
        self._read_members(uris["Systems"], uris["Chassis"], deadline_s, plan)
        if self._firmware_versions is None:
            self._check_firmware(deadline_s)
        plan.systems = list(self._resources(uris["Systems"], SYSTEM_COLLECTIONS, "Systems"))
        plan.chassis = [
            replace(chassis, system_ids=self._systems_in(chassis, plan.systems))
            for chassis in self._resources(uris["Chassis"], CHASSIS_PROPERTIES, "Chassis")
            if self._member(chassis.uri)
        ]
        return plan

    def _reset(self) -> None:
        self._members, self._cache = {}, BmcCache(ExpandSupport(self.root))

    def _check_firmware(self, deadline_s: float) -> None:
        """Discards all that is known if the BMC's firmware has changed."""
        versions = self._read_firmware_versions(deadline_s)
        if versions is None:  # unknown this time; checked again with the next plan
            return
        if self._firmware_versions not in (None, versions):
            self._reset()
        self._firmware_versions, self._check_firmware_at_s = versions, self._clock() + PLAN_VALID_S

    def _read_firmware_versions(self, deadline_s: float) -> tuple[str, ...] | None:
        """Reads the versions that identify the BMC's firmware; None if it did not respond.

        Raises:
            Unauthorized: The credentials were refused.
        """
        of_root = [f"{name} {text(self.root.get(name))}" for name in ("RedfishVersion", "Product", "UUID")]
        link = link_at(self.root, "Managers")
        collection = self._collections().first_pages([link], deadline_s)[0] if link else {}
        if isinstance(collection, Unauthorized):
            raise collection
        if isinstance(collection, RedfishError):
            return tuple(of_root) if isinstance(collection, ResourceMissing) else None
        listed = list(members(collection))
        links = [str(member["@odata.id"]) for member in listed if not is_resource(member)]
        results = [*filter(is_resource, listed), *self._client.get_all(links, deadline_s)]
        if any(isinstance(result, RedfishError) and not isinstance(result, ResourceMissing) for result in results):
            return None
        managers = [result for result in results if not isinstance(result, RedfishError)]
        versions = (text(manager.get("FirmwareVersion")) for manager in managers)
        self.firmware = next((version for version in versions if version), None)
        of_managers = (f"{manager.get('Id')} {manager.get('FirmwareVersion')}" for manager in managers)
        return (*of_root, *of_managers)

    def _record_failure(
        self, plan: DiscoveryPlan, uri: str, error: RedfishError, *, missing_retry_s: float = MISSING_RETRY_S
    ) -> None:
        """Counts a resource that could not be read and schedules a retry: after a first bad response, the next poll."""
        plan.problems.add(uri, str(error), whole=not isinstance(error, ResourceMissing))
        retry_s = missing_retry_s if isinstance(error, ResourceMissing) else INCOMPLETE_RETRY_S
        if isinstance(error, BadResponse) and error.fresh:
            retry_s = 0.0
        plan.valid_until_s = min(plan.valid_until_s, self._clock() + retry_s)

    def _list_collections(
        self, links: Mapping[str, str | None], deadline_s: float, plan: DiscoveryPlan
    ) -> dict[str, list[str]]:
        """Returns the URIs of the systems and of the chassis."""
        uris: dict[str, list[str]] = {name: [] for name in links}
        errors: list[RedfishError] = []
        for name, link in links.items():
            try:
                uris[name] = list(self._member_uris(link, deadline_s)) if link else []
            except (ResourceMissing, BadResponse) as error:
                errors.append(error)
                # A BMC that is starting up responds with 404 for a while.
                self._record_failure(plan, link or name, error, missing_retry_s=INCOMPLETE_RETRY_S)
        if len(errors) == sum(link is not None for link in links.values()):
            if any(isinstance(error, Forbidden) for error in errors):
                raise Unauthorized("this user may read neither systems nor chassis (HTTP 403)")
            raise errors[0]
        return uris

    def _member_uris(self, link: str, deadline_s: float) -> Iterator[str]:
        """Yields the URIs of a collection's members over all pages, each once. Members in the response are kept."""
        page: str | None = link
        pages, seen = set[str](), set[str]()
        while page and page not in pages and len(pages) < MAX_PAGES:
            pages.add(page)
            collection = self._read_page(page, deadline_s)
            for member in members(collection):
                uri = uri_of(member)
                if uri and uri_key(uri) not in seen and len(seen) < MAX_MEMBERS:
                    seen.add(uri_key(uri))
                    if is_resource(member):
                        self._members[uri_key(uri)] = member
                    yield uri
            page = text(collection.get("Members@odata.nextLink"))

    def _read_page(self, link: str, deadline_s: float) -> JsonObject:
        if self._members:  # known members need not be read again
            return self._client.get(link, deadline_s)
        result = self._collections().first_pages([link], deadline_s)[0]
        if isinstance(result, RedfishError):
            raise result
        return result

    def _collections(self) -> CollectionReader:
        return CollectionReader(self._client, self._cache.expand)

    def _read_members(
        self, systems: Sequence[str], chassis: Sequence[str], deadline_s: float, plan: DiscoveryPlan
    ) -> None:
        """Reads the members that are not known yet."""
        now_s = self._clock()
        uris = [uri for uri in (*systems, *chassis) if uri_key(uri) not in self._members]
        results = self._client.get_all(uris, now_s + MEMBERS_TIME_SHARE * (deadline_s - now_s))
        self._members |= {
            uri_key(uri): result
            for uri, result in zip(uris, results, strict=True)
            if not isinstance(result, RedfishError)
        }
        no_chassis_known = not any(uri_key(uri) in self._members for uri in chassis)
        for uri, result in zip(uris, results, strict=True):
            if isinstance(result, Unauthorized) or (
                no_chassis_known and uri in chassis and isinstance(result, Unreachable)
            ):
                raise result  # without a chassis no poll has anything to read
            if isinstance(result, RedfishError):
                self._record_failure(plan, uri, result)

    def _member(self, uri: str) -> JsonObject | None:
        return self._members.get(uri_key(uri))

    def _resources(
        self, uris: Sequence[str], properties: Sequence[str], collection: str
    ) -> Iterator[DiscoveredResource]:
        """Yields the members with their links. A URI that two chassis link belongs to the first one."""
        ids, claimed = set[str](), set[str]()
        for uri in uris:
            document = self._member(uri) or {}
            resource_id = text(document.get("Id")) or last_segment(uri)
            if resource_id in ids:  # for two members with one Id, the rest of the URI is used instead
                resource_id = uri.strip("/").removeprefix(f"redfish/v1/{collection}/")
            ids.add(resource_id)
            links = {
                name: link for name in properties if (link := link_at(document, name)) and uri_key(link) not in claimed
            }
            if collection == "Chassis":
                claimed |= set(map(uri_key, links.values()))
            yield DiscoveredResource(uri, resource_id, links, contained_by=link_at(document, "Links/ContainedBy") or "")

    def _systems_in(self, chassis: DiscoveredResource, systems: Sequence[DiscoveredResource]) -> tuple[str, ...]:
        """Returns the ids of the Systems in a Chassis, by links in either direction, else by an equal Id."""
        system_keys = _linked_keys(self._member(chassis.uri), "ComputerSystems")
        chassis_key = uri_key(chassis.uri)
        linked = tuple(
            system.resource_id
            for system in systems
            if uri_key(system.uri) in system_keys or chassis_key in _linked_keys(self._member(system.uri), "Chassis")
        )
        return linked or tuple(system.resource_id for system in systems if system.resource_id == chassis.resource_id)


def _linked_keys(document: JsonObject | None, name: str) -> set[str]:
    """Returns the URI keys in an array of links under Links."""
    return {uri_key(uri) for link in objects(value_at(document, f"Links/{name}")) if (uri := uri_of(link))}
