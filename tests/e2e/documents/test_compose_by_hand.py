"""What Docker would do with compose/, by hand: load the file, build the images, start the processes, ask for health."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from rackstream.local import kafka_download, ports
from runtime import topics
from runtime.schema_registry import register
from runtime.settings import KafkaSettings
from tests.e2e.support.apicurio import registry
from tests.e2e.support.parts import until
from tests.e2e.support.secured import Cluster

pytestmark = pytest.mark.soak
ROOT = Path(__file__).resolve().parents[3]
COMPOSE = ROOT / "compose"
SERVICES = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
LOADER = "github.com/compose-spec/compose-go/v2/cmd@v2.16.2"
"""What `docker compose` reads its files with."""
TEXT = re.sub(r"^#.*\n", "", (COMPOSE / "Dockerfile").read_text(), flags=re.MULTILINE)
LINES = [line for line in re.sub(r"\\\n\s*", " ", TEXT).splitlines() if line]
EDGES = {
    "producer": {"requests", "psutil"},
    "processor": {"faust", "uvloop"},
    "sink": {"pyarrow", "influxdb_client_3", "duckdb"},
    "console": {"nicegui", "fastapi", "rich", "pyarrow", "duckdb", "uvloop"},  # uvicorn comes with it
}
"""Target of the Dockerfile → what is in that image, of all that any of them needs beside the common."""
Made = Callable[[str], "Image"]


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not here: the file is loaded by no other than PyYAML")
def test_docker_s_own_loader_takes_the_file_and_sees_what_we_see() -> None:
    done = subprocess.run(["go", "run", LOADER, "compose.yaml"], cwd=COMPOSE, capture_output=True, text=True)

    assert 0 == done.returncode, done.stderr
    loaded = yaml.safe_load(done.stdout)["services"]
    assert SERVICES.keys() == loaded.keys()
    for name, service in SERVICES.items():
        for key in ("image", "profiles", "command", "user"):
            assert service.get(key) == loaded[name].get(key), f"{name}: {key}"
        assert set(service.get("depends_on", {})) == set(loaded[name].get("depends_on", {}))
        variables = {key: str(value) for key, value in service.get("environment", {}).items()}
        assert variables.items() <= (loaded[name].get("environment") or {}).items()


def instructions(stage: str) -> list[tuple[str, str]]:
    """The instructions of one stage of the Dockerfile."""
    begin = next(at for at, line in enumerate(LINES) if line.startswith("FROM ") and line.endswith(f" AS {stage}"))
    end = next((at for at, line in enumerate(LINES) if at > begin and line.startswith("FROM ")), len(LINES))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in LINES[begin + 1 : end])]


class Image:
    """Runs a stage in a directory that stands for the image. System packages are the machine's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workdir = root / "src"
        self.workdir.mkdir(parents=True)
        self.environment = {
            "PATH": f"{root}/bin:/usr/bin:/bin",
            "HOME": str(root.parents[1]),  # pip keeps what it downloaded for the next image
            **{name: value for name, value in os.environ.items() if re.match("PIP_|SSL_|.*proxy", name)},
        }
        (root / "bin").mkdir()
        (root / "bin/python").symlink_to(Path(sys.base_prefix) / "bin/python3")

    @property
    def program(self) -> str:
        """The command."""
        return str(self.root / "opt/rackstream/bin/rackstream")

    def stage(self, name: str, others: Mapping[str, Image]) -> None:
        for word, rest in instructions(name):
            if word == "COPY":
                source, *sources, target = rest.split()
                if source.startswith("--from="):
                    other = others[source.removeprefix("--from=")]
                    shutil.copytree(other.inside(sources[0]), self.inside(target), symlinks=True)
                    continue
                for each in (source, *sources):
                    self._copy(ROOT / each, self.workdir / target)
            elif word == "RUN" and "apt-get" not in rest:
                self.run(re.sub(r"(?<= )/(?=opt/|dist|libvirt)|^/(?=opt/)", f"{self.root}/", rest))

    def inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _copy(self, source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)

    def run(self, command: str) -> str:
        done = subprocess.run(
            command, shell=True, cwd=self.workdir, env=self.environment, capture_output=True, text=True
        )
        assert 0 == done.returncode, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Builds the image of a target, each once."""
    built: dict[str, Image] = {}

    def build(stage: str) -> Image:
        if stage not in built:
            if stage != "wheel":
                build("wheel")
            found = Image(tmp_path_factory.mktemp(stage) / "root")
            found.stage(stage, built)
            shutil.rmtree(found.workdir)  # the image has no sources
            found.workdir.mkdir()
            built[stage] = found
        return built[stage]

    return lambda target: build(f"build-{target}")


def has_libvirt() -> bool:
    return bool(shutil.which("pkg-config")) and not subprocess.run(["pkg-config", "--exists", "libvirt"]).returncode


@pytest.mark.parametrize("target", EDGES)
def test_the_steps_of_the_dockerfile_give_a_working_command_and_only_what_its_edge_needs(
    target: str, image: Made
) -> None:
    if target == "producer" and not has_libvirt():
        pytest.skip("libvirt-python is not compiled without libvirt-dev")
    made = image(target)
    python = f"{made.root}/opt/rackstream/bin/python"

    assert "Stream processing of fleet telemetry" in made.run(f"{made.program} --help")
    records = "from schemas import catalog; print(len(catalog.load().topics))"
    assert int(made.run(f'{python} -c "{records}"')) > 10
    names = sorted(set.union(*EDGES.values()) | {"libvirt", "pip", "setuptools", "hatchling", "pytest"})
    look = f"import importlib.util as u, json; print(json.dumps([n for n in {names} if u.find_spec(n)]))"
    there = set(json.loads(made.run(f'{python} -c "{look}"')))
    assert EDGES[target] | ({"libvirt"} if target == "producer" else set()) == there & set(names) - {"setuptools"}
    if target == "producer":
        connect = "import libvirt; print(libvirt.open('test:///default').getType())"
        assert "TEST" == made.run(f'{python} -c "{connect}"').strip().upper()


def listens(port: int) -> bool:
    with socket.socket() as each:
        return each.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `create-secrets` writes."""
    place = tmp_path_factory.mktemp("secrets")
    subprocess.run([COMPOSE / "create-secrets", place], check=True, capture_output=True)
    return place


