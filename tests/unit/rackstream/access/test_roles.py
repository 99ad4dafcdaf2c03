"""The rights of each role: enough for what the code does, and nothing beyond."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from rackstream.access import docs, roles
from rackstream.access.acls import OPERATIONS, RESOURCE_TYPES, kafka_acls_commands
from rackstream.access.roles import Acl
from rackstream.commands.acls import acls
from rackstream.local.broker_dir import MAX_BATCH_BYTES, SERVER_PROPERTIES
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from schemas import catalog
from sinks.files.archive_sink import ArchiveSink
from sinks.files.sink import FilesSink
from sinks.influx.sink import InfluxSink
from sinks.registry import SINKS
from sinks.webhook.sink import WebhookSink
from tests.e2e.support.secured import HERE, of_node, properties

TOPICS = catalog.load()
ROLES = {role: roles.acls_of(role, TOPICS) for role in roles.ROLES}


def names(role, operation, kind="topic"):
    return {each.name for each in ROLES[role] if (each.operation, each.resource_type) == (operation, kind)}


@pytest.mark.parametrize("alias", TOPICS.topics)
def test_each_topic_is_written_and_read_by_some_role(alias):
    name = TOPICS[alias].name

    assert [role for role in ROLES if name in names(role, "Write")], (
        f"{name}: who writes it? see rackstream/access/roles.py"
    )
    assert [role for role in ROLES if name in names(role, "Read")], (
        f"{name}: who reads it? see rackstream/access/roles.py"
    )


@pytest.mark.parametrize(
    ("kind", "sink"), [("files", FilesSink), ("influx", InfluxSink), ("archive", ArchiveSink), ("webhook", WebhookSink)]
)
def test_a_sink_reads_its_topics_in_its_group_and_writes_dead_letters_alone(kind, sink):
    role = f"sink-{kind}"

    assert {TOPICS[alias].name for alias in sink.topics} <= names(role, "Read")
    assert {SINKS[kind].group()} == names(role, "Read", "group")
    assert {"fleet.dead-letter"} == names(role, "Write")


def test_the_administrator_alone_writes_schemas():
    assert ["admin"] == [role for role in ROLES if "fleet.schemas" in names(role, "Write")]


@pytest.mark.parametrize("source", ["host", "libvirt", "redfish"])
def test_a_producer_writes_the_raw_topic_of_its_source_alone(source):
    raw = {name for name in names(f"producer-{source}", "Write") if name.startswith("fleet.raw.")}

    assert {f"fleet.raw.{source}"} == raw
    group = set() if source == "host" else {f"rackstream-producers-{source}"}
    assert group == names(f"producer-{source}", "Read", "group"), "that of `--shared`"


def test_only_an_admin_makes_topics_and_only_a_replay_deletes_its_own():
    assert {"admin", "replay"} == {role for role in ROLES if names(role, "Create")}
    assert {"replay": {"fleet.replay."}} == {role: names(role, "Delete") for role in ROLES if names(role, "Delete")}


def test_no_role_writes_what_begins_with_the_prefix_alone():
    wide = [(role, each) for role, found in ROLES.items() for each in found if each.prefixed and each.name == "fleet."]

    assert {"Read", "Describe", "Create", "DescribeConfigs"} == {each.operation for _, each in wide}
    assert {"subscriber", "operator", "replay"} == {role for role, each in wide if each.operation == "Read"}


def test_every_group_in_the_code_may_be_named_by_who_reads_everything():
    root = Path(roles.__file__).parents[2]
    text = "".join(path.read_text() for path in root.glob("[prs]*/**/*.py"))
    found = set(re.findall(r'kafka\.create_consumer\(\w+(?:\.\w+)*, "([^"]+)"', text))

    assert found
    assert [] == [group for group in found if not group.startswith(roles.GROUP_PREFIX)]


def test_another_prefix_is_another_set_of_names():
    found = roles.acls_of("sink-files", catalog.load("lab."), "lab.")

    assert set() == {each for each in found if each.resource_type == "topic" and not each.name.startswith("lab.")}


def test_commands_name_each_right_once():
    wanted = {Acl("topic", "a", "Read"), Acl("topic", "b", "Read"), Acl("topic", "p.", "Write", prefixed=True)}
    first, second = sorted(kafka_acls_commands("User:x", wanted), key=len)

    assert first.endswith("--allow-principal 'User:x' --operation Read --topic a --topic b")
    assert second.endswith("--operation Write --resource-pattern-type prefixed --topic p.")


def test_every_operation_and_kind_has_its_number():
    everything = set().union(*ROLES.values())

    assert {each.operation for each in everything} <= OPERATIONS.keys()
    assert {each.resource_type for each in everything} <= RESOURCE_TYPES.keys()


def test_passwords_without_apply_are_refused(tmp_path):
    done = CliRunner().invoke(acls, ["--passwords", str(tmp_path)])

    assert (2, True) == (done.exit_code, "--apply" in done.output)


def test_the_page_is_made_of_the_table():
    assert docs.generated_files() == {docs.PAGE: docs.PAGE.read_text()}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"security_protocol": "SASL_SSL"}, "KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: not set"),
        ({"security_protocol": "SASL_SSL", "sasl_username": "x", "sasl_password": ""}, "KAFKA_SASL_PASSWORD: not set"),
        ({"security_protocol": "SSL", "ssl_certificate": "x.pem"}, "KAFKA_SSL_KEY_LOCATION: not set"),
        ({"sasl_mechanism": "GSSAPI"}, "sasl_mechanism: Input should be"),
        (
            {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "sasl_username": "x",
             "sasl_password": "y"},
            "would send the password unencrypted",
        ),
    ],
    ids=["no user", "an empty password", "a certificate without its key", "an unknown mechanism", "PLAIN in the clear"],
)  # fmt: skip
def test_a_login_that_cannot_be_is_named_before_anyone_is_asked(values, said):
    with pytest.raises(Misconfigured) as caught:
        KafkaSettings.read(bootstrap="nowhere:1", **values)

    assert said in str(caught.value)


def test_what_the_secure_nodes_share_with_the_embedded_one_is_the_same():
    text = SERVER_PROPERTIES.format(port=0, controller_port=0, max_bytes=MAX_BATCH_BYTES)
    embedded = properties(text)
    shared = (HERE / "server.properties").read_text().partition("a test compares the two.\n")[2]

    assert properties(shared).items() <= embedded.items()


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_secure_node_has_its_own_number_and_addresses_and_needs_a_login_at_every_port(number):
    node = of_node(number)

    assert str(number) == node["node.id"]
    assert f"CLIENTS://kafka-{number}:9092,NODES://kafka-{number}:9093" == node["advertised.listeners"]
    assert f"{number}@kafka-{number}:9094" in node["controller.quorum.voters"]
    assert "CLIENTS:SASL_SSL,NODES:SSL,CONTROLLER:SSL" == node["listener.security.protocol.map"]
    assert "required" == node["ssl.client.auth"]
    assert "false" == node["allow.everyone.if.no.acl.found"]
