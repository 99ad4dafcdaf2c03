"""Kafka ACLs of the roles: printed for Kafka's tools, compared, created, checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ClusterMetadata,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from rackstream.access.roles import Acl, acls_of
from runtime import kafka, kafka_auth
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings

TIMEOUT_S: Final = 30.0
SCRAM_ITERATIONS: Final = 8192
"""Hash iterations of SCRAM: the cost of one guess for someone who has read the brokers' credentials."""
OPERATIONS: Final = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Create": AclOperation.CREATE,
    "Delete": AclOperation.DELETE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}
RESOURCE_TYPES: Final = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}


def kafka_acls_commands(principal: str, acls: Iterable[Acl]) -> Iterator[str]:
    """Yields kafka-acls.sh commands that create the ACLs, one per set of operations."""
    grouped: dict[tuple[str, bool, tuple[str, ...]], list[str]] = {}
    for (kind, prefixed, name), operations in _by_resource(acls).items():
        grouped.setdefault((kind, prefixed, operations), []).append(name)
    for (kind, prefixed, operations), names in grouped.items():
        words = ["kafka-acls.sh", '--bootstrap-server "$KAFKA"', "--command-config admin.properties", "--add"]
        words.append(f"--allow-principal '{principal}'")
        words += [f"--operation {operation}" for operation in operations]
        words += ["--resource-pattern-type prefixed"] if prefixed else []
        words += [f"--{kind} {name}" for name in names]
        yield " ".join(words)


def _by_resource(acls: Iterable[Acl]) -> Mapping[tuple[str, bool, str], tuple[str, ...]]:
    operations: dict[tuple[str, bool, str], tuple[str, ...]] = {}
    for acl in sorted(acls, key=lambda acl: (acl.resource_type, acl.prefixed, acl.name, acl.operation)):
        key = (acl.resource_type, acl.prefixed, acl.name)
        operations[key] = (*operations.get(key, ()), acl.operation)
    return operations


def compare(
    settings: KafkaSettings, required: Mapping[str, frozenset[Acl]]
) -> tuple[dict[str, list[Acl]], dict[str, list[str]]]:
    """Compares the required ACLs of each principal with those on Kafka.

    Returns:
        The missing ACLs and descriptions of the extra ones, by principal.

    Raises:
        Misconfigured: This user may not list ACLs.
        Retry: No answer.
    """
    existing: dict[str, set[AclBinding]] = {principal: set() for principal in required}
    client = kafka.create_admin_client(settings)
    everything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    try:
        for binding in client.describe_acls(everything, request_timeout=TIMEOUT_S).result(TIMEOUT_S):
            if binding.principal in existing:
                existing[binding.principal].add(binding)
    except KafkaException as error:
        raise kafka_auth.request_failed(settings, error.args[0], "Describe", "kafka-cluster") from error
    acl_by_binding = {
        principal: {_binding(principal, acl): acl for acl in acls} for principal, acls in required.items()
    }
    missing = {
        principal: sorted(acl for binding, acl in acls.items() if binding not in existing[principal])
        for principal, acls in acl_by_binding.items()
    }
    extra = {
        principal: sorted(map(_describe, bindings - acl_by_binding[principal].keys()))
        for principal, bindings in existing.items()
    }
    return missing, extra


def create(settings: KafkaSettings, missing: Mapping[str, Iterable[Acl]]) -> int:
    """Creates ACLs and returns their number.

    Raises:
        Misconfigured: This user may not create ACLs, or the cluster has no authorizer.
        Retry: No answer.
    """
    bindings = [_binding(principal, acl) for principal, acls in missing.items() for acl in acls]
    client = kafka.create_admin_client(settings)
    try:
        for future in (client.create_acls(bindings, request_timeout=TIMEOUT_S) if bindings else {}).values():
            future.result(TIMEOUT_S)
    except KafkaException as error:
        raise kafka_auth.request_failed(settings, error.args[0], "Alter", "kafka-cluster") from error
    return len(bindings)


