"""Kafka itself: is it reached, does it let us in, does it have our topics, do we know its schemas?"""

from __future__ import annotations

import platform
import socket
import time
from typing import Final

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from rackstream.doctor.check import Check, Finding, count, fail, ok, warn
from runtime import kafka
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from runtime.topics import published_schemas, verify
from schemas import catalog

CERTAIN: Final = (KafkaError._RESOLVE, KafkaError._AUTHENTICATION, KafkaError._SSL)  # noqa: SLF001  librdkafka's names
TRY_S: Final = 1.0
"""One wait for the brokers; then what librdkafka has said meanwhile is looked at."""
AWAY: Final = "start it, or correct KAFKA_BOOTSTRAP_SERVERS; an embedded one is started by `rackstream up`"


def checks(settings: KafkaSettings | Misconfigured, timeout_s: float) -> list[Check]:
    """From the first connection to the schemas. Instead of settings: what is wrong with them."""
    if isinstance(settings, Misconfigured):
        seen, _, do = str(settings).partition(": ")
        return [Check("Kafka", lambda: fail(seen, do))]
    return [
        Check("Kafka", lambda: answers(settings, timeout_s), (), timeout_s + 4),
        Check("topics", lambda: _topics(settings), ("Kafka",)),
        Check("schemas", lambda: _schemas(settings), ("topics",)),
    ]


def answers(settings: KafkaSettings, timeout_s: float) -> Finding:
    """Whether Kafka lets us in, and all its brokers are reached."""
    told: list[KafkaError] = []
    client = kafka.admin(settings, on_error=told.append)
    deadline_s, began_s = time.monotonic() + timeout_s, time.monotonic()
    while True:
        try:
            known = client.list_topics(timeout=TRY_S)
            break
        except KafkaException as error:
            client.poll(0)
            cause = next((each for each in told if each.code() != KafkaError._ALL_BROKERS_DOWN), error.args[0])  # noqa: SLF001
            if time.monotonic() >= deadline_s and not told:
                return fail(
                    f"{settings.bootstrap} says nothing within {timeout_s:g} s: a firewall drops what is sent, the "
                    "machine is off, or the broker hangs",
                    "look for a firewall in between, and at the broker's log; " + AWAY,
                )
            if time.monotonic() >= deadline_s or cause.code() in CERTAIN or "SSL" in cause.str():
                return _away(settings, cause)
    took_ms = 1000 * (time.monotonic() - began_s)
    for broker in known.brokers.values():
        try:
            socket.create_connection((broker.host, broker.port), timeout_s).close()
        except OSError as error:
            return fail(
                f"{settings.bootstrap} answers and names a broker {broker.host}:{broker.port}, which is not reached "
                f"from here: {(error.strerror or 'no answer').lower()}",
                "correct the broker's advertised.listeners, or let this machine reach that name and port",
            )
    return ok(f"{count(len(known.brokers), 'broker')} at {settings.bootstrap}, after {took_ms:.0f} ms")


def _away(settings: KafkaSettings, cause: KafkaError) -> Finding:
    where, why, protocol = settings.bootstrap, cause.str(), settings.security_protocol
    why = why.partition(" (after ")[0].partition("/bootstrap: ")[2] or why
    if cause.code() == KafkaError._RESOLVE:  # noqa: SLF001
        return fail(f"a name in {where} is not resolved: {why}", "correct KAFKA_BOOTSTRAP_SERVERS, or the DNS")
    if cause.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001
        return fail(
            f"{where} refuses the login ({protocol}): {why}",
            "check KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and the password",
        )
    if "SSL" in why or cause.code() == KafkaError._SSL:  # noqa: SLF001
        return fail(
            f"no TLS with {where} ({protocol}): {why}",
            "check KAFKA_SECURITY_PROTOCOL (does that listener speak TLS?), KAFKA_SSL_CA_LOCATION, and the names in "
            "the broker's certificate",
        )
    if "imed out" in why:
        return fail(f"{where} does not answer: {why}", "look for a firewall in between; " + AWAY)
    if protocol == "PLAINTEXT" and "isconnected" in why:
        return fail(
            f"{where} ends connections: {why}",
            "does that listener want TLS or a login? then set KAFKA_SECURITY_PROTOCOL",
        )
    return fail(f"{where} is away: {why}", AWAY)


def _topics(settings: KafkaSettings) -> Finding:
    counts = verify(settings)
    partitions = ", ".join(
        f"{count(number, 'partition')} {group}-keyed" for group, number in sorted(counts.items()) if group != "one"
    )
    return ok(f"all {len(settings.catalog.topics)} are there, {partitions}")


def _schemas(settings: KafkaSettings) -> Finding:
    """By fingerprint, for a registry gives ids of its own."""
    there = {
        catalog.fingerprint_id(published_schema): published_schema["name"]
        for published_schema in published_schemas(settings).values()
    }
    unknown = sorted({name for id_, name in there.items() if id_ not in catalog.published()})
    if unknown:
        return warn(
            f"versions of {', '.join(unknown)} are written that are newer than this",
            "update this installation: what it does not know of those records it leaves out",
        )
    if not there:
        return warn("none are published: nothing has ever been written", "`rackstream topics --create`, then producers")
    return ok(f"{count(len(there), 'version')} on Kafka, all known here")


def versions(kafka_version: str | None) -> Finding:
    """Of what takes part here. `kafka_version`: of the embedded one; others do not tell theirs."""
    told = [f"Python {platform.python_version()}", f"confluent-kafka {confluent_kafka.version()}"]
    told.append(f"librdkafka {confluent_kafka.libversion()[0]}")
    if kafka_version:
        told.append(f"embedded Kafka {kafka_version}")
    try:
        import libvirt
    except ImportError:
        pass
    else:
        number = libvirt.getVersion()
        told.append(f"libvirt client {number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}")
    return ok(", ".join(told))
