"""compose/ keeps what our settings, commands and datasets promise. Offline: no Docker, nothing is started."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from pydantic import AliasChoices

from processors.engine.worker import ProcessorSettings
from producers.fleet import config as targets
from rackstream.access import roles
from rackstream.api.settings import ConsoleSettings
from rackstream.cli import cli
from rackstream.local import kafka_download
from rackstream.local.broker_dir import MAX_BATCH_BYTES, SERVER_PROPERTIES
from runtime.settings import SECRETS_DIR, KafkaSettings, ProcessSettings
from sinks.settings import FilesSettings, InfluxSettings, WebhookSettings
from tests.unit.support.folding import over

ROOT = Path(__file__).resolve().parents[3]
COMPOSE = ROOT / "compose"
FILE = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
SERVICES = FILE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
JOBS = ("topics", "secure-rights", "secure-topics")
LASTING = {name: service for name, service in SERVICES.items() if name not in JOBS}
NODES = ("kafka-1", "kafka-2", "kafka-3")
SETTINGS = {
    "processor": [ProcessorSettings],
    "sink-files": [FilesSettings],
    "sink-influx": [InfluxSettings],
    "sink-webhook": [WebhookSettings],
    "console": [ConsoleSettings],
}
"""What a service reads beside the settings of every process."""


def settings(name):
    return [KafkaSettings, ProcessSettings, *SETTINGS.get(name.removeprefix("secure-"), [])]


def variables(name):
    found = {SECRETS_DIR}
    for setting in settings(name):
        for field in setting.model_fields.values():
            alias = field.validation_alias
            found |= set(alias.choices) if isinstance(alias, AliasChoices) else {alias}
    return found


def secrets(name):
    """A secret → its path in the container."""
    entries = [{"source": each} if isinstance(each, str) else each for each in SERVICES[name].get("secrets", [])]
    root = Path("/run/secrets")  # a target that is absolute replaces it
    return {entry["source"]: str(root / entry.get("target", entry["source"])) for entry in entries}


def test_the_file_is_what_the_compose_specification_says():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, COMPOSE / "compose.yaml"], capture_output=True, text=True)

    assert 0 == done.returncode, done.stdout + done.stderr


@over(SERVICES)
def test_an_image_is_pinned(name):
    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+(-core|\.Final)?", SERVICES[name]["image"])


@over(SERVICES)
def test_no_container_needs_root(name):
    user, _, _ = SERVICES[name]["user"].partition(":")

    assert 0 < int(user)
    assert ["ALL"] == SERVICES[name]["cap_drop"]
    assert ["no-new-privileges:true"] == SERVICES[name]["security_opt"]


@over(SERVICES)
def test_ports_are_published_on_loopback_only(name):
    assert [] == [each for each in SERVICES[name].get("ports", []) if not each.startswith("127.0.0.")]


@over(SERVICES)
def test_memory_processors_and_logs_are_limited(name):
    limits = SERVICES[name]["deploy"]["resources"]["limits"]

    assert {"cpus", "memory"} == limits.keys()
    assert {"max-size", "max-file"} == SERVICES[name]["logging"]["options"].keys()


@over(LASTING)
def test_what_lasts_is_started_again_and_has_a_health_check(name):
    assert "unless-stopped" == SERVICES[name]["restart"]
    assert "CMD" == SERVICES[name]["healthcheck"]["test"][0]


@over(SERVICES)
def test_a_service_belongs_to_a_profile_and_waits_only_for_services_there_are(name):
    assert SERVICES[name]["profiles"]
    assert set() == SERVICES[name].get("depends_on", {}).keys() - SERVICES.keys()


def test_volumes_are_declared_and_used_and_mounted_files_exist():
    entries = [each for service in SERVICES.values() for each in service.get("volumes", [])]
    mounts = [entry.removesuffix(":ro").rpartition(":")[0] for entry in entries]
    files = {each for each in mounts if each.startswith(".")}
    users = {each for each in mounts if each.startswith("$")}

    assert set(FILE["volumes"]) == set(mounts) - files - users
    assert [] == [file for file in files if not (COMPOSE / file).exists()]
    assert [] == [service for service in SERVICES.values() if not (COMPOSE / service.get("env_file", "")).exists()]
    assert {"${RACKSTREAM_FLEET:-../fleet.yaml}"} == users, "README.md says which files users bring"


@over(OURS)
def test_a_command_is_one_of_ours(name, tmp_path):
    command, words = cli, [word.replace("/run/passwords", str(tmp_path)) for word in OURS[name]["command"]]
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]

    with command.make_context(name, words):
        pass


@over(OURS)
def test_each_variable_is_a_setting(name):
    assert set() == OURS[name]["environment"].keys() - variables(name)


@pytest.mark.parametrize("name", OURS)
def test_the_settings_are_valid(name, tmp_path, monkeypatch):
    for variable in variables(name):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in OURS[name]["environment"].items():
        monkeypatch.setenv(variable, str(value))
    for path in secrets(name).values():
        if path.startswith("/run/secrets/"):
            (tmp_path / Path(path).name).write_text("secret\n")
    if SECRETS_DIR in OURS[name]["environment"]:
        assert "/run/secrets" == OURS[name]["environment"][SECRETS_DIR]
        monkeypatch.setenv(SECRETS_DIR, str(tmp_path))
    monkeypatch.chdir(tmp_path)  # no .env

    assert all(setting.read() for setting in settings(name))


def test_the_machine_s_own_fleet_is_valid():
    assert ("host",) == targets.load(COMPOSE / "host.yaml").sources


@over(["kafka", *NODES])
def test_kafka_is_the_embedded_one_s_version(name):
    assert f"apache/kafka:{kafka_download.VERSION}" == SERVICES[name]["image"]


def test_kafka_is_configured_as_the_embedded_one_but_for_addresses_and_sizes_of_a_test_machine():
    text = SERVER_PROPERTIES.format(port=0, controller_port=0, max_bytes=MAX_BATCH_BYTES)
    embedded = dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))
    ours = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in SERVICES["kafka"]["environment"].items()
        if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"
    }
    place = {"listeners", "advertised.listeners", "listener.security.protocol.map", "log.dirs"}
    place |= {"node.id", "controller.quorum.voters"}

    assert {} == {name: value for name, value in ours.items() if name not in place and embedded.get(name) != value}


def test_secrets_are_written_once_and_kept(tmp_path):
    place = tmp_path / "secrets"
    first, second = (
        [
            subprocess.run([COMPOSE / "create-secrets", place], check=True, capture_output=True),
            {str(path.relative_to(place)): path.read_text() for path in place.rglob("*") if path.is_file()},
        ][1]
        for _ in range(2)
    )

    assert first == second
    beyond = {"certificates/ca-key.pem", "certificates/kafka-ca.srl"}  # what signs them is no container's
    assert {secret["file"].removeprefix("./secrets/") for secret in FILE["secrets"].values()} == first.keys() - beyond
    assert re.fullmatch(r"apiv3_[\w-]{64}", first["influx-token"]), "no newline: it goes into a header as it is"
    assert {"token": first["influx-token"], "name": "_admin"} == json.loads(first["influx-admin.json"])
    assert 0o700 == stat.S_IMODE(place.stat().st_mode), "others of this machine stay out"
    modes = {stat.S_IMODE((place / name).stat().st_mode) for name in first.keys() - beyond}
    assert {0o644} == modes, "each container has its own user"
    assert 0o600 == stat.S_IMODE((place / "certificates/ca-key.pem").stat().st_mode)


@over(SERVICES)
def test_secrets_are_declared_and_never_in_the_environment(name):
    assert set() == secrets(name).keys() - FILE["secrets"].keys()
    assert [] == [
        variable
        for variable in SERVICES[name].get("environment", {})
        if re.search("TOKEN|PASSWORD", variable) and not variable.endswith("_FILE")
    ]


def profile(name):
    """All that runs with a profile of compose.yaml."""
    return {each for each, service in SERVICES.items() if name in service["profiles"]}


@over(["simple", "secure"])
def test_what_a_service_waits_for_is_of_its_profiles(name):
    chosen = profile(name) | {
        service for service in SERVICES if name == "secure" and service.startswith("secure-producer-")
    }

    assert [] == [each for each in chosen if not SERVICES[each].get("depends_on", {}).keys() <= profile(name)]


def test_the_two_stacks_share_only_what_holds_no_login_to_kafka():
    assert {"influxdb", "grafana"} == profile("simple") & profile("secure")


@over([name for name in OURS if name.startswith("secure-") and name != "secure-rights"])
def test_each_process_logs_in_as_the_user_of_its_role(name):
    role = "admin" if name == "secure-topics" else name.removeprefix("secure-")
    environment = SERVICES[name]["environment"]

    assert role in roles.ROLES
    assert ("SASL_SSL", role) == (environment["KAFKA_SECURITY_PROTOCOL"], environment["KAFKA_SASL_USERNAME"])
    assert "/run/secrets/KAFKA_SASL_PASSWORD" == secrets(name)[f"password-{role}"]
    assert environment["KAFKA_SSL_CA_LOCATION"] == secrets(name)["kafka-ca.pem"]
    assert f"/run/passwords/{role}" == secrets("secure-rights")[f"password-{role}"], "it gets that password"
    assert 1 == sum(secret.startswith("password-") for secret in secrets(name)), "nobody else's"


@over([name for name in OURS if name.startswith("secure-") and name.removeprefix("secure-") in OURS])
def test_but_for_the_login_a_process_is_the_same_in_both_stacks(name):
    login = {"KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SECURITY_PROTOCOL", "KAFKA_SSL_CA_LOCATION", "KAFKA_SASL_USERNAME"}
    login |= {SECRETS_DIR, "RACKSTREAM_SCHEMA_REGISTRY_URL"}
    secure, simple = SERVICES[name], SERVICES[name.removeprefix("secure-")]
    differing = {"profiles", "environment", "secrets", "depends_on", "extra_hosts"}
    if name == "secure-topics":
        differing |= {"command"}

    def rest(service):
        return {key: value for key, value in service.items() if key not in differing}

    assert rest(simple) == rest(secure)
    assert {} == {
        key: value for key, value in secure["environment"].items() - simple["environment"].items() if key not in login
    }


def test_the_administrator_s_files_are_where_its_settings_say():
    environment, found = SERVICES["secure-rights"]["environment"], secrets("secure-rights")

    assert environment["KAFKA_SSL_CA_LOCATION"] == found["kafka-ca.pem"]
    assert {found["kafka-admin.pem"]} == {environment[f"KAFKA_SSL_{each}_LOCATION"] for each in ("CERTIFICATE", "KEY")}
    passwords = {Path(path).name for source, path in found.items() if source.startswith("password-")}
    assert passwords <= roles.ROLES.keys()
    assert {"/run/passwords"} == {str(Path(path).parent) for path in found.values() if Path(path).name in passwords}
    assert "/run/passwords" in SERVICES["secure-rights"]["command"]


@over(NODES)
def test_a_node_has_its_files_and_is_reached_where_it_says(name):
    number = name.removeprefix("kafka-")
    service = SERVICES[name]
    given = dict(
        line.split("=", 1) for line in (COMPOSE / service["env_file"]).read_text().splitlines() if line[0] != "#"
    )
    settings = (COMPOSE / "kafka/secure/server.properties").read_text()

    assert number == given["KAFKA_NODE_ID"]
    assert f"CLIENTS://{name}:9092,NODES://{name}:9093" == given["KAFKA_ADVERTISED_LISTENERS"]
    assert "CLIENTS://:9092,NODES://:9093,CONTROLLER://:9094" == given["KAFKA_LISTENERS"], "else the image makes them"
    assert "./kafka/secure/server.properties:/mnt/shared/config/server.properties:ro" in service["volumes"]
    for path in (secrets(name)[f"{name}.pem"], secrets(name)["kafka-ca.pem"]):
        assert f"store.location={path}\n" in settings
    [port] = service["ports"]
    assert f"127.0.0.{number}:9092:9092" == port
    assert f"{name}:127.0.0.{number}" in SERVICES["secure-producer-host"]["extra_hosts"]
    assert f"{name}:9092" in SERVICES["secure-processor"]["environment"]["KAFKA_BOOTSTRAP_SERVERS"]
    assert f":{9092:X} [0-9A-F]+:0000 0A " in service["healthcheck"]["test"], "what the kernel says of a listener"


def test_each_of_our_services_has_what_its_command_needs():
    targets_of = {"producer": "producer", "processor": "processor", "sink": "sink", "serve": "console"}
    found = {name: (service["command"][0], service["build"]["target"]) for name, service in OURS.items()}

    assert [] == [name for name, (command, target) in found.items() if targets_of.get(command, target) != target]


def mounted(name, inside):
    """The file of this repository that a container sees at a path."""
    for volume in SERVICES[name]["volumes"]:
        outside, target, *_ = volume.split(":")
        if inside.startswith(target):
            return COMPOSE / outside / inside.removeprefix(target).lstrip("/")
    raise AssertionError(inside)


def test_grafana_asks_the_database_that_the_sink_writes():
    [source] = yaml.safe_load((COMPOSE / "grafana/provisioning/datasources/influxdb.yaml").read_text())["datasources"]
    sink = SERVICES["sink-influx"]["environment"]

    assert sink["INFLUX_URL"] == source["url"]
    assert {sink["INFLUX_DB"]} == {source["database"], source["jsonData"]["dbName"]}
    assert f"$__file{{{secrets('grafana')['influx-token']}}}" == source["secureJsonData"]["token"]
    assert "/run/secrets/INFLUX_TOKEN" == secrets("sink-influx")["influx-token"]
    assert f"--admin-token-file={secrets('influxdb')['influx-admin.json']}" in SERVICES["influxdb"]["command"]


def test_alerts_go_to_alertmanager_which_has_our_routes():
    address = "alertmanager:9093"
    [group] = json.loads((COMPOSE / "prometheus/alertmanagers/compose.json").read_text())
    sink = SERVICES["secure-sink-webhook"]["environment"]

    assert [address] == group["targets"]
    assert (f"http://{address}", "alertmanager") == (sink["RACKSTREAM_WEBHOOK_URL"], sink["RACKSTREAM_WEBHOOK_KIND"])
    for name in ("prometheus", "alertmanager"):
        [config] = [each for each in SERVICES[name]["command"] if each.startswith("--config.file=")]
        assert mounted(name, config.removeprefix("--config.file=")).is_file()


def test_grafana_finds_the_dashboard():
    [provider] = yaml.safe_load((COMPOSE / "grafana/provisioning/dashboards/rackstream.yaml").read_text())["providers"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert mounted("grafana", provider["options"]["path"]).is_dir()
    assert mounted("grafana", home).is_file()


def test_readme_names_every_service_port_and_profile():
    text = (COMPOSE / "README.md").read_text()
    ports = {each.split(":")[-2] for service in SERVICES.values() for each in service.get("ports", [])}
    profiles = {each for service in SERVICES.values() for each in service["profiles"]}

    assert [] == [word for word in [*SERVICES, *ports, *profiles] if f"`{word}`" not in text and f":{word}" not in text]