DECLARED = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["secrets"]


class Container:
    """A service's command, variables, secrets and health check, with addresses and paths of this machine."""

    def __init__(self, name: str, root: Path, image: Made, secrets: Path, addresses: Mapping[str, str]) -> None:
        """`addresses`: what stands in compose.yaml → what it is here."""
        self.service: dict[str, Any] = SERVICES[name]
        self.data = root / "data"
        for each in (self.data, root / "run/secrets"):
            each.mkdir(parents=True)
        for each in self.service.get("secrets", []):
            source, target = (each, each) if isinstance(each, str) else (each["source"], each["target"])
            path = root / "run/secrets" / target if "/" not in target else root / target.lstrip("/")
            path.parent.mkdir(exist_ok=True)
            shutil.copy(secrets / DECLARED[source]["file"].removeprefix("./secrets/"), path)
        metrics, console = str(ports.free_port()), str(ports.free_port())
        replaced = {
            **addresses,
            "/run/": f"{root}/run/",
            "http://influxdb:8181": f"http://127.0.0.1:{ports.free_port()}",
            "http://alertmanager:9093": f"http://127.0.0.1:{ports.free_port()}",
            "/etc/rackstream/fleet.yaml": str(COMPOSE / "host.yaml"),
            "/var/lib/rackstream": str(self.data),
            "0.0.0.0": "127.0.0.1",
            "9464": metrics,
        }

        def here(text: str) -> str:
            for old, new in replaced.items():
                if text.startswith(old):
                    return text.replace(old, new, 1)
            return text

        edge = self.service["build"]["target"]
        self.command = [image(edge).program, *map(here, self.service["command"])]
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not re.match("RACKSTREAM_|INFLUX_|KAFKA_|PYTHON", name)
            },
            **{name: here(str(value)) for name, value in self.service["environment"].items()},
            "RACKSTREAM_CONSOLE_PORT": console,
        }
        test = self.service["healthcheck"].get("test", [])[1:]
        self.health = [word.replace(":9464/", f":{metrics}/").replace(":8000/", f":{console}/") for word in test]
        if self.health:
            assert "python" == self.health[0]
            self.health[0] = sys.executable
        self.log = root / "log"

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(self.command, cwd=self.data, env=self.environment, stdout=log, stderr=log)

    def healthy(self) -> bool:
        return not subprocess.run(self.health, capture_output=True).returncode


def start_and_stop(container: Container) -> None:
    process = container.start()
    try:
        deadline = time.monotonic() + 90
        while not container.healthy():
            assert process.poll() is None, container.log.read_text()
            assert time.monotonic() < deadline, container.log.read_text()
        time.sleep(3)  # it goes on, and is told in the middle of its work
        assert container.healthy(), container.log.read_text()
        process.send_signal(signal.SIGTERM)

        # 143 is uvicorn's: it ends in order and then says which signal it was.
        grace_s = int(container.service["stop_grace_period"].removesuffix("s"))
        assert process.wait(grace_s) in {0, 143}, container.log.read_text()
    finally:
        process.kill()
        process.wait()


def simple(kafka: KafkaSettings) -> dict[str, str]:
    return {"kafka:19092": kafka.bootstrap, "localhost:9092": kafka.bootstrap}


@pytest.mark.kafka
@pytest.mark.parametrize("name", ["processor", "sink-files", "sink-influx", "console", "producer-host"])
def test_a_process_gets_healthy_and_ends_in_order_when_told_to(
    name: str, kafka: KafkaSettings, tmp_path: Path, image: Made, secrets: Path
) -> None:
    container = Container(name, tmp_path, image, secrets, simple(kafka))
    container.environment["RACKSTREAM_TOPIC_PREFIX"] = kafka.topic_prefix

    start_and_stop(container)


