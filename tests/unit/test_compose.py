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

from processors.shell import ProcessorSettings
from producers import targets
from rackstream import jars
from rackstream.broker_dir import MAX_BATCH_BYTES, SERVER
from rackstream.cli import cli
from rackstream.console.settings import ConsoleSettings
from runtime.settings import SECRETS_DIR, KafkaSettings, ProcessSettings
from sinks.settings import FilesSettings, InfluxSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose"
FILE = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
SERVICES = FILE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
LASTING = {name: service for name, service in SERVICES.items() if name != "topics"}
SETTINGS = {
    "processor": [ProcessorSettings],
    "sink-files": [FilesSettings],
    "sink-influx": [InfluxSettings],
    "console": [ConsoleSettings],
}
"""What a service reads beside the settings of every process."""


def settings(name):
    return [KafkaSettings, ProcessSettings, *SETTINGS.get(name, [])]


def variables(name):
    found = {SECRETS_DIR}
    for each in settings(name):
        for field in each.model_fields.values():
            alias = field.validation_alias
            found |= set(alias.choices) if isinstance(alias, AliasChoices) else {alias}
    return found


def secrets(name):
    """File of a secret → its path in the container."""
    entries = [{"source": each} if isinstance(each, str) else each for each in SERVICES[name].get("secrets", [])]
    return {each["source"]: f"/run/secrets/{each.get('target', each['source'])}" for each in entries}


def of(names):
    return pytest.mark.parametrize("name", names)


def test_the_file_is_what_the_compose_specification_says():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, COMPOSE / "compose.yaml"], capture_output=True, text=True)

    assert 0 == done.returncode, done.stdout + done.stderr


@of(SERVICES)
def test_an_image_is_pinned(name):
    assert re.fullmatch(r"[a-z/-]+:\d+\.\d+\.\d+(-core)?", SERVICES[name]["image"])


@of(SERVICES)
def test_no_container_needs_root(name):
    user, _, _ = SERVICES[name]["user"].partition(":")

    assert 0 < int(user)
    assert ["ALL"] == SERVICES[name]["cap_drop"]
    assert ["no-new-privileges:true"] == SERVICES[name]["security_opt"]


@of(SERVICES)
def test_ports_are_published_on_loopback_only(name):
    assert [] == [each for each in SERVICES[name].get("ports", []) if not each.startswith("127.0.0.1:")]


@of(SERVICES)
def test_memory_processors_and_logs_are_limited(name):
    limits = SERVICES[name]["deploy"]["resources"]["limits"]

    assert {"cpus", "memory"} == limits.keys()
    assert {"max-size", "max-file"} == SERVICES[name]["logging"]["options"].keys()


@of(LASTING)
def test_what_lasts_is_started_again_and_has_a_health_check(name):
    assert "unless-stopped" == SERVICES[name]["restart"]
    assert "CMD" == SERVICES[name]["healthcheck"]["test"][0]


@of(SERVICES)
def test_a_service_belongs_to_a_profile_and_waits_only_for_services_there_are(name):
    assert SERVICES[name]["profiles"]
    assert set() == SERVICES[name].get("depends_on", {}).keys() - SERVICES.keys()


def test_volumes_are_declared_and_used_and_mounted_files_exist():
    entries = [each for service in SERVICES.values() for each in service.get("volumes", [])]
    mounts = [each.removesuffix(":ro").rpartition(":")[0] for each in entries]
    files = {each for each in mounts if each.startswith(".")}
    users = {each for each in mounts if each.startswith("$")}

    assert set(FILE["volumes"]) == set(mounts) - files - users
    assert [] == [each for each in files if not (COMPOSE / each).exists()]
    assert {"${RACKSTREAM_FLEET:-../fleet.yaml}"} == users, "README.md says which files users bring"


@of(OURS)
def test_a_command_is_one_of_ours(name):
    command, words = cli, list(OURS[name]["command"])
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]

    with command.make_context(name, words):
        pass


@of(OURS)
def test_each_variable_is_a_setting(name):
    assert set() == OURS[name]["environment"].keys() - variables(name)


@of(OURS)
def test_the_settings_are_valid(name, tmp_path, monkeypatch):
    for variable in variables(name):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in OURS[name]["environment"].items():
        monkeypatch.setenv(variable, str(value))
    for path in secrets(name).values():
        (tmp_path / Path(path).name).write_text("secret\n")
    if SECRETS_DIR in OURS[name]["environment"]:
        assert "/run/secrets" == OURS[name]["environment"][SECRETS_DIR]
        monkeypatch.setenv(SECRETS_DIR, str(tmp_path))
    monkeypatch.chdir(tmp_path)  # no .env

    assert all(each.read() for each in settings(name))


def test_the_machine_s_own_fleet_is_valid():
    assert ("host",) == targets.load(COMPOSE / "host.yaml").sources


def test_kafka_is_the_embedded_one_s_version():
    assert f"apache/kafka:{jars.VERSION}" == SERVICES["kafka"]["image"]


def test_kafka_is_configured_as_the_embedded_one_but_for_addresses_and_sizes_of_a_test_machine():
    text = SERVER.format(port=0, controller_port=0, max_bytes=MAX_BATCH_BYTES)
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
            {path.name: path.read_text() for path in place.iterdir()},
        ][1]
        for _ in range(2)
    )

    assert first == second
    assert {Path(each["file"]).name for each in FILE["secrets"].values()} == first.keys()
    assert re.fullmatch(r"apiv3_[\w-]{64}", first["influx-token"]), "no newline: it goes into a header as it is"
    assert {"token": first["influx-token"], "name": "_admin"} == json.loads(first["influx-admin.json"])
    assert 0o700 == stat.S_IMODE(place.stat().st_mode), "others of this machine stay out"
    assert {0o644} == {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()}, "each container has its own user"


@of(SERVICES)
def test_secrets_are_declared_and_never_in_the_environment(name):
    assert set() == secrets(name).keys() - FILE["secrets"].keys()
    assert [] == [
        variable
        for variable in SERVICES[name].get("environment", {})
        if re.search("TOKEN|PASSWORD", variable) and not variable.endswith("_FILE")
    ]


def mounted(name, inside):
    """The file of this repository that a container sees at a path."""
    for each in SERVICES[name]["volumes"]:
        outside, target, *_ = each.split(":")
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


def test_grafana_finds_the_dashboard():
    [provider] = yaml.safe_load((COMPOSE / "grafana/provisioning/dashboards/rackstream.yaml").read_text())["providers"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]

    assert mounted("grafana", provider["options"]["path"]).is_dir()
    assert mounted("grafana", home).is_file()


def test_readme_names_every_service_port_and_profile():
    text = (COMPOSE / "README.md").read_text()
    ports = {each.split(":")[1] for service in SERVICES.values() for each in service.get("ports", [])}
    profiles = {each for service in SERVICES.values() for each in service["profiles"]}

    assert [] == [word for word in [*SERVICES, *ports, *profiles] if f"`{word}`" not in text and f":{word}" not in text]
