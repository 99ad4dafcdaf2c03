"""Reads storage controllers and drives from Storage, SimpleStorage or Chassis."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from producers.redfish.discovery import DiscoveredResource, DiscoveryPlan
from producers.redfish.documents import JsonObject, key_of, link_at, objects, text, uri_key, uri_of
from producers.redfish.expand import is_resource
from producers.redfish.fetch import FetchedResource, ResourceFetcher
from producers.redfish.mapping import tables

CONTROLLER_PROPERTIES: Final = ("@odata.id", "Id", "Name", "Manufacturer", "Model", "Status")
"""Properties of a Storage or SimpleStorage that describe its controller, if it lists none."""
TABLES: Final = (tables.STORAGE_CONTROLLER, tables.DRIVE)


def read_storage(fetcher: ResourceFetcher, plan: DiscoveryPlan) -> Iterator[FetchedResource]:
    """Reads the Storages of each System, else its SimpleStorages; then the drives that only Chassis list."""
    storages = fetcher.get_collections([system.links.get("Storage") for system in plan.systems])
    completed = iter(_complete_storages(fetcher, plan, [storage for members in storages for storage in members]))
    drive_keys: set[str] = set()
    for system, members in zip(plan.systems, storages, strict=True):
        if members or not fetcher.is_complete:
            documents = [next(completed) for _ in members]
        else:
            simple_storages = fetcher.get_collections([system.links.get("SimpleStorage")])[0]
            documents = [_simple_as_storage(storage) for storage in simple_storages]
        for document in documents:
            drive_keys |= set(map(key_of, objects(document.get("Drives"))))
            owner_ids = {"system_id": system.resource_id, "chassis_id": None, "storage_id": text(document["Id"])}
            yield FetchedResource(str(document["@odata.id"]), document, owner_ids, TABLES)
    if fetcher.is_complete:  # else an unlisted drive may belong to a Storage that could not be read
        yield from _chassis_drives(fetcher, plan.chassis, drive_keys)


def _chassis_drives(
    fetcher: ResourceFetcher, chassis: Sequence[DiscoveredResource], drive_keys: Collection[str]
) -> Iterator[FetchedResource]:
    """Yields the drives of Chassis that no Storage lists; a collection without any is not requested again."""
    irrelevant = fetcher.cache.irrelevant
    with_drives = [
        resource for resource in chassis if uri_key(resource.links.get("Drives", "")) not in irrelevant | {""}
    ]
    listed = fetcher.list_collections([resource.links["Drives"] for resource in with_drives])
    additional = [[drive for drive in drives or [] if key_of(drive) not in drive_keys] for drives in listed]
    irrelevant |= {
        uri_key(resource.links["Drives"])
        for resource, drives, others in zip(with_drives, listed, additional, strict=True)
        if drives and not others
    }
    for resource, drives in zip(with_drives, fetcher.get_members(additional), strict=True):
        owner_ids = {"system_id": None, "storage_id": None, "chassis_id": resource.resource_id}
        for drive in drives:
            yield FetchedResource(str(drive["@odata.id"]), {"Drives": [drive]}, owner_ids, TABLES)


def _complete_storages(
    fetcher: ResourceFetcher, plan: DiscoveryPlan, storages: Sequence[JsonObject]
) -> list[JsonObject]:
    """Returns the Storages (DMTF Storage v1_17) with controllers and drives in place of links."""
    inline_controllers = [_inline_controllers(storage) for storage in storages]
    without = [storage for storage, inline in zip(storages, inline_controllers, strict=True) if not inline]
    linked_controllers = iter(fetcher.get_collections([link_at(storage, "Controllers") for storage in without]))
    completed: list[JsonObject] = []
    drives_by_storage = _drives(fetcher, plan, storages)
    for storage, inline, drives in zip(storages, inline_controllers, drives_by_storage, strict=True):
        controllers = inline or next(linked_controllers) or [_as_controller(storage)]
        # Supermicro's inline controllers have no name.
        named = [{"Name": storage.get("Name"), **controller} for controller in controllers]
        completed.append({**storage, "StorageControllers": named, "Drives": drives})
    return completed


def _inline_controllers(storage: JsonObject) -> list[JsonObject]:
    """Returns the controllers inside a Storage, as before Storage v1_9; empty if it has links only."""
    controllers = objects(storage.get("StorageControllers"))
    return [controller for controller in controllers if controller.keys() - {"@odata.id"}]


def _drives(fetcher: ResourceFetcher, plan: DiscoveryPlan, storages: Sequence[JsonObject]) -> list[list[JsonObject]]:
    """Returns the drives of each Storage; those that a Chassis also lists are read with its collection."""
    listed = [_unique(objects(storage.get("Drives"))) for storage in storages]
    links = [uri for drives in listed for drive in drives if not is_resource(drive) and (uri := uri_of(drive))]
    linked = fetcher.get_linked(links, [chassis.links.get("Drives") for chassis in plan.chassis])
    resources = [[drive if is_resource(drive) else linked.get(key_of(drive)) for drive in drives] for drives in listed]
    return [[drive for drive in drives if drive is not None] for drives in resources]


def _unique(links: Iterable[JsonObject]) -> list[JsonObject]:
    unique: dict[str, JsonObject] = {}
    for position, link in enumerate(links):
        unique.setdefault(uri_key(uri_of(link) or str(position)), link)
    return list(unique.values())


def _as_controller(storage: JsonObject) -> JsonObject:
    return {name: storage[name] for name in CONTROLLER_PROPERTIES if name in storage}


def _simple_as_storage(simple: JsonObject) -> JsonObject:
    """Returns a SimpleStorage (DMTF SimpleStorage v1_3) as a Storage; its devices have no ids but their positions."""
    devices = simple.get("Devices")
    drives = devices if isinstance(devices, list) else []
    return {**simple, "StorageControllers": [_as_controller(simple)], "Drives": drives}
