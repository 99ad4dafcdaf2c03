"""What a BMC has, found out once: service root, its collections, their members. Ids are never guessed.

An hour later only the root, the collections and the firmware's version are asked for: while they say the same, the
rest is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from producers.reader import Problems
from producers.redfish.cache import Learnt
from producers.redfish.expand import Collections, Expanding, inline, members
from producers.redfish.http.client import Clock
from producers.redfish.http.errors import Broken, Denied, Fault, Forbidden, Missing, Unreachable
from producers.redfish.http.negative_cache import DEAD_S, PatientClient, key_of
from producers.redfish.mapping.table import Json, at, text

ROOT: Final = "/redfish/v1/"
LINKS: Final[Mapping[str, tuple[str, ...]]] = {
    "thermal": ("Thermal", "ThermalSubsystem", "Sensors"),
    "power": ("Power", "PowerSubsystem", "Sensors", "EnvironmentMetrics"),
    "network": ("NetworkAdapters",),
    "storage": ("Drives",),
}
"""Category → the properties of a Chassis that link its resources."""
OF_SYSTEM: Final = ("Processors", "Memory", "NetworkInterfaces", "EthernetInterfaces", "Storage", "SimpleStorage")
"""The collections of a System that are read."""
OF_CHASSIS: Final = tuple(dict.fromkeys(name for names in LINKS.values() for name in names))
MEMBERS_MAX: Final = 1024
PAGES_MAX: Final = 64
"""Collections are not followed further: 47 chassis and 4 pages are the most on record."""
VALID_S: Final = 3600.0
"""Blades are plugged and firmware is updated: whether they were is asked this often."""
FORGET_S: Final = 86_400.0
"""All is asked again after this: not every change shows in a version or in a list."""
UNFINISHED_S: Final = 60.0
"""The same where something did not answer; what did is not asked again."""
SHARE: Final = 0.6
"""The share of a poll that members may take, so that what is known already can be read in the rest."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A System or a Chassis."""

    uri: str
    owner: str
    """Its Id; the end of its URI where it tells none."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Property → URI it links, of those that some category reads."""
    systems: tuple[str, ...] = ()
    """Of a Chassis: the `owner`s of the Systems in it, as far as the BMC tells."""
    within: str = ""
    """Of a Chassis: URI of the one around it."""


@dataclass(slots=True)
class Plan:
    """What to ask for."""

    until_s: float
    """Good until then."""
    systems: list[Resource] = field(default_factory=list)
    chassis: list[Resource] = field(default_factory=list)
    learnt: Learnt = field(default_factory=Learnt)
    outdated: bool = False
    """Whether a poll saw that something has changed."""
    problems: Problems = field(default_factory=Problems)
    """Systems and chassis whose links are not known."""


