"""Every process on a real Kafka with SASL_SSL and ACLs, with the rights of its role and no others."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBindingFilter,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from producers.app import EventType, TelemetryCollector
from producers.app.kafka import KafkaStorage
from rackstream.access import acls
from rackstream.access import roles as rights
from rackstream.local import ports
from rackstream.local.supervisor import PipelinePart
from rackstream.simulators.redfish import RedfishSimulator
from runtime import kafka, topics
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from schemas import catalog, codec
from tests.e2e.support.parts import records, running, until
from tests.e2e.support.receiver import Receiver
from tests.e2e.support.secured import Cluster, certificates

pytestmark = pytest.mark.kafka
KEY_PASSWORD = "opens the key"
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
FLEET = """
host: {{interval: 1, targets: [{{host: me}}]}}
libvirt: {{interval: 1, targets: [{{host: kvm-1, uri: "test:///default"}}]}}
redfish: {{interval: 2, targets: [{{host: node-1, address: "{address}", username: monitor, password: "env:BMC"}}]}}
"""
COMMANDS = {
    "processor": ("processor",),
    "sink-files": ("sink", "files"),
    "sink-archive": ("sink", "archive"),
    "sink-webhook": ("sink", "webhook"),
    "producer-host": ("producer", "host"),
    "producer-libvirt": ("producer", "libvirt"),
    "producer-redfish": ("producer", "redfish"),
}
"""Of each role that is a process that gets ready, in the order of starting."""


class Secured:
    """One node, the users of all roles, the topics."""

    def __init__(self, cluster: Cluster, place: Path) -> None:
        self.cluster, self.place = cluster, place
        self.passwords = place / "passwords"
        self.passwords.mkdir()
        for role in rights.ROLES:
            (self.passwords / role).write_text(f"{role} may come in\n")
        self.admin = AdminClient(kafka.client_config(cluster.settings(), "test"))

    def environment(self, role: str, **more: str) -> dict[str, str]:
        """How the process of a role finds its way in: its password is a file, as in a container."""
        secrets = self.place / "secrets" / role
        secrets.mkdir(parents=True, exist_ok=True)
        (secrets / "KAFKA_SASL_PASSWORD").write_text((self.passwords / role).read_text())
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.cluster.address(),
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": role,
            "KAFKA_SSL_CA_LOCATION": str(self.cluster.secrets / "kafka-ca.pem"),
            "RACKSTREAM_SECRETS_DIR": str(secrets),
            "RACKSTREAM_DATA_DIR": str(self.place / "data"),
            "RACKSTREAM_PARTITIONS": "1",
            "RACKSTREAM_FILES_MAX_SEC": "1",
            "RACKSTREAM_ARCHIVE_MAX_SEC": "1",
        } | more

    def with_certificate(self, name: str, key_password: str = "") -> dict[str, str]:
        """The same for one who has a certificate and no password."""
        own = str(self.cluster.secrets / f"{name}.pem")
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.cluster.address("nodes"),
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CERTIFICATE_LOCATION": own,
            "KAFKA_SSL_KEY_LOCATION": own,
        } | ({"KAFKA_SSL_KEY_PASSWORD": key_password} if key_password else {})

    def settings(self, role: str) -> KafkaSettings:
        """The same, for a client in this process."""
        return self.cluster.settings(
            bootstrap=self.cluster.address(), security_protocol="SASL_SSL", ssl_certificate=None, ssl_key=None,
            sasl_username=role, sasl_password=(self.passwords / role).read_text().strip(),
            data_dir=self.place / f"data-{role}",
        )  # fmt: skip

    def run(self, role: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """One command."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "RACKSTREAM_"))}
        return subprocess.run(
            [sys.executable, "-m", "rackstream", *arguments], env=environment | self.environment(role, **more),
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def part(self, role: str, *arguments: str, **more: str) -> PipelinePart:
        """One process."""
        command = [sys.executable, "-m", "rackstream", *(arguments or COMMANDS[role])]
        if role.startswith("producer-"):
            command += ["--fleet", str(self.place / "fleet.yaml"), "--name", role]
        log = self.place / "logs" / f"{role}-{time.monotonic_ns()}.log"
        return PipelinePart(role, command, log, self.environment(role, BMC="secret", **more), ready_timeout_s=60)

    def take_away(self, role: str, right: rights.Acl) -> None:
        """One right less."""
        how = ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL
        meant = AclBindingFilter(
            acls.RESOURCE_TYPES[right.resource_type], right.name, how, f"User:{role}", None,
            acls.OPERATIONS[right.operation], AclPermissionType.ANY,
        )  # fmt: skip
        [gone] = self.admin.delete_acls([meant])[meant].result(30)
        assert gone.name == right.name

    def give_back(self) -> None:
        """What the roles need, again."""
        assert self.run("admin", "acls", "--apply", **self.with_certificate("kafka-admin")).returncode == 0

    def set_password(self, role: str, password: str, how: ScramMechanism = ScramMechanism.SCRAM_SHA_512) -> None:
        """On Kafka; what the process has of it stays."""
        wanted = UserScramCredentialUpsertion(role, ScramCredentialInfo(how, 4096), password.encode())
        self.admin.alter_user_scram_credentials([wanted])[role].result(30)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    place = tmp_path_factory.mktemp("secured")
    secrets = certificates(place / "certificates", "processor", "subscriber")
    own = secrets / "subscriber.pem"
    encrypted = subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", own, "-v2", "aes-256-cbc", "-passout", f"pass:{KEY_PASSWORD}"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    own.write_text(encrypted.stdout + own.read_text().partition("-----END PRIVATE KEY-----\n")[2])
    extra = {
        "sasl__enabled__mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN",
        "listener__name__clients__plain__sasl__jaas__config": f'{PLAIN} user_subscriber="subscriber may come in";',
    }
    with Cluster(place / "kafka", secrets, **extra) as cluster:
        found = Secured(cluster, place)
        done = found.run(
            "admin", "acls", "--apply", "--passwords", str(found.passwords), **found.with_certificate("kafka-admin")
        )
        assert done.returncode == 0, done.stderr
        done = found.run("admin", "topics", "--create")
        assert done.returncode == 0, done.stderr
        yield found


@pytest.fixture(scope="module", autouse=True)
def fleet(secured: Secured) -> Iterator[None]:
    with RedfishSimulator(1, username="monitor", password="secret", heat_period_s=12) as simulator:
        (secured.place / "fleet.yaml").write_text(FLEET.format(address=simulator.urls[0]))
        yield


def rows(secured: Secured, dataset: str) -> list[Path]:
    return list((secured.place / "data" / "files" / dataset).rglob("*.parquet"))


def log_of(part: PipelinePart, since: int = 0) -> list[str]:
    return part.log.read_text().splitlines()[since:]


def test_data_flows_end_to_end_though_each_process_has_its_roles_rights_only(secured: Secured) -> None:
    port = ports.free_port()
    with Receiver() as receiver:
        parts = [
            secured.part(role, RACKSTREAM_WEBHOOK_URL=receiver.url) if role == "sink-webhook" else secured.part(role)
            for role in COMMANDS
        ]
        console = secured.part("console", "serve", "--port", str(port))
        with running(*parts) as supervisor:
            supervisor.start(console, wait=False)
            telemetry = TelemetryCollector(storage=KafkaStorage("shop", settings=secured.settings("producer-app")))
            telemetry.collect_event("shop", "order placed", EventType.INFO, {})
            telemetry.flush()
            datasets = (
                "host",
                "vm_totals",
                "redfish_temperature",
                "app_event",
                "host_rates",
                "vm_device_rates",
                "alert",
            )
            until(lambda: all(rows(secured, dataset) for dataset in datasets), tend=supervisor.run_periodic)
            until(receiver.alerts, tend=supervisor.run_periodic)
            until(lambda: list((secured.place / "data" / "archive").rglob("*.avro")), tend=supervisor.run_periodic)
            tail = secured.run("subscriber", "tail", "fleet.derived.vm-totals", "--no-follow", "--json", "-n", "1")
            subjects = until(lambda: served(port), tend=supervisor.run_periodic)
            assert {"ready"} == {each.state for each in parts}, [each.log_tail() for each in parts]

    assert 0 == tail.returncode, tail.stderr
    assert "test" == json.loads(tail.stdout.splitlines()[0])["vms"][0]["name"]
    assert "fleet.raw.host-value" in subjects
    assert [] == records(secured.settings("operator"), "dead-letter")
    telling = [line for each in parts for line in log_of(each) if "Kafka denies" in line or "refuses" in line]
    assert [] == telling


def served(port: int) -> list[str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/subjects", timeout=5) as answer:
            return json.load(answer)
    except OSError:
        return []


@contextlib.contextmanager
def other_passwords(secured: Secured, roles: Sequence[str]) -> Iterator[None]:
    try:
        yield
    finally:
        for role in roles:
            secured.set_password(role, f"{role} may come in")


@pytest.mark.soak
def test_a_password_changed_while_they_run_is_one_line_of_each_and_they_go_on_when_it_is_right(
    secured: Secured,
) -> None:
    roles = ("processor", "sink-files", "producer-host")
    parts = {role: secured.part(role) for role in roles}
    with other_passwords(secured, roles), running(*parts.values()) as supervisor:
        # What a worker rebuilds a partition with, it asks Kafka for.
        rebuilt = r"partition restored .*topic=fleet\.raw\.host"
        until(lambda: re.search(rebuilt, parts["processor"].log.read_text()), tend=supervisor.run_periodic)
        for role in roles:
            secured.set_password(role, "another")
        secured.cluster.kill(1)
        secured.cluster.start(1)
        told = "kafka refuses the login, retrying"
        until(lambda: all(told in each.log.read_text() for each in parts.values()), tend=supervisor.run_periodic)
        seen = {role: len(log_of(each)) for role, each in parts.items()}
        until_s = time.monotonic() + 4
        until(lambda: time.monotonic() > until_s, tend=supervisor.run_periodic)
        assert {role: [] for role in roles} == {role: log_of(each, seen[role]) for role, each in parts.items()}
        for role in roles:
            secured.set_password(role, f"{role} may come in")
        before = len(records(secured.settings("subscriber"), "host-rates"))
        until(
            lambda: len(records(secured.settings("subscriber"), "host-rates")) > before + 1,
            tend=supervisor.run_periodic,
        )
        assert dict.fromkeys(roles, 1) == {role: each.starts for role, each in parts.items()}

    for each in parts.values():
        assert 1 == each.log.read_text().count(told)
        assert f"refuses the login of {each.name}" in each.log.read_text()
        assert "Traceback" not in each.log.read_text()


LACKING = {
    "processor": rights.Acl("topic", "fleet.raw.host", "Read"),
    "sink-files": rights.Acl("group", "rackstream-files", "Read"),
    "sink-archive": rights.Acl("topic", "fleet.raw.host", "Read"),
}


def test_a_right_taken_from_a_running_process_ends_it_and_its_last_line_says_which(secured: Secured) -> None:
    parts = {role: secured.part(role) for role in LACKING}
    producer = secured.part("producer-host")
    try:
        with running(*parts.values(), producer) as supervisor:
            for role, right in LACKING.items():
                secured.take_away(role, right)
            secured.take_away("producer-host", rights.Acl("topic", "fleet.raw.host", "Write"))
            until(lambda: {"failed"} == {each.state for each in parts.values()}, tend=supervisor.run_periodic)
            until(lambda: "Kafka denies writing records" in producer.log.read_text(), tend=supervisor.run_periodic)
    finally:
        secured.give_back()

    for role, right in LACKING.items():
        assert f"Kafka denies {role} {right}:" in parts[role].log_tail(1)
        assert "Traceback" not in parts[role].log.read_text()
    assert 1 == producer.log.read_text().count("Kafka denies producer-host Write on topic fleet.raw.host:")


@pytest.mark.parametrize(
    ("role", "right", "command"),
    [
        ("producer-host", rights.Acl("topic", "fleet.raw.host", "Write"), ("producer", "host")),
        ("processor", rights.Acl("topic", "fleet.dead-letter", "Write"), ("processor",)),
        ("processor", rights.Acl("group", "rackstream-processors", "Read"), ("processor",)),
        ("sink-files", rights.Acl("topic", "fleet.", "Describe", prefixed=True), ("sink", "files")),
        (
            "subscriber",
            rights.Acl("topic", "fleet.", "Read", prefixed=True),
            ("tail", "fleet.raw.host", "--no-follow"),
        ),
    ],
    ids=str,
)
def test_a_process_that_starts_without_a_right_names_it_in_one_line(
    secured: Secured, role: str, right: rights.Acl, command: tuple[str, ...]
) -> None:
    secured.take_away(role, right)
    more = ("--fleet", str(secured.place / "fleet.yaml")) if command[0] == "producer" else ()
    done = secured.run(role, *command, *more)
    check = secured.run("admin", "acls", "--check", **secured.with_certificate("kafka-admin"))
    secured.give_back()

    # Of a prefix, the first topic is named that is not readable.
    named = str(right).removesuffix("fleet.*") if right.operation == "Read" else str(right)
    assert (2, 1) == (done.returncode, len(done.stderr.splitlines())), done.stderr
    assert named in done.stderr
    assert (1, f"User:{role} lacks {right}\n") == (check.returncode, check.stdout)


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "password": ({"KAFKA_SASL_PASSWORD": "guessed"}, "refuses the login of {role}: Authentication failed"),
    "user": ({"KAFKA_SASL_USERNAME": "nobody"}, "refuses the login of nobody: Authentication failed"),
    "certificate authority": ({"KAFKA_SSL_CA_LOCATION": "{other}"}, "unable to get local issuer certificate"),
    "name": ({"KAFKA_BOOTSTRAP_SERVERS": "{numbers}"}, "certificate is not valid for '127.0.0.1'"),
    "file": ({"KAFKA_SSL_CA_LOCATION": "/nowhere.pem"}, "No such file or directory: '/nowhere.pem'"),
}


@pytest.mark.parametrize(
    ("role", "wrong"),
    [
        *(("processor", each) for each in ("password", "certificate authority", "name")),
        *(("subscriber", each) for each in WRONG),
        ("producer-host", "password"),
        ("sink-files", "password"),
    ],
)
def test_a_wrong_login_is_one_clear_line_and_not_tried_again(secured: Secured, role: str, wrong: str) -> None:
    other = secured.place / "other" / "kafka-ca.pem"
    if not other.exists():
        certificates(other.parent)
    values, said = WRONG[wrong]
    numbers = secured.cluster.address().replace("localhost", "127.0.0.1")
    changed = {name: value.format(other=other, numbers=numbers) for name, value in values.items()}
    command = COMMANDS.get(role, ("topics",))
    more = ("--fleet", str(secured.place / "fleet.yaml")) if command[0] == "producer" else ()

    done = secured.run(role, *command, *more, **changed)

    assert (2, 1) == (done.returncode, len(done.stderr.splitlines())), done.stderr
    assert said.format(role=role) in done.stderr
    assert "guessed" not in done.stderr


@pytest.mark.parametrize("mechanism", [pytest.param("SCRAM-SHA-256", marks=pytest.mark.soak), "PLAIN"])
def test_other_ways_to_prove_a_password_work_too(secured: Secured, mechanism: str) -> None:
    secured.set_password("subscriber", "subscriber may come in", ScramMechanism.SCRAM_SHA_256)

    done = secured.run("subscriber", "topics", "--json", KAFKA_SASL_MECHANISM=mechanism)

    assert 0 == done.returncode, done.stderr


def test_a_certificate_is_a_login_for_clients_and_for_the_processors(secured: Secured) -> None:
    part = secured.part("processor", **secured.with_certificate("processor"))
    with running(part):
        done = secured.run("subscriber", "topics", **secured.with_certificate("subscriber", KEY_PASSWORD))
        shut = secured.run("subscriber", "topics", **secured.with_certificate("subscriber", "wrong"))

    assert 0 == done.returncode, done.stderr
    assert (2, 1) == (shut.returncode, len(shut.stderr.splitlines())), shut.stderr
    assert "KAFKA_SSL_KEY_PASSWORD" in shut.stderr


def test_what_nobody_needs_is_told(secured: Secured) -> None:
    settings = secured.cluster.settings()
    extra = rights.Acl("topic", "fleet.rules", "Write")
    acls.create(settings, {"User:sink-files": [extra]})
    done = secured.run("admin", "acls", "--check", "--role", "sink-files", **secured.with_certificate("kafka-admin"))
    secured.take_away("sink-files", extra)

    assert (1, f"User:sink-files has {extra}, which its role does not need\n") == (done.returncode, done.stdout)


def test_a_replay_writes_its_own_topics_and_no_live_one(secured: Secured) -> None:
    wanted = rights.acls_of("replay", secured.settings("replay").catalog)
    written = {each.name for each in wanted if each.operation in ("Write", "Create", "Delete")}

    done = secured.run("replay", "replay", "--from", "-1h", "--to", "now", "--into", "topic", "--id", "trial", "--raw")

    assert {"fleet.replay."} == written
    assert 0 == done.returncode, done.stderr


def test_who_may_not_write_schemas_starts_without_and_cannot_write_ids_that_nobody_knows(secured: Secured) -> None:
    settings = secured.settings("sink-files").model_copy(update={"data_dir": secured.place})
    schema = catalog.schema("DeadLetter")
    publisher = kafka.KafkaPublisher(secured.cluster.settings(), "test")
    publisher.send(settings.catalog["schemas"].name, str(schema.id).encode(), None)
    assert 0 == publisher.flush(30)

    topics.publish_schemas(settings, ("DeadLetter",))
    assert schema.id not in topics.published_schemas(settings), "the role may not write it"
    codec.use_registry_ids({schema.id: 77})
    try:
        with pytest.raises(Misconfigured, match="topics --create` as the administrator"):
            topics.publish_schemas(settings, ("DeadLetter",))
    finally:
        codec.use_registry_ids({schema.id: schema.id})
    topics.publish_schemas(secured.settings("admin"), ("DeadLetter",))
    assert schema.id in topics.published_schemas(settings)
