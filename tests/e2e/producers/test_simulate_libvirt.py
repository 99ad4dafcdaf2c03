"""The simulated hypervisors on Kafka: what is there is what the plan says, and what the command says it made."""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict

import pytest

from processors import vms
from processors.testing import run_step
from rackstream.simulators.libvirt import LibvirtLoadSettings, LibvirtSimulation
from schemas import catalog, codec
from schemas.testing import make_raw_record
from tests.e2e.support.parts import part, records, running, until

pytestmark = pytest.mark.kafka

HOSTS, VMS, ROUNDS = 20, 5, 6
ARGUMENTS = ["--hosts", f"{HOSTS}", "--vms", f"{VMS}", "--interval", "0.2", "--churn", "0.1", "--seed", "3", "--json"]


def by_host(found):
    """Host → its records in order."""
    hosts = defaultdict(list)
    for record in sorted(found, key=lambda record: record["sequence"]):
        hosts[record["host"]].append(record)
    return dict(hosts)


def timeless(domains):
    """As Kafka gives them, but without what the clock says."""
    schema = catalog.schema("LibvirtSample")
    whole = codec.Decoder(schema).decode(codec.encode(schema, make_raw_record("LibvirtSample", domains=domains)))[
        "domains"
    ]
    return sorted((domain | {"memlast_update": 0} for domain in whole), key=lambda domain: domain["uuid"])


def test_what_is_on_kafka_is_the_plan_round_by_round(kafka):
    command = part(kafka, "load", "simulate", "libvirt", *ARGUMENTS, "--rounds", f"{ROUNDS}")
    done = subprocess.run(
        command.command, env=os.environ | command.environment, capture_output=True, text=True, timeout=120
    )
    assert (0, "") == (done.returncode, done.stderr)
    summary = json.loads(done.stdout)
    hosts = by_host(records(kafka, "raw-libvirt"))
    simulation = LibvirtSimulation(LibvirtLoadSettings(hosts=HOSTS, vms=VMS, interval_s=0.2, churn=0.1, seed=3))

    assert [f"sim-{n:04d}" for n in range(HOSTS)] == sorted(hosts)
    for nth in range(ROUNDS):
        simulation.advance()
        for n, host in enumerate(sorted(hosts)):
            assert timeless(simulation.domains(n, 0)) == timeless(hosts[host][nth]["domains"])
    assert {host: [*range(ROUNDS)] for host in hosts} == {
        host: [record["sequence"] for record in series] for host, series in hosts.items()
    }
    assert dict(simulation.event_counts) == {event: summary[event] for event in simulation.event_counts}
    assert (ROUNDS, HOSTS * ROUNDS, HOSTS * VMS, 0) == tuple(
        summary[key] for key in ("rounds", "records", "vms", "dropped")
    )
    assert_rates_end_at_events(hosts, summary)


def assert_rates_end_at_events(hosts, summary):
    """A VM has rates in each round but its host's first, and but those in which it came new: restarted or migrated."""
    outputs = [output for series in hosts.values() for output in run_step(vms.STEP, series)]
    rated = [vm for output in outputs for features in output.get("vm-features", ()) for vm in features["vms"]]
    unknown = [vm for vm in rated if vm["net_rxbytes_rate"] is None]

    assert HOSTS * VMS * (ROUNDS - 1) - summary["restarts"] - summary["migrations"] == len(rated)
    assert summary["resets"] == len(unknown)
    assert [] == [vm for vm in rated if vm["cputime_rate"] is None]


def test_a_round_that_has_begun_is_finished_when_it_is_told_to_stop(kafka):
    with running(part(kafka, "load", "simulate", "libvirt", *ARGUMENTS)):
        until(lambda: len(records(kafka, "raw-libvirt")) > HOSTS)
    hosts = by_host(records(kafka, "raw-libvirt"))

    assert {HOSTS} == {len(hosts)}
    assert 1 == len({len(series) for series in hosts.values()})
