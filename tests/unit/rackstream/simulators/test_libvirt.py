"""Simulated hypervisors: equal seeds, events that can be counted in the records, rates that are known."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from rackstream.simulators.libvirt import NIC_RATES, LibvirtLoadSettings, LibvirtSimulation


def rounds(plan, count):
    """Round by round: host → its domains by UUID."""
    simulation = LibvirtSimulation(plan)
    found = []
    for _ in range(count):
        simulation.advance()
        found.append([{vm["uuid"]: vm for vm in simulation.domains(host, 1)} for host in range(plan.hosts)])
    return simulation, found


def counted(found):
    """Events as a reader of the records sees them, who knows nothing of the plan."""
    events = Counter()
    for before, now in pairwise(found):
        was = {uuid: (host, vm) for host, vms in enumerate(before) for uuid, vm in vms.items()}
        for host, vms in enumerate(now):
            for uuid, vm in vms.items():
                old_host, old = was[uuid]
                fell = old["nics"][0]["rxbytes"] > vm["nics"][0]["rxbytes"]
                if host != old_host:
                    events["migrations"] += 1
                elif vm["domain_id"] != old["domain_id"]:
                    events["restarts"] += 1
                    assert old["cputime"] > vm["cputime"]
                elif fell:
                    events["resets"] += 1
    return events


@pytest.mark.parametrize("seed", [0, 1])
def test_the_events_it_says_it_made_are_those_in_the_records(seed):
    simulation, found = rounds(LibvirtLoadSettings(hosts=20, vms=10, churn=0.05, seed=seed), 12)

    assert counted(found) == simulation.event_counts
    assert {"restarts", "resets", "migrations"} == set(simulation.event_counts)


def test_equal_seeds_give_equal_records_and_other_seeds_others():
    plans = [LibvirtLoadSettings(hosts=3, vms=4, churn=0.2, seed=seed) for seed in (7, 7, 8)]
    first, second, other = (rounds(plan, 5)[1] for plan in plans)

    assert first == second
    assert first != other


def test_each_vm_is_on_one_host_in_every_round():
    _, found = rounds(LibvirtLoadSettings(hosts=5, vms=6, churn=0.3), 10)

    assert [30] * 10 == [len({uuid for vms in hosts for uuid in vms}) for hosts in found]
    assert [30] * 10 == [sum(map(len, hosts)) for hosts in found]


def test_one_host_restarts_what_it_cannot_migrate():
    simulation, _ = rounds(LibvirtLoadSettings(hosts=1, vms=20, churn=0.5), 10)

    assert {"restarts", "resets"} == set(simulation.event_counts)


def test_without_churn_every_counter_grows_by_the_same_amount_each_round():
    _, found = rounds(LibvirtLoadSettings(hosts=1, vms=1, nics=2, disks=2, interval_s=2.0, churn=0), 4)
    [series] = zip(*(hosts[0].values() for hosts in found), strict=True)

    for name in ("cputime", "timeusr", "memminor_fault"):
        values = [vm[name] for vm in series]
        assert 1 == len({now - was for was, now in pairwise(values)})
    assert all(was["nics"][1]["rxbytes"] < now["nics"][1]["rxbytes"] for was, now in pairwise(series))
    assert (
        0.5 * 2 * NIC_RATES["txbytes"]
        <= series[1]["nics"][0]["txbytes"] - series[0]["nics"][0]["txbytes"]
        <= 1.5 * 2 * NIC_RATES["txbytes"]
    )
