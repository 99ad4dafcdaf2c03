"""Checks Kafka: brokers reachable, login accepted, topics present, schemas known."""

from __future__ import annotations

import platform
import socket
import time
from typing import Final

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from rackstream.doctor.check import CheckResult, DoctorCheck, fail, ok, warn
from rackstream.text.units import quantity
from runtime import kafka
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from runtime.topics import published_schemas, verify
from schemas import catalog

FINAL_ERRORS: Final = (KafkaError._RESOLVE, KafkaError._AUTHENTICATION, KafkaError._SSL)  # noqa: SLF001  librdkafka's names
ATTEMPT_S: Final = 1.0
"""Time of one attempt to reach the brokers; then the errors that librdkafka reported meanwhile are examined."""
START_ADVICE: Final = "start it, or correct KAFKA_BOOTSTRAP_SERVERS; an embedded one is started by `rackstream up`"


def checks(settings: KafkaSettings | Misconfigured, timeout_s: float) -> list[DoctorCheck]:
    """Returns the checks from the first connection to the schemas.

    Args:
        settings: Kafka's settings, or what is wrong with them.
        timeout_s: Timeout of one request.
    """
    if isinstance(settings, Misconfigured):
        observed, _, advice = str(settings).partition(": ")
        return [DoctorCheck("Kafka", lambda: fail(observed, advice))]
    return [
        DoctorCheck("Kafka", lambda: check_brokers(settings, timeout_s), (), timeout_s + 4),
        DoctorCheck("topics", lambda: _check_topics(settings), ("Kafka",)),
        DoctorCheck("schemas", lambda: _check_schemas(settings), ("topics",)),
    ]


def check_brokers(settings: KafkaSettings, timeout_s: float) -> CheckResult:
    """Checks that Kafka accepts the login, and that all its brokers are reachable."""
    errors: list[KafkaError] = []
    client = kafka.create_admin_client(settings, on_error=errors.append)
    deadline_s, started_s = time.monotonic() + timeout_s, time.monotonic()
    while True:
        try:
            metadata = client.list_topics(timeout=ATTEMPT_S)
            break
        except KafkaException as exception:
            client.poll(0)
            specific = (error for error in errors if error.code() != KafkaError._ALL_BROKERS_DOWN)  # noqa: SLF001
            error = next(specific, exception.args[0])
            if time.monotonic() >= deadline_s and not errors:
                return fail(
                    f"no answer from {settings.bootstrap} within {timeout_s:g} s: a firewall drops packets, the "
                    "machine is off, or the broker hangs",
                    "check for a firewall in between, and the broker's log; " + START_ADVICE,
                )
            if time.monotonic() >= deadline_s or error.code() in FINAL_ERRORS or "SSL" in error.str():
                return _connection_failed(settings, error)
    elapsed_ms = 1000 * (time.monotonic() - started_s)
    for broker in metadata.brokers.values():
        try:
            socket.create_connection((broker.host, broker.port), timeout_s).close()
        except OSError as error:
            return fail(
                f"{settings.bootstrap} answers but names a broker {broker.host}:{broker.port} that is unreachable "
                f"from here: {(error.strerror or 'no answer').lower()}",
                "correct the broker's advertised.listeners, or make that name and port reachable from this machine",
            )
    return ok(f"{quantity(len(metadata.brokers), 'broker')} at {settings.bootstrap}, answered in {elapsed_ms:.0f} ms")


def _connection_failed(settings: KafkaSettings, error: KafkaError) -> CheckResult:
    address, protocol, message = settings.bootstrap, settings.security_protocol, error.str()
    reason = message.partition(" (after ")[0].partition("/bootstrap: ")[2] or message
    if error.code() == KafkaError._RESOLVE:  # noqa: SLF001
        return fail(f"a name in {address} is not resolved: {reason}", "correct KAFKA_BOOTSTRAP_SERVERS, or the DNS")
    if error.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001
        return fail(
            f"{address} rejects the login ({protocol}): {reason}",
            "check KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and the password",
        )
    if "SSL" in reason or error.code() == KafkaError._SSL:  # noqa: SLF001
        return fail(
            f"no TLS with {address} ({protocol}): {reason}",
            "check KAFKA_SECURITY_PROTOCOL (does that listener speak TLS?), KAFKA_SSL_CA_LOCATION, and the names in "
            "the broker's certificate",
        )
    if "imed out" in reason:
        return fail(f"no answer from {address}: {reason}", "check for a firewall in between; " + START_ADVICE)
    if protocol == "PLAINTEXT" and "isconnected" in reason:
        return fail(
            f"{address} closes connections: {reason}",
            "if that listener requires TLS or a login, set KAFKA_SECURITY_PROTOCOL",
        )
    return fail(f"{address} is unreachable: {reason}", START_ADVICE)


def _check_topics(settings: KafkaSettings) -> CheckResult:
    counts = verify(settings)
    partitions = ", ".join(
        f"{quantity(number, 'partition')} per {group}-keyed topic"
        for group, number in sorted(counts.items())
        if group != "one"
    )
    return ok(f"all {len(settings.catalog.topics)} exist, {partitions}")


def _check_schemas(settings: KafkaSettings) -> CheckResult:
    """Compares fingerprints, because a registry assigns ids of its own."""
    schemas = {
        catalog.fingerprint_id(published_schema): published_schema["name"]
        for published_schema in published_schemas(settings).values()
    }
    unknown = sorted({name for schema_id, name in schemas.items() if schema_id not in catalog.published_schemas()})
    if unknown:
        return warn(
            f"records of newer schema versions are being written: {', '.join(unknown)}",
            "update this installation: it ignores the fields that it does not know",
        )
    if not schemas:
        return warn(
            "none are published: nothing has ever been written", "`rackstream topics --create`, then start producers"
        )
    return ok(f"{quantity(len(schemas), 'version')} on Kafka, all known here")


def versions(kafka_version: str | None) -> CheckResult:
    """Lists the versions in use.

    `kafka_version` is the embedded Kafka's; others do not report theirs.
    """
    parts = [f"Python {platform.python_version()}", f"confluent-kafka {confluent_kafka.version()}"]
    parts.append(f"librdkafka {confluent_kafka.libversion()[0]}")
    if kafka_version:
        parts.append(f"embedded Kafka {kafka_version}")
    try:
        import libvirt
    except ImportError:
        pass
    else:
        number = libvirt.getVersion()
        parts.append(f"libvirt client {number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}")
    return ok(", ".join(parts))
