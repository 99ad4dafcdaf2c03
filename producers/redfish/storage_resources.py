"""Storage controllers and drives: the documents that their tables read, from Storage, SimpleStorage or Chassis."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from producers.redfish.discovery import Plan, Resource
from producers.redfish.expand import inline
from producers.redfish.fetch import Found, Walk, links_at
from producers.redfish.http.negative_cache import key_of
from producers.redfish.mapping import tables
from producers.redfish.mapping.table import Json, at, text

OF_STORAGE: Final = ("@odata.id", "Id", "Name", "Manufacturer", "Model", "Status")
"""What a Storage, or a SimpleStorage, says of itself as a controller."""
TABLES: Final = (tables.CONTROLLER, tables.DRIVE)


def storage(walk: Walk, plan: Plan) -> Iterator[Found]:
    """The Storages of each System with controllers and drives, else its SimpleStorages; then what only Chassis list."""
    found = walk.members([each.links.get("Storage") for each in plan.systems])
    told = iter(_storages(walk, plan, [document for each in found for document in each]))
    drives: set[str] = set()
    for system, members in zip(plan.systems, found, strict=True):
        if members or not walk.sure:
            documents = [next(told) for _ in members]
        else:
            documents = [_simple(each) for each in walk.members([system.links.get("SimpleStorage")])[0]]
        for document in documents:
            place = {"system_id": system.owner, "chassis_id": None, "storage_id": text(document["Id"])}
            drives |= {key_of(text(each.get("@odata.id")) or "") for each in links_at(document, "Drives")}
            yield Found(str(document["@odata.id"]), document, place, TABLES)
    if walk.sure:  # else one that is not told now may be a Storage's
        yield from _of_chassis(walk, plan.chassis, drives)


def _of_chassis(walk: Walk, chassis: Sequence[Resource], told: Collection[str]) -> Iterator[Found]:
    """The drives in the collections of Chassis but those told. A collection of only such is not asked for again."""
    useless = walk.learnt.useless
    there = [each for each in chassis if key_of(each.links.get("Drives", "")) not in useless | {""}]
    listed = walk.listed([each.links["Drives"] for each in there])
    others = [[each for each in one or [] if key_of(text(each.get("@odata.id")) or "") not in told] for one in listed]
    useless |= {
        key_of(each.links["Drives"]) for each, one, left in zip(there, listed, others, strict=True) if one and not left
    }
    for each, documents in zip(there, walk.resources(others), strict=True):
        place = {"system_id": None, "storage_id": None, "chassis_id": each.owner}
        for document in documents:
            yield Found(str(document["@odata.id"]), {"Drives": [document]}, place, TABLES)


def _storages(walk: Walk, plan: Plan, documents: Sequence[Json]) -> list[Json]:
    """Storages (DMTF Storage v1_17) with controllers and drives in place of links."""
    inside = [_inside(document) for document in documents]
    without = [each for each, controllers in zip(documents, inside, strict=True) if not controllers]
    linked = iter(walk.members([text(at(each, "Controllers/@odata.id")) for each in without]))
    joined: list[Json] = []
    for document, here, drives in zip(documents, inside, _drives(walk, plan, documents), strict=True):
        controllers = here or next(linked) or [_itself(document)]
        # Supermicro's inline ones have no name.
        named = [{"Name": document.get("Name"), **controller} for controller in controllers]
        joined.append({**document, "StorageControllers": named, "Drives": drives})
    return joined


def _inside(document: Json) -> list[Json]:
    """Controllers given in the Storage, as before Storage v1_9; nothing where they are links only."""
    return [each for each in links_at(document, "StorageControllers") if each.keys() - {"@odata.id"}]


def _drives(walk: Walk, plan: Plan, documents: Sequence[Json]) -> list[list[Json]]:
    """The drives of each Storage; of a Chassis that lists some of them in its collection, all at once."""
    linked = [_once(links_at(document, "Drives")) for document in documents]
    links = [uri for one in linked for each in one if not inline(each) and (uri := text(each.get("@odata.id")))]
    got = walk.through(links, [each.links.get("Drives") for each in plan.chassis])
    told: list[list[Json]] = []
    for one in linked:
        drives = (each if inline(each) else got.get(key_of(text(each.get("@odata.id")) or "")) for each in one)
        told.append([drive for drive in drives if drive is not None])
    return told


def _once(links: Iterable[Json]) -> list[Json]:
    once: dict[str, Json] = {}
    for place, link in enumerate(links):
        once.setdefault(key_of(text(link.get("@odata.id")) or str(place)), link)
    return list(once.values())


def _itself(document: Json) -> Json:
    return {name: document[name] for name in OF_STORAGE if name in document}


def _simple(document: Json) -> Json:
    """A SimpleStorage (DMTF SimpleStorage v1_3) as a Storage; its devices have no ids but their positions."""
    devices: Any = document.get("Devices")
    drives = devices if isinstance(devices, list) else []
    return {**document, "StorageControllers": [_itself(document)], "Drives": drives}
