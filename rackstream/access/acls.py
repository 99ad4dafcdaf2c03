"""Rights as access control lists on Kafka: printed for its own tools, compared with what is there, created."""

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
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from rackstream.access import roles as rights
from rackstream.access.roles import Right
from runtime import kafka, kafka_auth
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings

TIMEOUT_S: Final = 30.0
ITERATIONS: Final = 8192
"""Of SCRAM: what one guess at a password costs whoever has read what the brokers keep of it."""
OPERATIONS: Final = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Create": AclOperation.CREATE,
    "Delete": AclOperation.DELETE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}
KINDS: Final = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}


def commands(principal: str, wanted: Iterable[Right]) -> Iterator[str]:
    """What creates them with Kafka's own tool, a line per set of operations."""
    grouped: dict[tuple[str, bool, tuple[str, ...]], list[str]] = {}
    for (kind, prefixed, name), operations in _by_resource(wanted).items():
        grouped.setdefault((kind, prefixed, operations), []).append(name)
    for (kind, prefixed, operations), names in grouped.items():
        words = ["kafka-acls.sh", '--bootstrap-server "$KAFKA"', "--command-config admin.properties", "--add"]
        words.append(f"--allow-principal '{principal}'")
        words += [f"--operation {operation}" for operation in operations]
        words += ["--resource-pattern-type prefixed"] if prefixed else []
        words += [f"--{kind} {name}" for name in names]
        yield " ".join(words)


def _by_resource(wanted: Iterable[Right]) -> Mapping[tuple[str, bool, str], tuple[str, ...]]:
    found: dict[tuple[str, bool, str], tuple[str, ...]] = {}
    for each in sorted(wanted, key=lambda each: (each.kind, each.prefixed, each.name, each.operation)):
        key = (each.kind, each.prefixed, each.name)
        found[key] = (*found.get(key, ()), each.operation)
    return found


def compare(
    settings: KafkaSettings, wanted: Mapping[str, frozenset[Right]]
) -> tuple[dict[str, list[Right]], dict[str, list[str]]]:
    """What Kafka lacks of each principal's rights, and what it has beyond them.

    Raises:
        Misconfigured: this login may not ask.
        Retry: no answer.
    """
    there: dict[str, set[AclBinding]] = {principal: set() for principal in wanted}
    client = kafka.admin(settings)
    everything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    try:
        for each in client.describe_acls(everything, request_timeout=TIMEOUT_S).result(TIMEOUT_S):
            if each.principal in there:
                there[each.principal].add(each)
    except KafkaException as error:
        raise kafka_auth.failure(settings, error.args[0], "Describe", "kafka-cluster") from error
    bindings = {principal: {_binding(principal, each): each for each in found} for principal, found in wanted.items()}
    lacking = {
        principal: sorted(right for binding, right in found.items() if binding not in there[principal])
        for principal, found in bindings.items()
    }
    beyond = {principal: sorted(map(_text, found - bindings[principal].keys())) for principal, found in there.items()}
    return lacking, beyond


def create(settings: KafkaSettings, lacking: Mapping[str, Iterable[Right]]) -> int:
    """Creates them; returns how many.

    Raises:
        Misconfigured: this login may not, or the cluster has no authorizer.
        Retry: no answer.
    """
    bindings = [_binding(principal, right) for principal, found in lacking.items() for right in found]
    client = kafka.admin(settings)
    try:
        for future in (client.create_acls(bindings, request_timeout=TIMEOUT_S) if bindings else {}).values():
            future.result(TIMEOUT_S)
    except KafkaException as error:
        raise kafka_auth.failure(settings, error.args[0], "Alter", "kafka-cluster") from error
    return len(bindings)


