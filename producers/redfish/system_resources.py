"""Reads the resources of each category: systems, sensors, processors, memory, network interfaces, storage.

Linked resources (`Metrics`, `Links/NetworkAdapter`) replace their links in the documents that are passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from producers.redfish import source_selection
from producers.redfish.discovery import SYSTEM_COLLECTIONS, DiscoveredResource, DiscoveryPlan
from producers.redfish.documents import JsonObject, integer, link_at, text, uri_key, value_at
from producers.redfish.fetch import FetchedResource, ResourceFetcher
from producers.redfish.mapping import tables
from producers.redfish.mapping.table import RedfishRecord, ResourceTable, port_count
from producers.redfish.mapping.tables import NETWORK_ADAPTER, PORT_COUNT_PATHS
from producers.redfish.storage_resources import read_storage

CategoryReader = Callable[[ResourceFetcher, DiscoveryPlan], Iterator[FetchedResource]]


def read_systems(fetcher: ResourceFetcher, plan: DiscoveryPlan) -> Iterator[FetchedResource]:
    """Reads the ComputerSystems. One whose links have changed outdates the plan."""
    documents = fetcher.get_all([system.uri for system in plan.systems])
    for system, document in zip(plan.systems, documents, strict=True):
        if document is None:
            continue
        links = {name: link for name in SYSTEM_COLLECTIONS if (link := link_at(document, name))}
        if system.links and links != system.links:
            plan.outdated = True
        power_state = text(document.get("PowerState")) or ""
        power_states, key = fetcher.cache.power_states, uri_key(system.uri)
        if power_states.setdefault(key, power_state) != power_state:
            power_states[key] = power_state
            fetcher.cache.sources.clear()  # sensors appear and disappear with the host's power
        yield FetchedResource(system.uri, document, {}, (tables.SYSTEM,))


def read_thermal(fetcher: ResourceFetcher, plan: DiscoveryPlan) -> Iterator[FetchedResource]:
    """Reads temperatures and fans of each Chassis."""
    yield from source_selection.select_resources(fetcher, "thermal", plan.chassis)


def read_power(fetcher: ResourceFetcher, plan: DiscoveryPlan) -> Iterator[FetchedResource]:
    """Reads power controls, voltages and power supplies of each Chassis."""
    yield from source_selection.select_resources(fetcher, "power", plan.chassis)


def read_processors(fetcher: ResourceFetcher, plan: DiscoveryPlan) -> Iterator[FetchedResource]:
    """Reads the Processors of each System: CPUs, GPUs and other accelerators."""
    yield from _inline_links(fetcher, _system_members(fetcher, plan, "Processors", tables.PROCESSOR, levels=2))


def read_memory(fetcher: ResourceFetcher, plan: DiscoveryPlan) -> Iterator[FetchedResource]:
    """Reads the Memory of each System: DIMMs, and empty slots with State Absent."""
    modules = [_with_state(module) for module in _system_members(fetcher, plan, "Memory", tables.DIMM, levels=2)]
    # MemoryMetrics provide only the speed, which most Memory resources have themselves.
    needs_metrics = [integer(module.document.get("OperatingSpeedMhz")) is None for module in modules]
    without_speed = [module for module, needed in zip(modules, needs_metrics, strict=True) if needed]
    with_speed = [module for module, needed in zip(modules, needs_metrics, strict=True) if not needed]
    metrics_inlined = iter(_inline_links(fetcher, without_speed))
    others_inlined = iter(_inline_links(fetcher, with_speed, skip="Metrics"))
    yield from (next(metrics_inlined if needed else others_inlined) for needed in needs_metrics)


def _with_state(module: FetchedResource) -> FetchedResource:
    """Returns a slot that iLO 4 reports as empty in a property of its own with the corresponding State."""
    if module.document.get("DIMMStatus") != "NotPresent" or "Status" in module.document:
        return module
    return replace(module, document={**module.document, "Status": {"State": "Absent"}})


def _system_members(
    fetcher: ResourceFetcher, plan: DiscoveryPlan, name: str, table: ResourceTable[RedfishRecord], levels: int = 1
) -> list[FetchedResource]:
    """Returns the members of a collection of each System."""
    members = fetcher.get_collections([system.links.get(name) for system in plan.systems], levels)
    return [
        FetchedResource(str(document["@odata.id"]), document, {"system_id": system.resource_id}, (table,))
        for system, documents in zip(plan.systems, members, strict=True)
        for document in documents
    ]


def _inline_links(
    fetcher: ResourceFetcher, resources: Sequence[FetchedResource], skip: str = ""
) -> list[FetchedResource]:
    """Returns the resources with the linked ones that their table reads; `skip`: a link that is not followed."""
    if not resources:
        return []
    table = resources[0].tables[0]
    documents = [resource.document for resource in resources]
    for path, _ in table.link_schemas:
        if path != skip:
            documents = fetcher.inline_links(documents, path, _properties_below(table, path))
    return [replace(resource, document=document) for resource, document in zip(resources, documents, strict=True)]


def _properties_below(table: ResourceTable[RedfishRecord], path: str) -> set[str]:
    """Returns the properties below a path that a table reads."""
    fields = [field for subtable in (table, *table.nested) for field in subtable.fields]
    paths = [field_path for field in fields for field_path in field.paths]
    paths += [nested.property_path for nested in table.nested]
    prefix = f"{path}/"
    return {full.removeprefix(prefix).split("/")[0] for full in paths if full.startswith(prefix)}


def read_network(fetcher: ResourceFetcher, plan: DiscoveryPlan) -> Iterator[FetchedResource]:
    """Reads the NetworkInterfaces of Systems, else the NetworkAdapters of Chassis, else the EthernetInterfaces.

    All three describe the same ports, so only the first kind that exists is used.
    """
    interfaces = _with_adapters(
        fetcher, plan, _system_members(fetcher, plan, "NetworkInterfaces", tables.NETWORK_INTERFACE)
    )
    if not interfaces and fetcher.is_complete:
        interfaces = _chassis_adapters(fetcher, plan.chassis)
    if not interfaces and fetcher.is_complete:
        interfaces = _system_members(fetcher, plan, "EthernetInterfaces", tables.NETWORK_INTERFACE)
    documents = _with_ports(fetcher, [interface.document for interface in interfaces])
    for interface, document in zip(interfaces, documents, strict=True):
        owner_ids = {"system_id": None, "chassis_id": None, **interface.owner_ids}
        yield replace(interface, document=document, owner_ids=owner_ids)


def _chassis_adapters(fetcher: ResourceFetcher, chassis: Sequence[DiscoveredResource]) -> list[FetchedResource]:
    adapters = fetcher.get_collections([resource.links.get("NetworkAdapters") for resource in chassis])
    return [
        FetchedResource(
            str(document["@odata.id"]), document, {"chassis_id": resource.resource_id}, (tables.NETWORK_INTERFACE,)
        )
        for resource, documents in zip(chassis, adapters, strict=True)
        for document in documents
    ]


def _with_adapters(
    fetcher: ResourceFetcher, plan: DiscoveryPlan, interfaces: Sequence[FetchedResource]
) -> list[FetchedResource]:
    """Returns the interfaces with their adapters: read at each poll if only they report health, else once."""
    links = [link_at(interface.document, NETWORK_ADAPTER) for interface in interfaces]
    polled = [
        link for link, interface in zip(links, interfaces, strict=True) if link and not _has_status(interface.document)
    ]
    adapters: dict[str, JsonObject] = {}
    if polled:
        adapters = fetcher.get_linked(polled, [chassis.links.get("NetworkAdapters") for chassis in plan.chassis])
    fetcher.cache.static_resources |= adapters
    static = [link for link in links if link and link not in polled]
    adapters |= {
        uri_key(link): adapter
        for link, adapter in zip(static, fetcher.get_static(static), strict=True)
        if adapter is not None
    }
    return [
        _with_adapter(interface, adapters.get(uri_key(link or "")))
        for interface, link in zip(interfaces, links, strict=True)
    ]


def _has_status(document: JsonObject) -> bool:
    return all(text(value_at(document, f"Status/{name}")) for name in ("Health", "State"))


def _with_adapter(interface: FetchedResource, adapter: JsonObject | None) -> FetchedResource:
    if adapter is None:
        return interface
    links = {**interface.document["Links"], "NetworkAdapter": adapter}
    return replace(interface, document={**interface.document, "Links": links})


def _with_ports(fetcher: ResourceFetcher, documents: Sequence[JsonObject]) -> list[JsonObject]:
    """Returns the documents with their collection of ports, read once, unless a controller reports their number."""
    result = list(documents)
    for controller_paths, name in ((PORT_COUNT_PATHS[:2], "Ports"), (PORT_COUNT_PATHS[:3], "NetworkPorts")):
        links = {
            i: link
            for i, document in enumerate(result)
            if (link := link_at(document, name)) and not _has_port_count(document, controller_paths)
        }
        for i, ports in zip(links, fetcher.get_static(list(links.values())), strict=True):
            if ports is not None:
                result[i] = {**result[i], name: ports}
    return result


def _has_port_count(document: JsonObject, paths: Sequence[str]) -> bool:
    return any(port_count(value_at(document, path)) is not None for path in paths)


CATEGORY_READERS: Final[Mapping[str, CategoryReader]] = {
    "system": read_systems,
    "thermal": read_thermal,
    "power": read_power,
    "processor": read_processors,
    "memory": read_memory,
    "network": read_network,
    "storage": read_storage,
}
"""Category → reader of its resources."""