def set_passwords(settings: KafkaSettings, directory: Path, roles: Iterable[str]) -> list[str]:
    """Sets the SCRAM-SHA-512 password of each role's user from the file named like the role.

    Returns:
        The users that got a password.

    Raises:
        Misconfigured: There is no such file, one is empty, or this user may not set passwords.
        Retry: No answer.
    """
    files = [directory / role for role in roles if (directory / role).is_file()]
    passwords = {file.name: file.read_bytes().strip() for file in files}
    if not passwords or not all(passwords.values()):
        empty = ", ".join(name for name, password in passwords.items() if not password)
        raise Misconfigured(
            f"{directory}: " + (f"no password in {empty}" if passwords else "no file is named like a role")
        )
    scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
    client = kafka.create_admin_client(settings)
    upsertions = [UserScramCredentialUpsertion(name, scram, password) for name, password in passwords.items()]
    try:
        for future in client.alter_user_scram_credentials(upsertions, request_timeout=TIMEOUT_S).values():
            future.result(TIMEOUT_S)
    except KafkaException as error:
        raise kafka_auth.request_failed(settings, error.args[0], "Alter", "kafka-cluster") from error
    return list(passwords)


def require(settings: KafkaSettings, role: str) -> ClusterMetadata | None:
    """Checks at start-up that the Kafka user has the ACLs its role needs.

    No-op without authentication.

    Returns:
        Metadata of the cluster, fetched on the way, so that the rest of the start-up need not fetch it again.

    Raises:
        Misconfigured: ACLs are missing; the message names them.
        Retry: No answer.
    """
    if settings.security_protocol == "PLAINTEXT":
        return None
    metadata = kafka.cluster_metadata(settings)
    required = acls_of(role, settings.catalog, settings.topic_prefix)
    missing = [str(acl) for acl in sorted(required - _granted(settings, required))]
    if missing:
        raise Misconfigured(
            f"Kafka user {settings.user} lacks ACLs that a {role} needs: {', '.join(missing)}; "
            f"create them as an administrator with `rackstream acls --role {role} --apply`"
        )
    return metadata


def _granted(settings: KafkaSettings, required: frozenset[Acl]) -> set[Acl]:
    """Returns the required ACLs that are granted.

    Prefixed topic ACLs are checked on the existing topics; prefixed group ACLs are not checked.
    """
    client = kafka.create_admin_client(settings)
    names = [topic.name for topic in settings.catalog.topics.values()]
    allowed: dict[tuple[str, str], set[AclOperation] | None] = {}
    described = client.describe_topics(
        TopicCollection(names), include_authorized_operations=True, request_timeout=TIMEOUT_S
    )
    groups = [acl.name for acl in required if acl.resource_type == "group" and not acl.prefixed]
    futures = {("topic", name): future for name, future in described.items()}
    if groups:
        members = client.describe_consumer_groups(groups, include_authorized_operations=True, request_timeout=TIMEOUT_S)
        futures |= {("group", name): future for name, future in members.items()}
    for key, future in futures.items():
        try:
            operations = future.result(TIMEOUT_S).authorized_operations
            allowed[key] = None if operations is None else set(operations)
        except KafkaException as error:
            if error.args[0].code() in kafka_auth.RESOURCE_BY_DENIAL_CODE:
                allowed[key] = set()
            elif error.args[0].retriable():
                raise kafka_auth.request_failed(settings, error.args[0], "Describe", key[1]) from error
            else:
                allowed[key] = None  # the topic or group does not exist, which is reported elsewhere
    return {acl for acl in required if all(_is_allowed(allowed.get(key), acl) for key in _resources(acl, names))}


def _resources(acl: Acl, names: Iterable[str]) -> list[tuple[str, str]]:
    if not acl.prefixed:
        return [(acl.resource_type, acl.name)]
    return [("topic", name) for name in names if acl.resource_type == "topic" and name.startswith(acl.name)]


def _is_allowed(operations: set[AclOperation] | None, acl: Acl) -> bool:
    if operations is None or acl.operation == "Create":  # existing topics need not be created
        return True
    return OPERATIONS[acl.operation] in operations


def _binding(principal: str, acl: Acl) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if acl.prefixed else ResourcePatternType.LITERAL
    operation = OPERATIONS[acl.operation]
    return AclBinding(
        RESOURCE_TYPES[acl.resource_type], acl.name, pattern, principal, "*", operation, AclPermissionType.ALLOW
    )


def _describe(binding: AclBinding) -> str:
    permission = (
        "" if binding.permission_type == AclPermissionType.ALLOW else f" ({binding.permission_type.name.lower()})"
    )
    wildcard = "*" if binding.resource_pattern_type == ResourcePatternType.PREFIXED else ""
    host = "" if binding.host == "*" else f" from {binding.host}"
    operation = "".join(word.capitalize() for word in binding.operation.name.split("_"))
    return f"{operation} on {binding.restype.name.lower()} {binding.name}{wildcard}{host}{permission}"
