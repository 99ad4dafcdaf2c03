"""The embedded Kafka: one KRaft node (broker, controller) on 127.0.0.1 per data directory.

The starting process locks `<data_dir>/kafka/lock` and passes the descriptor to the JVM, so the lock lives exactly as
long as the JVM, whatever happens to its parent. A parent killed with -9 leaves the JVM as an orphan, on purpose: the
records stay reachable (`running` finds it) and the next `start` names it. The kernel's way to prevent that
(PR_SET_PDEATHSIG) kills the JVM when the *thread* that started it ends, and needs code between fork and exec, which is
unsafe beside librdkafka.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import structlog
from confluent_kafka import KafkaException

from rackstream.local import kafka_download
from rackstream.local.broker_dir import BrokerDirectory, BrokerState
from runtime import kafka
from runtime.errors import Failure, Misconfigured
from runtime.private_files import PRIVATE_UMASK
from runtime.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

log = structlog.get_logger()
JVM_FLAGS: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError")
FORMAT_COMMAND: Final = ("kafka.tools.StorageTool", "format", "-c", "server.properties", "--ignore-formatted", "-t")


class StartCancelled(Failure):
    """A start was given up, because a stop was asked for."""


class EmbeddedKafka:
    """Broker of one data directory. As a context manager: started on entry, stopped on exit."""

    def __init__(self, data_dir: Path, *, heap: str = "512m") -> None:
        self._dir = BrokerDirectory(data_dir)
        self._heap = heap
        self._jvm: subprocess.Popen[bytes] | None = None
        self._classes: kafka_download.ClassArchive | None = None

    def start(
        self,
        *,
        progress: Callable[[str], None] | None = None,
        timeout_s: float = 60,
        stopping: Callable[[], bool] = lambda: False,
    ) -> str:
        """Starts the broker and returns its address once it answers.

        Args:
            progress: Receives a line before each slow step.
            timeout_s: Time until the broker must answer.
            stopping: True if the start is to be given up, as after Ctrl-C.

        Raises:
            StartCancelled: `stopping` said so; no process is left.
            Misconfigured: The directory's broker runs already, Java or the jars are missing, or the JVM does not come
                up; the message has the last lines of its log.
        """
        report = progress or _log
        with self._dir.locked() as lock:
            self.kill()  # this process holds the lock, so at most a dead JVM is left to reap
            java, class_path = kafka_download.find_java(), kafka_download.ensure_jars(report)
            self._classes = kafka_download.class_archive(java, class_path, self._dir.path / "tmp" / "classes")
            state = self._dir.next_state(report)
            self._dir.write_files(state)
            try:
                if self._dir.cluster_id() is None:
                    report("formatting Kafka's data directory")
                    self._jvm = self._spawn(
                        lock, java, class_path, [*self._classes.read_flags(), *FORMAT_COMMAND, state.cluster_id]
                    )
                    self._await_format(timeout_s, stopping)
                report(f"starting Kafka {kafka_download.VERSION} at {state.bootstrap}")
                report("this Kafka has no login: any user of this machine may read and write it (docs/security.md)")
                flags = self._classes.read_flags() or self._classes.write_flags()
                self._jvm = self._spawn(lock, java, class_path, [*flags, "kafka.Kafka", "server.properties"])
                self._dir.save_state(replace(state, pid=self._jvm.pid))
                self._await_answer(state, timeout_s, stopping)
            except BaseException:
                self.kill()
                raise
        return state.bootstrap

    def stop(self, *, timeout_s: float = 20) -> None:
        """Stops the broker with SIGTERM, then SIGKILL. No-op if it was not started here."""
        jvm = self._jvm
        if jvm is None:
            return
        jvm.terminate()
        try:
            jvm.wait(timeout_s)
        except subprocess.TimeoutExpired:
            log.warning("embedded kafka killed", pid=jvm.pid, reason=f"still running {timeout_s} s after SIGTERM")
        finally:
            self.kill()
        if self._classes is not None and jvm.returncode in (0, 128 + signal.SIGTERM):
            self._classes.save()

    def kill(self) -> None:
        """Kills the broker with SIGKILL, as a crash would; the next start recovers its data."""
        jvm, self._jvm = self._jvm, None
        if jvm is not None and jvm.poll() is None:
            os.killpg(jvm.pid, signal.SIGKILL)  # its group: at exit Java may write its class archive in a child process
            jvm.wait()

    def alive(self) -> bool:
        """True if the broker started here still runs."""
        return self._jvm is not None and self._jvm.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id of the JVM started here, even if it died; None before `start` and after a stop."""
        return self._jvm.pid if self._jvm else None

    @property
    def bootstrap(self) -> str:
        """Address of the directory's broker, fixed at its first start.

        Raises:
            Misconfigured: It was never started.
        """
        state = self._dir.state()
        if state is None:
            raise Misconfigured(_no_broker_message(self._dir))
        return state.bootstrap

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _spawn(
        self, lock: int, java: Path, class_path: Sequence[Path], arguments: Sequence[str]
    ) -> subprocess.Popen[bytes]:
        with (self._dir.path / "console.log").open("wb") as console:
            return subprocess.Popen(
                [java, f"-Xmx{self._heap}", *JVM_FLAGS, *self._dir.jvm_properties, *arguments],
                cwd=self._dir.path,
                env=os.environ | {"CLASSPATH": os.pathsep.join(map(str, class_path)), "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                umask=PRIVATE_UMASK,
                start_new_session=True,  # Ctrl-C in a terminal reaches the command, which stops the broker last
            )

    def _await_format(self, timeout_s: float, stopping: Callable[[], bool]) -> None:
        deadline = time.monotonic() + timeout_s
        while self.alive() and time.monotonic() < deadline:
            _check_stop(stopping)
            time.sleep(0.01)
        if self._jvm is None or self._jvm.poll() != 0:
            raise Misconfigured(f"Kafka could not format {self._dir.path / 'data'}:\n{self._dir.log_tail()}")

    def _await_answer(self, state: BrokerState, timeout_s: float, stopping: Callable[[], bool]) -> None:
        deadline, client = time.monotonic() + timeout_s, None
        while time.monotonic() < deadline:
            _check_stop(stopping)
            if not self.alive():
                raise Misconfigured(f"Kafka exited while starting in {self._dir.path}:\n{self._dir.log_tail()}")
            if client is None and _listens(state.port):
                client = kafka.create_admin_client(KafkaSettings.model_construct(bootstrap=state.bootstrap))
            if client is not None:
                with contextlib.suppress(KafkaException):
                    cluster = client.list_topics(timeout=1)
                    if cluster.brokers and cluster.cluster_id == state.cluster_id:
                        return
            time.sleep(0.03)
        raise Misconfigured(f"Kafka in {self._dir.path} did not answer within {timeout_s:g} s:\n{self._dir.log_tail()}")


def _check_stop(stopping: Callable[[], bool]) -> None:
    if stopping():
        raise StartCancelled("stopped while Kafka was starting")


def running(data_dir: Path) -> str | None:
    """Returns the address of the broker that runs or starts in a directory, or None."""
    broker = BrokerDirectory(data_dir).running_broker()
    return broker.bootstrap if broker else None


@contextlib.contextmanager
def attach(data_dir: Path, *, progress: Callable[[str], None] | None = None) -> Iterator[str]:
    """Yields the address of a directory's broker, which is started for this block if none runs.

    Other processes find that broker too, and lose it when the block ends.

    Raises:
        Misconfigured: There is neither a broker nor data, or the start failed.
    """
    if address := running(data_dir):
        yield address
        return
    directory = BrokerDirectory(data_dir)
    if directory.cluster_id() is None:
        raise Misconfigured(_no_broker_message(directory))
    broker = EmbeddedKafka(data_dir)
    address = broker.start(progress=progress)
    try:
        yield address
    finally:
        broker.stop()


def _no_broker_message(directory: BrokerDirectory) -> str:
    hint = kafka_download.EXTERNAL_KAFKA_HINT
    return f"there is no Kafka in {directory.path} yet: start one with `rackstream up`, {hint}"


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def _log(text: str) -> None:
    log.info("embedded kafka", state=text)
