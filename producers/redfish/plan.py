"""What a BMC has, found out by plain GETs: service root, its collections, their chassis. Ids are never guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from producers.reader import Problems
from producers.redfish.client import Clock
from producers.redfish.faults import Broken, Denied, Fault, Forbidden, Missing, Unreachable
from producers.redfish.fields import Json, at, text
from producers.redfish.patience import DEAD_S, PatientClient, key_of

ROOT: Final = "/redfish/v1/"
LINKS: Final[Mapping[str, tuple[str, ...]]] = {
    "thermal": ("Thermal", "ThermalSubsystem"),
    "power": ("Power", "PowerSubsystem"),
    "network": ("NetworkAdapters",),
    "storage": ("Drives",),
}
"""Category → the properties of a Chassis that link its resource; the first that is there is taken."""
MEMBERS_MAX: Final = 1024
PAGES_MAX: Final = 64
"""Collections are not followed further: 47 chassis and 4 pages are the most on record."""
VALID_S: Final = 3600.0
"""Blades are plugged and firmware is updated: what a BMC has is asked again this often."""
UNFINISHED_S: Final = 60.0
"""The same where something did not answer; chassis that did are not asked again."""
SHARE: Final = 0.6
"""The share of a poll that chassis may take, so that what is known already can be read in the rest."""


@dataclass(frozen=True, slots=True)
class Resource:
    """What to ask for at each poll of a category."""

    uri: str
    owner: str
    """Id of its Chassis; of a System, the end of its URI."""
    link: str = ""
    """The property of the Chassis that links it."""
    systems: tuple[str, ...] = ()
    """Ids of the Systems that the Chassis contains: the ends of their URIs."""


@dataclass(slots=True)
class Plan:
    """What to ask for, by category."""

    until_s: float
    """Good until then."""
    resources: dict[str, list[Resource]] = field(
        default_factory=lambda: {"system": [], **{category: [] for category in LINKS}}
    )
    problems: Problems = field(default_factory=Problems)
    """Chassis whose links are not known."""


class Discovery:
    """Makes plans. Remembers the chassis that answered, for a BMC may need longer than one poll for all of them."""

    def __init__(self, client: PatientClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self.root: Json = {}
        """The service root, as last read."""
        self._chassis: dict[str, Json] = {}
        self._forget_at_s = float("-inf")

    def forget(self) -> None:
        """Asks everything anew next time."""
        self._forget_at_s = float("-inf")

    def run(self, deadline_s: float) -> Plan:
        """What the BMC has.

        Raises:
            Fault: the service root, both of its collections or all of its chassis were not got.
        """
        now_s = self._clock()
        if now_s >= self._forget_at_s:
            self._chassis, self._forget_at_s = {}, now_s + VALID_S
        plan = Plan(self._forget_at_s)
        systems, chassis = self._collections(deadline_s, plan)
        plan.resources["system"] = [Resource(uri, end_of(uri)) for uri in systems]
        now_s = self._clock()
        unknown = [uri for uri in chassis if key_of(uri) not in self._chassis]
        answers = self._client.together(unknown, now_s + SHARE * (deadline_s - now_s))
        alone = not self._chassis and not any(isinstance(answer, dict) for answer in answers)
        for uri, answer in zip(unknown, answers, strict=True):
            if isinstance(answer, Denied) or (alone and isinstance(answer, Unreachable)):
                raise answer  # nothing is known yet: no poll has anything to read
            if isinstance(answer, Fault):
                self._leave_out(plan, uri, answer)
            else:
                self._chassis[key_of(uri)] = answer
        self._link(plan, chassis)
        return plan

    def _leave_out(self, plan: Plan, uri: str, fault: Fault, *, missing_s: float = DEAD_S) -> None:
        """Counts what was not got, and asks again: at the next poll after a first bad answer, else later."""
        plan.problems.add(uri, str(fault), whole=not isinstance(fault, Missing))
        again_s = missing_s if isinstance(fault, Missing) else UNFINISHED_S
        if isinstance(fault, Broken) and fault.fresh:
            again_s = 0.0
        plan.until_s = min(plan.until_s, self._clock() + again_s)

    def _collections(self, deadline_s: float, plan: Plan) -> tuple[list[str], list[str]]:
        """URIs of the systems and of the chassis."""
        root = self._client.client.get(ROOT, deadline_s)
        links = {name: text(at(root, f"{name}/@odata.id")) for name in ("Systems", "Chassis")}
        if not any(links.values()):
            raise Broken("no Redfish service root at /redfish/v1/")
        self.root = root
        found: dict[str, list[str]] = {}
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
        return found.get("Systems", []), found.get("Chassis", [])

    def _members(self, link: str, deadline_s: float) -> Iterator[str]:
        """URIs of a collection's members, over all its pages, each once."""
        page: str | None = link
        pages, seen = set[str](), set[str]()
        while page and page not in pages and len(pages) < PAGES_MAX:
            pages.add(page)
            collection = self._client.client.get(page, deadline_s)
            for uri in member_uris(collection.get("Members")):
                if key_of(uri) not in seen and len(seen) < MEMBERS_MAX:
                    seen.add(key_of(uri))
                    yield uri
            page = text(collection.get("Members@odata.nextLink"))

    def _link(self, plan: Plan, chassis: list[str]) -> None:
        """Adds the resources that the chassis link; one that two of them link is the first one's."""
        owners, linked = set[str](), set[str]()
        for uri in chassis:
            answer: Any = self._chassis.get(key_of(uri))
            if answer is None:
                continue
            owner = text(answer.get("Id")) or end_of(uri)
            if owner in owners:  # two chassis of one Id: the rest of the URI tells them apart
                owner = uri.strip("/").removeprefix("redfish/v1/Chassis/")
            owners.add(owner)
            systems = tuple(end_of(uri) for uri in member_uris(at(answer, "Links/ComputerSystems")))
            for category, names in LINKS.items():
                targets = {name: text(at(answer, f"{name}/@odata.id")) for name in names}
                name, target = next(((name, uri) for name, uri in targets.items() if uri), ("", ""))
                if target and key_of(target) not in linked:
                    linked.add(key_of(target))
                    plan.resources[category].append(Resource(target, owner, name, systems))


def member_uris(members: Any) -> Iterator[str]:
    """The URIs in an array of links, or of resources."""
    for member in members if isinstance(members, list) else []:
        uri = text(member.get("@odata.id")) if isinstance(member, dict) else None
        if uri:
            yield uri


def end_of(uri: str) -> str:
    """The last part of a URI: an id where a resource tells none."""
    return uri.rstrip("/").rpartition("/")[2]
