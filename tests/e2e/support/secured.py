"""Secured Kafka as `compose/kafka/secure` sets it up: one node or three, only ports, paths and addresses replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from rackstream.local import kafka_download, ports
from rackstream.local.broker import FORMAT_COMMAND, JVM_FLAGS
from rackstream.local.broker_dir import LOG4J_PROPERTIES
from runtime import kafka
from runtime.settings import KafkaSettings

HERE: Final = Path(__file__).parents[3] / "compose" / "kafka" / "secure"
CLUSTER_ID: Final = "cmFja3N0cmVhbS1zZWN1cg"
LISTENERS: Final = ("clients", "nodes", "controller")
ALONE: Final = {
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}
"""What one node alone cannot do otherwise."""


def properties(text: str) -> dict[str, str]:
    """A properties file."""
    lines = [line.partition("=") for line in text.splitlines() if line and not line.startswith("#")]
    return {key: value for key, _, value in lines}


def of_node(number: int) -> dict[str, str]:
    """The settings of one node, as the image puts them together from the two files of it."""
    given = properties((HERE / f"kafka-{number}.env").read_text())
    named = {key.removeprefix("KAFKA_").lower().replace("_", "."): value for key, value in given.items()}
    return properties((HERE / "server.properties").read_text()) | named


def certificates(directory: Path, *names: str) -> Path:
    """A certificate authority of its own, and certificates signed by it."""
    subprocess.run([HERE / "create-certificates", directory, *names], check=True, capture_output=True)
    return directory


class Cluster:
    """`nodes` JVMs. As a context manager: started on entry, ended on exit."""

    def __init__(self, directory: Path, secrets: Path, *, nodes: int = 1, **extra: str) -> None:
        """`extra`: settings of the broker, `__` for dots, that the files do not have."""
        self.directory, self.secrets = directory, secrets
        self.numbers = range(1, nodes + 1)
        row = ports.free_ports(nodes * len(LISTENERS))
        self.ports = {
            (number, listener): row[(number - 1) * len(LISTENERS) + at]
            for number in self.numbers
            for at, listener in enumerate(LISTENERS)
        }
        self._extra = {key.replace("__", "."): value for key, value in extra.items()} | (ALONE if nodes == 1 else {})
        self._jvms: dict[int, subprocess.Popen[bytes]] = {}

    def address(self, listener: str = "clients") -> str:
        """Bootstrap servers of a listener."""
        return ",".join(f"localhost:{self.ports[number, listener]}" for number in self.numbers)

    def settings(self, **values: Any) -> KafkaSettings:
        """Of the administrator, who has a certificate and no password; `values` win."""
        own = self.secrets / "kafka-admin.pem"
        given = {
            "bootstrap": self.address("nodes"), "security_protocol": "SSL", "ssl_ca": self.secrets / "kafka-ca.pem",
            "ssl_certificate": own, "ssl_key": own,
        }  # fmt: skip
        return KafkaSettings.read(**(given | values))

    def __enter__(self) -> Self:
        try:
            for number in self.numbers:
                self.format(number)
            for number in self.numbers:
                self.start(number)
            self._await_answer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for number in list(self._jvms):
            self.kill(number)

    def format(self, number: int) -> None:
        """Writes a node's files, and formats its directory."""
        place = self.directory / f"node-{number}"
        (place / "tmp").mkdir(parents=True)
        text = "".join(f"{key}={value}\n" for key, value in self._settings(number).items())
        (place / "server.properties").write_text(text)
        (place / "log4j2.properties").write_text(LOG4J_PROPERTIES)
        done = self._java(number, *FORMAT_COMMAND, CLUSTER_ID)
        assert done.wait(60) == 0, self.last_lines(number)

    def start(self, number: int) -> None:
        """Starts a node."""
        self._jvms[number] = self._java(number, "kafka.Kafka", "server.properties")

    def kill(self, number: int) -> None:
        """Ends a node as a power cut would."""
        jvm = self._jvms.pop(number)
        if jvm.poll() is None:
            os.killpg(jvm.pid, signal.SIGKILL)
        jvm.wait()

    def last_lines(self, number: int) -> str:
        """The end of a node's logs."""
        place = self.directory / f"node-{number}"
        found = [place / name for name in ("console.log", "broker.log")]
        return "\n".join("\n".join(each.read_text().splitlines()[-15:]) for each in found if each.exists())

    def _settings(self, number: int) -> Mapping[str, str]:
        found = of_node(number) | self._extra
        voters = ",".join(f"{each}@localhost:{self.ports[each, 'controller']}" for each in self.numbers)
        listening = {each: f"{each.upper()}://localhost:{self.ports[number, each]}" for each in LISTENERS}
        replaced = {
            "controller.quorum.voters": voters,
            "listeners": ",".join(listening.values()),
            "advertised.listeners": f"{listening['clients']},{listening['nodes']}",
            "log.dirs": "data",
            "ssl.keystore.location": str(self.secrets / f"kafka-{number}.pem"),
            "ssl.truststore.location": str(self.secrets / "kafka-ca.pem"),
        }
        assert replaced.keys() <= found.keys()
        return found | replaced

    def _java(self, number: int, *program: str) -> subprocess.Popen[bytes]:
        java, path = kafka_download.find_java(), kafka_download.ensure_jars(print)
        ready = kafka_download.class_archive(java, path, self.directory / "classes").read_flags()
        place = self.directory / f"node-{number}"
        flags = [
            "-Xmx256m",
            *JVM_FLAGS,
            *ready,
            "-Dlog4j2.configurationFile=log4j2.properties",
            f"-Djava.io.tmpdir={place}/tmp",
        ]
        with (place / "console.log").open("ab") as console:
            return subprocess.Popen(
                [java, *flags, "-Djava.net.preferIPv4Stack=true", *program],
                cwd=place,
                env=os.environ | {"CLASSPATH": os.pathsep.join(map(str, path)), "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _await_answer(self) -> None:
        client = AdminClient(kafka.client_config(self.settings(), "test"))
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            for number, jvm in self._jvms.items():
                assert jvm.poll() is None, self.last_lines(number)
            try:
                if len(client.list_topics(timeout=1).brokers) == len(self.numbers):
                    return
            except KafkaException:
                continue  # not yet there
        raise AssertionError("\n".join(self.last_lines(number) for number in self.numbers))
