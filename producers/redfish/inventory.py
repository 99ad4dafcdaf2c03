"""Where each category's documents are: from Systems and Chassis over collections to their members. Plain GETs.

What is linked (`Metrics`, `Links/NetworkAdapter`, `Drives`) stands in place of its link in the documents handed on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from producers.redfish import subsystem
from producers.redfish.fields import Json, at, port_count, text
from producers.redfish.plan import Plan, Resource, end_of
from producers.redfish.tables import ADAPTER, PORTS
from producers.redfish.walk import Found, Walk

Gather = Callable[[Walk, Plan], Iterator[Found]]
OF_STORAGE: Final = ("@odata.id", "Id", "Name", "Manufacturer", "Model", "Status")
"""What a Storage, or a SimpleStorage, says of itself as a controller."""


def systems(walk: Walk, plan: Plan) -> Iterator[Found]:
    """The ComputerSystems."""
    resources = plan.resources["system"]
    for resource, document in zip(resources, walk.all([each.uri for each in resources]), strict=True):
        if document is not None:
            yield Found(resource.uri, document, {})


def thermal(walk: Walk, plan: Plan) -> Iterator[Found]:
    """Thermal of each Chassis, or else its ThermalSubsystem."""
    yield from _directly(walk, [each for each in plan.resources["thermal"] if each.link == "Thermal"])
    yield from subsystem.thermal(walk, [each for each in plan.resources["thermal"] if each.link != "Thermal"])


def power(walk: Walk, plan: Plan) -> Iterator[Found]:
    """Power of each Chassis, or else its PowerSubsystem."""
    yield from _directly(walk, [each for each in plan.resources["power"] if each.link == "Power"])
    yield from subsystem.power(walk, [each for each in plan.resources["power"] if each.link != "Power"])


def _directly(walk: Walk, resources: Sequence[Resource]) -> Iterator[Found]:
    for resource, document in zip(resources, walk.all([each.uri for each in resources]), strict=True):
        if document is not None:
            yield Found(resource.uri, document, {"chassis_id": resource.owner})


def processors(walk: Walk, plan: Plan) -> Iterator[Found]:
    """The Processors of each System: CPUs, GPUs and other accelerators."""
    yield from _of_systems(walk, plan, "Processors", "Metrics", "EnvironmentMetrics")


def memory(walk: Walk, plan: Plan) -> Iterator[Found]:
    """The Memory of each System: DIMMs, and empty slots with State Absent."""
    yield from _of_systems(walk, plan, "Memory", "EnvironmentMetrics")


def _of_systems(walk: Walk, plan: Plan, name: str, *linked: str) -> Iterator[Found]:
    found = list(systems(walk, plan))
    members = walk.members([each.document for each in found], name)
    documents = iter(walk.join([document for each in members for document in each], *linked))
    for system, each in zip(found, members, strict=True):
        for document in itertools.islice(documents, len(each)):
            yield Found(str(document["@odata.id"]), document, {"system_id": _id(system)})


def _id(found: Found) -> str:
    return text(found.document.get("Id")) or end_of(found.uri)


def network(walk: Walk, plan: Plan) -> Iterator[Found]:
    """The NetworkInterfaces of the Systems; else the NetworkAdapters of the Chassis; else the EthernetInterfaces.

    The same ports are behind all three, so only the first kind that there is one of is taken.
    """
    found = list(_of_systems(walk, plan, "NetworkInterfaces", ADAPTER))
    if not found and walk.sure:
        found = list(_of_chassis(walk, plan.resources["network"]))
    if not found and walk.sure:
        found = list(_of_systems(walk, plan, "EthernetInterfaces"))
    documents = _with_ports(walk, [each.document for each in found])
    for each, document in zip(found, documents, strict=True):
        yield Found(each.uri, document, {"system_id": None, "chassis_id": None, **each.place})


def _with_ports(walk: Walk, documents: Sequence[Json]) -> list[Json]:
    """The documents, with their collection of ports where no controller says how many there are."""
    told = list(documents)
    for before, name in ((PORTS[:2], "Ports"), (PORTS[:3], "NetworkPorts")):
        untold = [place for place, each in enumerate(told) if not any(_count(each, path) for path in before)]
        joined = walk.join([told[place] for place in untold], name)
        for place, document in zip(untold, joined, strict=True):
            told[place] = document
    return told


def _count(document: Json, path: str) -> bool:
    return port_count(at(document, path)) is not None


def _of_chassis(walk: Walk, resources: Sequence[Resource]) -> Iterator[Found]:
    """The members of the collections that the Chassis link."""
    holders = [{"link": {"@odata.id": resource.uri}} for resource in resources]
    for resource, members in zip(resources, walk.members(holders, "link"), strict=True):
        for document in members:
            yield Found(str(document["@odata.id"]), document, {"chassis_id": resource.owner})


def storage(walk: Walk, plan: Plan) -> Iterator[Found]:
    """The Storages of each System with their controllers and drives, else its SimpleStorages.

    Drives that only Chassis list are taken where no Storage lists any: others would be told twice (GB200: the same
    nine under Systems and under Chassis, with URIs of their own).
    """
    found = list(systems(walk, plan))
    documents = [each.document for each in found]
    drives = 0
    for system, members in zip(found, walk.members(documents, "Storage"), strict=True):
        if members or not walk.sure:
            told = _storages(walk, members)
        else:
            told = [_simple(each) for each in walk.members([system.document], "SimpleStorage")[0]]
        for document in told:
            place = {"system_id": _id(system), "chassis_id": None, "storage_id": text(document["Id"])}
            drives += len(document["Drives"])
            yield Found(str(document["@odata.id"]), document, place)
    if drives or not walk.sure:
        return
    for each in _of_chassis(walk, plan.resources["storage"]):
        place = {"system_id": None, "storage_id": None, **each.place}
        yield Found(each.uri, {"Drives": [each.document]}, place)


def _storages(walk: Walk, documents: Sequence[Json]) -> list[Json]:
    """Storages (DMTF Storage v1_17) with controllers and drives in place of links."""
    inline = [_inline(each.get("StorageControllers")) for each in documents]
    without = [each for each, controllers in zip(documents, inline, strict=True) if not controllers]
    linked = iter(walk.members(without, "Controllers"))
    joined: list[Json] = []
    for document, here, drives in zip(documents, inline, walk.members(documents, "Drives"), strict=True):
        controllers = here or next(linked) or [_itself(document)]
        # Supermicro's inline ones have no name.
        named = [{"Name": document.get("Name"), **each} for each in controllers]
        joined.append({**document, "StorageControllers": named, "Drives": drives})
    return joined


def _inline(controllers: Any) -> list[Json]:
    """Controllers given in the Storage, as before Storage v1_9; nothing where they are links only."""
    each = controllers if isinstance(controllers, list) else []
    return [one for one in each if isinstance(one, dict) and one.keys() - {"@odata.id"}]


def _itself(document: Json) -> Json:
    return {name: document[name] for name in OF_STORAGE if name in document}


def _simple(document: Json) -> Json:
    """A SimpleStorage (DMTF SimpleStorage v1_3) as a Storage; its devices have no ids but their positions."""
    devices = document.get("Devices")
    drives = devices if isinstance(devices, list) else []
    return {**document, "StorageControllers": [_itself(document)], "Drives": drives}


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