class Discovery:
    """Makes plans. Remembers the members that answered, for a BMC may need longer than one poll for all of them."""

    def __init__(self, client: PatientClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self.root: Json = {}
        """The service root, as last read."""
        self.firmware: str | None = None
        """Of the first Manager that tells one."""
        self._known: dict[str, Json] = {}
        self._learnt = Learnt()
        self._firmware: tuple[str, ...] | None = None
        self._check_at_s = self._forget_at_s = float("-inf")

    def told(self, *names: str) -> str | None:
        """What the service root, else a System or Chassis, says under the first of these properties that is there."""
        documents = (self.root, *tuple(self._known.values()))
        return next((found for document in documents for name in names if (found := text(document.get(name)))), None)

    def forget(self) -> None:
        """Asks everything anew next time."""
        self._forget_at_s = float("-inf")

    def run(self, deadline_s: float) -> Plan:
        """What the BMC has.

        Raises:
            Fault: the service root, both of its collections or all of its members were not got.
        """
        root = self._client.client.get(ROOT, deadline_s)
        links = {name: text(at(root, f"{name}/@odata.id")) for name in ("Systems", "Chassis")}
        if not any(links.values()):
            raise Broken("no Redfish service root at /redfish/v1/")
        self.root = root
        now_s = self._clock()
        if now_s >= self._forget_at_s:
            self._firmware, self._check_at_s, self._forget_at_s = None, float("-inf"), now_s + FORGET_S
            self._start_afresh()
        elif now_s >= self._check_at_s:
            self._check(deadline_s)
        plan = Plan(now_s + VALID_S, learnt=self._learnt)
        uris = self._collections(links, deadline_s, plan)
        self._read(uris["Systems"] + uris["Chassis"], uris["Chassis"], deadline_s, plan)
        if self._firmware is None:
            self._check(deadline_s)
        plan.systems = list(self._resources(uris["Systems"], OF_SYSTEM, "Systems"))
        chassis = [
            resource for resource in self._resources(uris["Chassis"], OF_CHASSIS, "Chassis") if self._doc(resource.uri)
        ]
        plan.chassis = [replace(each, systems=self._systems_in(each, plan.systems)) for each in chassis]
        return plan

    def _start_afresh(self) -> None:
        self._known, self._learnt = {}, Learnt(Expanding(self.root))

    def _check(self, deadline_s: float) -> None:
        """Forgets what is known of a BMC with other firmware than before."""
        versions = self._versions(deadline_s)
        if versions is None:  # not known this time: asked again with the next plan
            return
        if self._firmware not in (None, versions):
            self._start_afresh()
        self._firmware, self._check_at_s = versions, self._clock() + VALID_S

    def _versions(self, deadline_s: float) -> tuple[str, ...] | None:
        """What the BMC says of its own firmware; None where it did not answer.

        Raises:
            Denied: the credentials were refused.
        """
        told = [f"{name} {text(self.root.get(name))}" for name in ("RedfishVersion", "Product", "UUID")]
        link = text(at(self.root, "Managers/@odata.id"))
        listed = self._collections_of(self._client).first_pages([link], deadline_s)[0] if link else {}
        if isinstance(listed, Denied):
            raise listed
        if isinstance(listed, Fault):
            return tuple(told) if isinstance(listed, Missing) else None
        links = [str(member["@odata.id"]) for member in members(listed) if not inline(member)]
        here = [member for member in members(listed) if inline(member)]
        answers = [*here, *self._client.together(links, deadline_s)]
        if any(isinstance(answer, Fault) and not isinstance(answer, Missing) for answer in answers):
            return None
        managers = [answer for answer in answers if not isinstance(answer, Fault)]
        self.firmware = next((found for manager in managers if (found := text(manager.get("FirmwareVersion")))), None)
        return (*told, *(f"{at(manager, 'Id')} {at(manager, 'FirmwareVersion')}" for manager in managers))

    def _leave_out(self, plan: Plan, uri: str, fault: Fault, *, missing_s: float = DEAD_S) -> None:
        """Counts what was not got, and asks again: at the next poll after a first bad answer, else later."""
        plan.problems.add(uri, str(fault), whole=not isinstance(fault, Missing))
        again_s = missing_s if isinstance(fault, Missing) else UNFINISHED_S
        if isinstance(fault, Broken) and fault.fresh:
            again_s = 0.0
        plan.until_s = min(plan.until_s, self._clock() + again_s)

    def _collections(self, links: Mapping[str, str | None], deadline_s: float, plan: Plan) -> dict[str, list[str]]:
        """URIs of the systems and of the chassis."""
        found: dict[str, list[str]] = {name: [] for name in links}
        faults: list[Fault] = []
        for name, link in links.items():
            try:
                found[name] = list(self._members(link, deadline_s)) if link else []
            except (Missing, Broken) as fault:
                faults.append(fault)
                # A BMC that is starting up says 404 for a while.
                self._leave_out(plan, link or name, fault, missing_s=UNFINISHED_S)
        if len(faults) == sum(link is not None for link in links.values()):
            if any(isinstance(fault, Forbidden) for fault in faults):
                raise Denied("this user may read neither systems nor chassis (HTTP 403)")
            raise faults[0]
        return found

    def _members(self, link: str, deadline_s: float) -> Iterator[str]:
        """URIs of a collection's members, over all its pages, each once; members that are in it become known."""
        page: str | None = link
        pages, seen = set[str](), set[str]()
        while page and page not in pages and len(pages) < PAGES_MAX:
            pages.add(page)
            collection = self._page(page, deadline_s)
            for member in members(collection):
                uri = text(member.get("@odata.id"))
                if uri and key_of(uri) not in seen and len(seen) < MEMBERS_MAX:
                    seen.add(key_of(uri))
                    if inline(member):
                        self._known[key_of(uri)] = member
                    yield uri
            page = text(collection.get("Members@odata.nextLink"))

    def _page(self, link: str, deadline_s: float) -> Json:
        if self._known:  # only whether there are others is asked
            return self._client.get(link, deadline_s)
        answer = self._collections_of(self._client).first_pages([link], deadline_s)[0]
        if isinstance(answer, Fault):
            raise answer
        return answer

    def _collections_of(self, client: PatientClient) -> Collections:
        return Collections(client, self._learnt.expanding)

    def _read(self, uris: Sequence[str], chassis: Sequence[str], deadline_s: float, plan: Plan) -> None:
        """Reads the members that are not known yet."""
        now_s = self._clock()
        unknown = [uri for uri in uris if key_of(uri) not in self._known]
        answers = self._client.together(unknown, now_s + SHARE * (deadline_s - now_s))
        got = {key_of(uri): each for uri, each in zip(unknown, answers, strict=True) if not isinstance(each, Fault)}
        self._known |= got
        alone = not any(key_of(uri) in self._known for uri in chassis)
        for uri, answer in zip(unknown, answers, strict=True):
            if isinstance(answer, Denied) or (alone and uri in chassis and isinstance(answer, Unreachable)):
                raise answer  # no chassis is known yet: no poll has anything to read
            if isinstance(answer, Fault):
                self._leave_out(plan, uri, answer)

    def _doc(self, uri: str) -> Json | None:
        return self._known.get(key_of(uri))

    def _resources(self, uris: Sequence[str], names: Sequence[str], collection: str) -> Iterator[Resource]:
        """The members with what they link; what two chassis link is the first one's. One not got links nothing."""
        owners, linked = set[str](), set[str]()
        for uri in uris:
            document = self._doc(uri) or {}
            owner = text(document.get("Id")) or end_of(uri)
            if owner in owners:  # two of one Id: the rest of the URI tells them apart
                owner = uri.strip("/").removeprefix(f"redfish/v1/{collection}/")
            owners.add(owner)
            told = {name: link for name in names if (link := text(at(document, f"{name}/@odata.id")))}
            links = {name: link for name, link in told.items() if key_of(link) not in linked}
            if collection == "Chassis":
                linked |= set(map(key_of, links.values()))
            yield Resource(uri, owner, links, within=text(at(document, "Links/ContainedBy/@odata.id")) or "")

    def _systems_in(self, chassis: Resource, systems: Sequence[Resource]) -> tuple[str, ...]:
        """Systems that a Chassis links, or that link it; of a BMC that links neither, the one of the same Id."""
        ends = {key_of(uri) for uri in _linked(self._doc(chassis.uri), "ComputerSystems")}
        here = key_of(chassis.uri)
        found = [
            system.owner
            for system in systems
            if key_of(system.uri) in ends or here in map(key_of, _linked(self._doc(system.uri), "Chassis"))
        ]
        return tuple(found or [system.owner for system in systems if system.owner == chassis.owner])


def _linked(document: Json | None, name: str) -> list[str]:
    """URIs in an array of links under Links."""
    return list(member_uris(at(document or {}, f"Links/{name}")))


def member_uris(members: Any) -> Iterator[str]:
    """The URIs in an array of links, or of resources."""
    for member in members if isinstance(members, list) else []:
        uri = text(member.get("@odata.id")) if isinstance(member, dict) else None
        if uri:
            yield uri


def end_of(uri: str) -> str:
    """The last part of a URI: an id where a resource tells none."""
    return uri.rstrip("/").rpartition("/")[2]
