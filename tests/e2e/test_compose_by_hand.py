"""What Docker would do with compose/, by hand: load the file, build the image, start the processes, ask for health."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from rackstream import jars
from runtime import topics
from runtime.settings import KafkaSettings

pytestmark = pytest.mark.soak
ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose"
SERVICES = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
LOADER = "github.com/compose-spec/compose-go/v2/cmd@v2.16.2"
"""What `docker compose` reads its files with."""


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not here: the file is loaded by no other than PyYAML")
def test_docker_s_own_loader_takes_the_file() -> None:
    done = subprocess.run(["go", "run", LOADER, "compose.yaml"], cwd=COMPOSE, capture_output=True, text=True)

    assert 0 == done.returncode, done.stderr
    assert SERVICES.keys() == yaml.safe_load(done.stdout)["services"].keys()


def instructions(stage: str) -> list[tuple[str, str]]:
    """The instructions of one stage of the Dockerfile."""
    text = re.sub(r"^#.*\n", "", (COMPOSE / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line]
    begin = next(at for at, line in enumerate(lines) if line.startswith("FROM ") and line.endswith(f" AS {stage}"))
    end = next((at for at, line in enumerate(lines) if at > begin and line.startswith("FROM ")), len(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines[begin + 1 : end])]


class Build:
    """Runs a stage in a directory that stands for the image. System packages are the machine's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / "opt/rackstream"
        self.workdir = root / "src"
        self.workdir.mkdir()
        self.environment = {
            "PATH": f"{self.venv}/bin:{root}/bin:/usr/bin:/bin",
            "HOME": str(root),
            **{name: value for name, value in os.environ.items() if re.match("PIP_|SSL_|.*proxy", name)},
        }
        (root / "bin").mkdir()
        (root / "bin/python").symlink_to(Path(sys.base_prefix) / "bin/python3")

    def stage(self, name: str) -> None:
        for word, rest in instructions(name):
            if word == "ENV":
                self.environment |= dict(each.split("=", 1) for each in rest.split())
            elif word == "COPY":
                *sources, target = rest.split()
                for source in sources:
                    self._copy(ROOT / source, self.workdir / target)
            elif word == "RUN" and "apt-get" not in rest:
                self.run(rest.replace("/opt/rackstream", str(self.venv)), self.workdir)

    def _copy(self, source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)

    def run(self, command: str, where: Path) -> str:
        done = subprocess.run(command, shell=True, cwd=where, env=self.environment, capture_output=True, text=True)
        assert 0 == done.returncode, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def test_the_steps_of_the_dockerfile_give_a_working_command(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    build = Build(tmp_path)

    build.stage("build")
    shutil.rmtree(build.workdir / "schemas")  # the image has the sources no more

    assert "Stream processing of fleet telemetry" in build.run("rackstream --help", elsewhere)
    records = "from schemas import catalog; print(len(catalog.load().topics))"
    assert int(build.run(f'python -c "{records}"', elsewhere)) > 10
    steps = "from processors.mounts import mounted; print(len(mounted()))"
    assert int(build.run(f'python -c "{steps}"', elsewhere)) > 0
    if shutil.which("pkg-config") and not subprocess.run(["pkg-config", "--exists", "libvirt"]).returncode:
        build.stage("build-producer")
        connect = "import libvirt; print(libvirt.open('test:///default').getType())"
        assert "TEST" == build.run(f'python -c "{connect}"', elsewhere).strip().upper()


def free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return int(each.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as each:
        return each.connect_ex(("127.0.0.1", port)) == 0


class Container:
    """A service's command, variables and health check, with addresses and paths of this machine."""

    def __init__(self, name: str, kafka: KafkaSettings, root: Path) -> None:
        service = SERVICES[name]
        data, secrets = root / "data", root / "secrets"
        for each in (data, secrets):
            each.mkdir()
        (secrets / "INFLUX_TOKEN").write_text("apiv3_secret\n")
        metrics, console = str(free_port()), str(free_port())
        replaced = {
            "9464": metrics,
            "8000": console,
            "/etc/rackstream/fleet.yaml": str(COMPOSE / "host.yaml"),
        }
        self.command = [replaced.get(word, word) for word in service["command"]]
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RACKSTREAM_", "INFLUX_"))},
            **service["environment"],
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "RACKSTREAM_TOPIC_PREFIX": kafka.topic_prefix,
            "RACKSTREAM_DATA_DIR": str(data),
            "RACKSTREAM_METRICS_PORT": metrics,
            "RACKSTREAM_CONSOLE_HOST": "127.0.0.1",
            "RACKSTREAM_CONSOLE_PORT": console,
            "RACKSTREAM_SECRETS_DIR": str(secrets),
        }
        if "INFLUX_URL" in self.environment:
            self.environment["INFLUX_URL"] = f"http://127.0.0.1:{free_port()}"
        test = service["healthcheck"].get("test", [])[1:]
        self.health = [word.replace(":9464/", f":{metrics}/").replace(":8000/", f":{console}/") for word in test]
        if self.health:
            assert "python" == self.health[0]
            self.health[0] = sys.executable
        self.log = root / "log"
        self.data = data

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "rackstream", *self.command]
            environment = self.environment | {"PYTHONPATH": str(ROOT)}
            return subprocess.Popen(command, cwd=self.data, env=environment, stdout=log, stderr=log)

    def healthy(self) -> bool:
        return not subprocess.run(self.health, capture_output=True).returncode


@pytest.mark.kafka
@pytest.mark.parametrize("name", ["processor", "sink-files", "sink-influx", "console", "producer-host"])
def test_a_process_gets_healthy_and_ends_in_order_when_told_to(name: str, kafka: KafkaSettings, tmp_path: Path) -> None:
    container = Container(name, kafka, tmp_path)
    process = container.start()
    try:
        deadline = time.monotonic() + 60
        while not container.healthy():
            assert process.poll() is None, container.log.read_text()
            assert time.monotonic() < deadline, container.log.read_text()
        time.sleep(3)  # it goes on, and is told in the middle of its work
        assert container.healthy()
        process.send_signal(signal.SIGTERM)

        # 143 is uvicorn's: it ends in order and then says which signal it was.
        grace_s = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
        assert process.wait(grace_s) in {0, 143}, container.log.read_text()
    finally:
        process.kill()
        process.wait()


def test_kafka_starts_with_its_variables(tmp_path: Path) -> None:
    """The image makes KAFKA_A_B to a.b; ports and paths are this machine's."""
    variables = SERVICES["kafka"]["environment"]
    names = [each for each in variables if each.startswith("KAFKA_") and each != "KAFKA_HEAP_OPTS"]
    text = "".join(f"{each[6:].lower().replace('_', '.')}={variables[each]}\n" for each in names)
    inside, outside, controller = free_port(), free_port(), free_port()
    for old, new in ((":19092", f":{inside}"), (":9092", f":{outside}"), (":9093", f":{controller}")):
        text = text.replace(old, new)
    (tmp_path / "server.properties").write_text(
        text.replace("/var/lib/kafka/data", "data").replace("://:", "://127.0.0.1:")
    )
    java = [jars.find_java(), "-Xmx256m", "-cp", os.pathsep.join(map(str, jars.ensure_jars(print)))]
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


@pytest.mark.kafka
def test_topics_ends_by_itself(kafka: KafkaSettings, tmp_path: Path) -> None:
    container = Container("topics", kafka, tmp_path)

    assert 0 == container.start().wait(60), container.log.read_text()
