"""Systems, processors, memory and network interfaces: the documents that their tables read.

What is linked (`Metrics`, `Links/NetworkAdapter`) stands in place of its link in the documents handed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from producers.redfish import source_selection
from producers.redfish.discovery import OF_SYSTEM, Plan, Resource
from producers.redfish.fetch import Found, Walk
from producers.redfish.http.negative_cache import key_of
from producers.redfish.mapping import tables
from producers.redfish.mapping.table import Field, Json, Table, at, port_count, text, whole
from producers.redfish.mapping.tables import ADAPTER, PORTS
from producers.redfish.storage_resources import storage

Gather = Callable[[Walk, Plan], Iterator[Found]]


def systems(walk: Walk, plan: Plan) -> Iterator[Found]:
    """The ComputerSystems. One that links or is other than when the plan was made ends the plan."""
    for resource, document in zip(plan.systems, walk.all([system.uri for system in plan.systems]), strict=True):
        if document is None:
            continue
        links = {name: link for name in OF_SYSTEM if (link := text(at(document, f"{name}/@odata.id")))}
        if resource.links and links != resource.links:
            plan.outdated = True
        power = text(document.get("PowerState")) or ""
        if walk.learnt.power.setdefault(key_of(resource.uri), power) != power:
            walk.learnt.power[key_of(resource.uri)] = power
            walk.learnt.choices.clear()  # sensors come and go with the host's power
        yield Found(resource.uri, document, {}, (tables.SYSTEM,))


def thermal(walk: Walk, plan: Plan) -> Iterator[Found]:
    """Temperatures and fans of each Chassis."""
    yield from source_selection.gather(walk, "thermal", plan.chassis)


def power(walk: Walk, plan: Plan) -> Iterator[Found]:
    """Power controls, voltages and power supplies of each Chassis."""
    yield from source_selection.gather(walk, "power", plan.chassis)


def processors(walk: Walk, plan: Plan) -> Iterator[Found]:
    """The Processors of each System: CPUs, GPUs and other accelerators."""
    yield from _joined(walk, _of_systems(walk, plan, "Processors", tables.PROCESSOR, levels=2))


def memory(walk: Walk, plan: Plan) -> Iterator[Found]:
    """The Memory of each System: DIMMs, and empty slots with State Absent."""
    found = [_slot(system) for system in _of_systems(walk, plan, "Memory", tables.DIMM, levels=2)]
    # MemoryMetrics tell one thing that a record has, and most Memory has it too.
    slow = [whole(each.document.get("OperatingSpeedMhz")) is None for each in found]
    with_metrics = iter(_joined(walk, [each for each, need in zip(found, slow, strict=True) if need]))
    without = iter(_joined(walk, [each for each, need in zip(found, slow, strict=True) if not need], skip="Metrics"))
    yield from (next(with_metrics if need else without) for need in slow)


def _slot(found: Found) -> Found:
    """A slot that iLO 4 says to be empty, in its own words, with the State for it."""
    if found.document.get("DIMMStatus") != "NotPresent" or "Status" in found.document:
        return found
    return replace(found, document={**found.document, "Status": {"State": "Absent"}})


def _of_systems(walk: Walk, plan: Plan, name: str, table: Table, levels: int = 1) -> list[Found]:
    """The members of a collection of each System."""
    members = walk.members([each.links.get(name) for each in plan.systems], levels)
    return [
        Found(str(document["@odata.id"]), document, {"system_id": system.owner}, (table,))
        for system, each in zip(plan.systems, members, strict=True)
        for document in each
    ]


def _joined(walk: Walk, found: Sequence[Found], skip: str = "") -> list[Found]:
    """The documents with what their table reads through links."""
    if not found:
        return []
    table = found[0].tables[0]
    documents = [each.document for each in found]
    for path, _ in table.linked:
        if path != skip:
            documents = walk.join(documents, path, _properties(table, path))
    return [Found(each.uri, document, each.place, each.tables) for each, document in zip(found, documents, strict=True)]


def _properties(table: Table, before: str) -> set[str]:
    """What a table reads below a path."""
    every: list[Field] = [field for one in (table, *table.parts) for field in one.fields]
    paths = [path for field in every for path in field.paths] + [part.each for part in table.parts]
    return {path.removeprefix(f"{before}/").split("/")[0] for path in paths if path.startswith(f"{before}/")}


def network(walk: Walk, plan: Plan) -> Iterator[Found]:
    """The NetworkInterfaces of the Systems; else the NetworkAdapters of the Chassis; else the EthernetInterfaces.

    The same ports are behind all three, so only the first kind that there is one of is taken.
    """
    found = _with_adapters(walk, plan, _of_systems(walk, plan, "NetworkInterfaces", tables.INTERFACE))
    if not found and walk.sure:
        found = _of_chassis(walk, plan.chassis)
    if not found and walk.sure:
        found = _of_systems(walk, plan, "EthernetInterfaces", tables.INTERFACE)
    documents = _with_ports(walk, [each.document for each in found])
    for each, document in zip(found, documents, strict=True):
        yield replace(each, document=document, place={"system_id": None, "chassis_id": None, **each.place})


def _of_chassis(walk: Walk, chassis: Sequence[Resource]) -> list[Found]:
    members = walk.members([each.links.get("NetworkAdapters") for each in chassis])
    return [
        Found(str(document["@odata.id"]), document, {"chassis_id": each.owner}, (tables.INTERFACE,))
        for each, one in zip(chassis, members, strict=True)
        for document in one
    ]


def _with_adapters(walk: Walk, plan: Plan, found: Sequence[Found]) -> list[Found]:
    """The interfaces with their adapters: read at each poll where only they tell the health, else once."""
    links = [text(at(each.document, f"{ADAPTER}/@odata.id")) for each in found]
    stale = [link for link, each in zip(links, found, strict=True) if link and not _judged(each.document)]
    adapters = walk.through(stale, [each.links.get("NetworkAdapters") for each in plan.chassis]) if stale else {}
    walk.learnt.kept |= adapters
    steady = [link for link in links if link and link not in stale]
    adapters |= {key_of(link): each for link, each in zip(steady, walk.kept(steady), strict=True) if each is not None}
    return [_with_adapter(each, adapters.get(key_of(link or ""))) for each, link in zip(found, links, strict=True)]


def _judged(document: Json) -> bool:
    return all(text(at(document, f"Status/{name}")) for name in ("Health", "State"))


def _with_adapter(found: Found, adapter: Json | None) -> Found:
    if adapter is None:
        return found
    return replace(found, document={**found.document, "Links": {**found.document["Links"], "NetworkAdapter": adapter}})


def _with_ports(walk: Walk, documents: Sequence[Json]) -> list[Json]:
    """The documents, with their collection of ports where no controller says how many there are: that is read once."""
    told = list(documents)
    for before, name in ((PORTS[:2], "Ports"), (PORTS[:3], "NetworkPorts")):
        untold = [
            place
            for place, each in enumerate(told)
            if text(at(each, f"{name}/@odata.id")) and not any(_count(each, path) for path in before)
        ]
        pages = walk.kept([str(at(told[place], f"{name}/@odata.id")) for place in untold])
        for place, page in zip(untold, pages, strict=True):
            told[place] = told[place] if page is None else {**told[place], name: page}
    return told


def _count(document: Json, path: str) -> bool:
    return port_count(at(document, path)) is not None


GATHER: Final[Mapping[str, Gather]] = {
    "system": systems,
    "thermal": thermal,
    "power": power,
    "processor": processors,
    "memory": memory,
    "network": network,
    "storage": storage,
}
"""Category → what reads its documents."""