def set_passwords(settings: KafkaSettings, directory: Path, roles: Iterable[str]) -> list[str]:
    """Gives the user of each role the password in the file of that name, by SCRAM-SHA-512; returns who got one.

    Raises:
        Misconfigured: there is no such file at all, one is empty, or this login may not.
        Retry: no answer.
    """
    files = [directory / role for role in roles if (directory / role).is_file()]
    passwords = {file.name: file.read_bytes().strip() for file in files}
    if not passwords or not all(passwords.values()):
        empty = ", ".join(name for name, password in passwords.items() if not password)
        raise Misconfigured(
            f"{directory}: " + (f"no password in {empty}" if passwords else "no file is called as a role")
        )
    how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
    client = kafka.admin(settings)
    wanted = [UserScramCredentialUpsertion(name, how, password) for name, password in passwords.items()]
    try:
        for future in client.alter_user_scram_credentials(wanted, request_timeout=TIMEOUT_S).values():
            future.result(TIMEOUT_S)
    except KafkaException as error:
        raise kafka_auth.failure(settings, error.args[0], "Alter", "kafka-cluster") from error
    return list(passwords)


def require(settings: KafkaSettings, role: str) -> None:
    """Looks, at a process's start, whether its login has what its role needs. Where nobody logs in, it has.

    Raises:
        Misconfigured: names each right that lacks.
        Retry: no answer.
    """
    if settings.security_protocol == "PLAINTEXT":
        return
    kafka.cluster(settings)
    wanted = rights.of(role, settings.catalog, settings.topic_prefix)
    lacking = [str(each) for each in sorted(wanted - _granted(settings, wanted))]
    if lacking:
        raise Misconfigured(
            f"Kafka does not grant {settings.user} what a {role} needs: {', '.join(lacking)}; "
            f"`rackstream acls --role {role} --apply` does, as an administrator"
        )


def _granted(settings: KafkaSettings, wanted: frozenset[Right]) -> set[Right]:
    """Those that are granted. What begins with a prefix is asked of the topics there are; of other groups, nothing."""
    client = kafka.admin(settings)
    names = [topic.name for topic in settings.catalog.topics.values()]
    allowed: dict[tuple[str, str], set[AclOperation] | None] = {}
    described = client.describe_topics(
        TopicCollection(names), include_authorized_operations=True, request_timeout=TIMEOUT_S
    )
    groups = [each.name for each in wanted if each.kind == "group" and not each.prefixed]
    asked = {("topic", name): future for name, future in described.items()}
    if groups:
        members = client.describe_consumer_groups(groups, include_authorized_operations=True, request_timeout=TIMEOUT_S)
        asked |= {("group", name): future for name, future in members.items()}
    for key, future in asked.items():
        try:
            operations = future.result(TIMEOUT_S).authorized_operations
            allowed[key] = None if operations is None else set(operations)
        except KafkaException as error:
            if error.args[0].code() in kafka_auth.DENIED:
                allowed[key] = set()
            elif error.args[0].retriable():
                raise kafka_auth.failure(settings, error.args[0], "Describe", key[1]) from error
            else:
                allowed[key] = None  # a topic or group that is not there: others say so
    return {each for each in wanted if all(_has(allowed.get(key), each) for key in _meant(each, names))}


def _meant(right: Right, names: Iterable[str]) -> list[tuple[str, str]]:
    if not right.prefixed:
        return [(right.kind, right.name)]
    return [("topic", name) for name in names if right.kind == "topic" and name.startswith(right.name)]


def _has(operations: set[AclOperation] | None, right: Right) -> bool:
    if operations is None or right.operation == "Create":  # of topics that are there, nobody is asked to create them
        return True
    return OPERATIONS[right.operation] in operations


def _binding(principal: str, right: Right) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL
    operation = OPERATIONS[right.operation]
    return AclBinding(KINDS[right.kind], right.name, pattern, principal, "*", operation, AclPermissionType.ALLOW)


def _text(binding: AclBinding) -> str:
    how = "" if binding.permission_type == AclPermissionType.ALLOW else f" ({binding.permission_type.name.lower()})"
    star = "*" if binding.resource_pattern_type == ResourcePatternType.PREFIXED else ""
    host = "" if binding.host == "*" else f" from {binding.host}"
    operation = "".join(word.capitalize() for word in binding.operation.name.split("_"))
    return f"{operation} on {binding.restype.name.lower()} {binding.name}{star}{host}{how}"