@pytest.mark.kafka
def test_topics_ends_by_itself(kafka: KafkaSettings, tmp_path: Path, image: Made, secrets: Path) -> None:
    container = Container("topics", tmp_path, image, secrets, simple(kafka))
    container.environment["RACKSTREAM_TOPIC_PREFIX"] = kafka.topic_prefix

    assert 0 == container.start().wait(60), container.log.read_text()


def of_registry(place: Path) -> dict[str, str]:
    """The variables of the schema registry, with a path of this machine."""
    variables = SERVICES["registry"]["environment"]
    [volume] = SERVICES["registry"]["volumes"]
    inside = volume.partition(":")[2]
    assert f":{inside}/" in variables["REGISTRY_DATASOURCE_URL"]
    return {name: value.replace(f":{inside}/", f":{place}/") for name, value in variables.items()}


def test_the_schema_registry_gets_healthy_and_knows_its_numbers_after_a_power_cut(tmp_path: Path) -> None:
    health = SERVICES["registry"]["healthcheck"]["test"][1:]
    found: list[list[int]] = []
    for _ in range(2):
        with registry(tmp_path, killed=True, **of_registry(tmp_path)) as url:
            settings = KafkaSettings(schema_registry=url, data_dir=tmp_path)
            here = [word.replace("/8080", f"/{urlsplit(url).port}") for word in health]
            assert 0 == subprocess.run(here).returncode
            names = ["one", "two", "three"]
            names = names if not found else names[::-1]
            ids = {name: register(settings, name, {"type": "record", "name": name, "fields": []}) for name in names}
            found.append([ids[each] for each in sorted(ids)])

    assert found[0] == found[1]
    assert 3 == len(set(found[0]))


SECURE = [name for name in SERVICES if name.startswith("secure-")]
JOBS = ("secure-rights", "secure-topics")


@pytest.mark.kafka
@pytest.mark.timeout(600)
def test_the_secure_profile_gives_each_process_what_it_needs(tmp_path: Path, image: Made, secrets: Path) -> None:
    """Three nodes, a schema registry, the jobs in their order, then each process as its own user."""
    with (
        Cluster(tmp_path / "kafka", secrets / "certificates", nodes=3) as cluster,
        registry(tmp_path / "registry", **of_registry(tmp_path / "registry")) as url,
    ):
        addresses = {
            "kafka-1:9092,kafka-2:9092,kafka-3:9092": cluster.address(),
            "kafka-1:9093,kafka-2:9093,kafka-3:9093": cluster.address("nodes"),
            "http://registry:8080/apis/ccompat/v7": url,
        }

        def container(name: str) -> Container:
            return Container(name, tmp_path / name, image, secrets, addresses)

        for name in JOBS:
            job = container(name)
            # As on-failure does: the users are on all nodes a moment after they are on the one that was asked.
            until(lambda job=job: job.start().wait(120) == 0, timeout_s=120)
            assert "error" not in job.log.read_text()
        for name in SECURE:
            if name not in (*JOBS, "secure-producer-redfish", "secure-producer-libvirt"):  # they need a fleet
                start_and_stop(container(name))


def test_kafka_starts_with_its_variables(tmp_path: Path) -> None:
    """The image makes KAFKA_A_B to a.b; ports and paths are this machine's."""
    variables = SERVICES["kafka"]["environment"]
    names = [variable for variable in variables if variable.startswith("KAFKA_") and variable != "KAFKA_HEAP_OPTS"]
    text = "".join(f"{name[6:].lower().replace('_', '.')}={variables[name]}\n" for name in names)
    inside, outside, controller = ports.free_port(), ports.free_port(), ports.free_port()
    for old, new in ((":19092", f":{inside}"), (":9092", f":{outside}"), (":9093", f":{controller}")):
        text = text.replace(old, new)
    (tmp_path / "server.properties").write_text(
        text.replace("/var/lib/kafka/data", "data").replace("://:", "://127.0.0.1:")
    )
    java = [kafka_download.find_java(), "-Xmx256m", "-cp", os.pathsep.join(map(str, kafka_download.ensure_jars(print)))]
    formats = ["kafka.tools.StorageTool", "format", "-c", "server.properties", "-t", variables["CLUSTER_ID"]]
    subprocess.run([*java, *formats], cwd=tmp_path, check=True, capture_output=True)

    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*java, "kafka.Kafka", "server.properties"], cwd=tmp_path, stdout=log, stderr=log)
    try:
        settings = KafkaSettings(bootstrap=f"localhost:{outside}", data_dir=tmp_path)
        deadline = time.monotonic() + 60
        while not listens(outside) or not listens(inside):
            assert process.poll() is None, (tmp_path / "log").read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert topics.create(settings)
        assert topics.verify(settings)
    finally:
        process.kill()
        process.wait()
