"""The embedded Kafka's directory, `<data_dir>/kafka`: lock, `kafka.json`, configuration."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rackstream.local import ports
from runtime.errors import Misconfigured
from runtime.kafka import MAX_RECORD_BYTES
from runtime.private_files import make_private_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_BATCH_BYTES: Final = MAX_RECORD_BYTES + 65536
# Paths are relative to the JVM's working directory: a properties file cannot hold arbitrary paths.
SERVER_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=data
auto.create.topics.enable=false
log.message.timestamp.type=LogAppendTime
message.max.bytes={max_bytes}
replica.fetch.max.bytes={max_bytes}
# The heap is small: at most 100 MiB of requests wait in it, and compaction takes 16 MiB, not 128.
queued.max.request.bytes=104857600
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
background.threads=4
log.retention.check.interval.ms=60000
default.replication.factor=1
min.insync.replicas=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# After kill -9 the new broker waits until the session of the old one is over: 9 s by default.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=1000
# One no-op record every 5 s instead of two a second.
metadata.max.idle.interval.ms=5000
metadata.log.segment.bytes=16777216
"""
LOG4J_PROPERTIES: Final = """\
status=error
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName=broker.log
appender.file.filePattern=broker.log.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{yyyy-MM-dd'T'HH:mm:ss.SSS}{UTC}Z %-5p %c{1} %m%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=4MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=2
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
"""


@dataclass(frozen=True)
class BrokerState:
    """Content of `kafka.json`: survives restarts, and is how every command finds the broker."""

    cluster_id: str
    port: int
    controller_port: int
    bootstrap: str
    pid: int | None = None


class BrokerDirectory:
    """The directory `<data_dir>/kafka` of a broker. Starts no process."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir.resolve() / "kafka"
        self.jvm_marker = f"-Drackstream.data={self.path}"
        """JVM option by which the JVMs of this directory are recognized."""
        self.jvm_properties = (
            self.jvm_marker,
            "-Dlog4j2.configurationFile=log4j2.properties",
            "-Djava.net.preferIPv4Stack=true",
            f"-Djava.io.tmpdir={self.path / 'tmp'}",
        )
        """System properties of every JVM of this directory."""

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Holds the lock until the block ends and all JVMs that inherited the descriptor are gone.

        Raises:
            Misconfigured: It is held (the message says by which process), or the directory is not writable.
        """
        try:
            make_private_directory(self.path)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Misconfigured(f"{error}: set RACKSTREAM_DATA_DIR to a directory that can be written") from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Misconfigured(self._lock_holder()) from None
            os.ftruncate(lock, 0)
            os.write(lock, str(os.getpid()).encode())
            yield lock
        finally:
            os.close(lock)

    def _lock_holder(self) -> str:
        """Error message that names the process which holds the lock, and how to stop it."""
        starter, broker = (self.path / "lock").read_text(), self.running_broker()
        if broker is None:
            return f"process {starter} is starting Kafka in {self.path}: wait, or stop it with `kill {starter}`"
        description = f"Kafka already runs in {self.path}, at {broker.bootstrap}, as process {broker.pid}"
        if _parent(broker.pid) == starter:
            return f"{description} of process {starter}: stop that with `kill {starter}`"
        return f"{description}, left behind by process {starter}, which is gone: stop it with `kill {broker.pid}`"

    def running_broker(self) -> BrokerState | None:
        """Returns the state of the broker that runs here, or None. Takes no lock.

        A running JVM always holds the lock.
        """
        state = self.state()
        if state is None or state.pid is None:
            return None
        try:
            arguments = Path(f"/proc/{state.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return None
        return state if b"kafka.Kafka" in arguments and os.fsencode(self.jvm_marker) in arguments else None

    def state(self) -> BrokerState | None:
        """Content of `kafka.json`, or None if it is missing or unreadable."""
        try:
            return BrokerState(**json.loads((self.path / "kafka.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def save_state(self, state: BrokerState) -> None:
        """Replaces `kafka.json` atomically."""
        aside = self.path / "kafka.json.new"
        aside.write_text(json.dumps(asdict(state), indent=2) + "\n")
        aside.replace(self.path / "kafka.json")

    def cluster_id(self) -> str | None:
        """Cluster id of the data, or None. Kafka writes it last, so it marks a complete format."""
        with contextlib.suppress(OSError):
            for line in (self.path / "data" / "meta.properties").read_text().splitlines():
                if line.startswith("cluster.id="):
                    return line.removeprefix("cluster.id=")
        return None

    def next_state(self, progress: Callable[[str], None]) -> BrokerState:
        """Chooses cluster id and ports for the next start: the previous ones if still free."""
        last = self.state()
        port = last.port if last and ports.is_free(last.port) else ports.free_port()
        controller_port = (
            last.controller_port if last and ports.is_free(last.controller_port) else ports.free_port(exclude=port)
        )
        if last and port != last.port:
            progress(f"port {last.port} is used by another process: this Kafka moves to 127.0.0.1:{port}")
        # Any 128 bits will do, but no "-": StorageTool would parse a leading one as an option.
        cluster_id = self.cluster_id() or base64.b64encode(uuid.uuid4().bytes, altchars=b"__").decode().rstrip("=")
        return BrokerState(cluster_id, port, controller_port, f"127.0.0.1:{port}")

    def write_files(self, state: BrokerState) -> None:
        """Writes the configuration, and empties the directory for JVM temporary files."""
        shutil.rmtree(self.path / "tmp", ignore_errors=True)
        (self.path / "tmp").mkdir()
        (self.path / "log4j2.properties").write_text(LOG4J_PROPERTIES)
        (self.path / "server.properties").write_text(
            SERVER_PROPERTIES.format(port=state.port, controller_port=state.controller_port, max_bytes=MAX_BATCH_BYTES)
        )

    def log_tail(self) -> str:
        """The last lines of the logs, for error messages."""
        lines: list[str] = []
        for name in ("broker.log", "console.log"):
            with contextlib.suppress(OSError):
                lines += (self.path / name).read_text(errors="replace").splitlines()[-8:]
        return "\n".join(f"  {line[:300]}" for line in lines)


def _parent(pid: int | None) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    return ""
