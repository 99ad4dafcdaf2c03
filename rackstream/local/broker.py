"""The embedded Kafka: one KRaft node (broker and controller) on 127.0.0.1 for one data directory, in a JVM of its own.

Whoever starts the JVM locks `<data_dir>/kafka/lock` and hands the descriptor down, so the lock lives exactly as long as
the JVM, whatever becomes of its parent. A parent killed with -9 leaves the JVM as an orphan, on purpose: the records
stay reachable (`running` finds it) and the next `start` names it. The kernel's way to prevent that (PR_SET_PDEATHSIG)
ends the JVM when the *thread* that started it ends, and needs code between fork and exec, unsafe beside librdkafka.
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
from rackstream.local.broker_dir import Directory, Kept
from runtime import kafka
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

log = structlog.get_logger()
JVM: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError")
FORMAT: Final = ("kafka.tools.StorageTool", "format", "-c", "server.properties", "--ignore-formatted", "-t")


class EmbeddedKafka:
    """The broker of one data directory. As a context manager: started on entry, stopped on exit."""

    def __init__(self, data_dir: Path, *, heap: str = "512m") -> None:
        self._dir = Directory(data_dir)
        self._heap = heap
        self._jvm: subprocess.Popen[bytes] | None = None
        self._classes: kafka_download.Classes | None = None

    def start(self, *, progress: Callable[[str], None] | None = None, timeout_s: float = 60) -> str:
        """Starts the broker and returns its address once it answers. `progress` hears what takes time.

        Raises:
            Misconfigured: the directory's broker runs already, Java or the jars are missing, or the JVM does not
                come up; the message holds the last lines of its log.
        """
        say = progress or _log
        with self._dir.locked() as lock:
            self.kill()  # the lock is ours, so there is at most a dead one, to be reaped
            java, path = kafka_download.find_java(), kafka_download.ensure_jars(say)
            self._classes = kafka_download.classes(java, path, self._dir.path / "tmp" / "classes")
            kept = self._dir.choose(say)
            self._dir.write_files(kept)
            try:
                if self._dir.cluster_id() is None:
                    say("formatting Kafka's data directory")
                    self._jvm = self._spawn(lock, java, path, [*self._classes.use(), *FORMAT, kept.cluster_id])
                    self._await_format(timeout_s)
                say(f"starting Kafka {kafka_download.VERSION} at {kept.bootstrap}")
                flags = self._classes.use() or self._classes.write()
                self._jvm = self._spawn(lock, java, path, [*flags, "kafka.Kafka", "server.properties"])
                self._dir.keep(replace(kept, pid=self._jvm.pid))
                self._await_answer(kept, timeout_s)
            except BaseException:
                self.kill()
                raise
        return kept.bootstrap

    def stop(self, *, timeout_s: float = 20) -> None:
        """Ends the broker in order, or by force after `timeout_s`. Does nothing when none was started here."""
        jvm = self._jvm
        if jvm is None:
            return
        jvm.terminate()
        try:
            jvm.wait(timeout_s)
        except subprocess.TimeoutExpired:
            log.warning("embedded kafka ended by force", pid=jvm.pid, why=f"still there {timeout_s} s after SIGTERM")
        finally:
            self.kill()
        if self._classes is not None and jvm.returncode in (0, 128 + signal.SIGTERM):
            self._classes.keep()

    def kill(self) -> None:
        """Ends the broker at once (SIGKILL), as a crash would; the next start recovers its data."""
        jvm, self._jvm = self._jvm, None
        if jvm is not None and jvm.poll() is None:
            os.killpg(jvm.pid, signal.SIGKILL)  # its own group: at its end Java may be writing its archive in a child
            jvm.wait()

    def alive(self) -> bool:
        """Whether the broker started here still runs."""
        return self._jvm is not None and self._jvm.poll() is None

    @property
    def pid(self) -> int | None:
        """The JVM started here, also after it died by itself; None before `start` and after `stop` or `kill`."""
        return self._jvm.pid if self._jvm else None

    @property
    def bootstrap(self) -> str:
        """The directory's address, known from its first start on.

        Raises:
            Misconfigured: there was no start yet.
        """
        kept = self._dir.kept()
        if kept is None:
            raise Misconfigured(_nothing(self._dir))
        return kept.bootstrap

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _spawn(self, lock: int, java: Path, path: Sequence[Path], program: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self._dir.path / "console.log").open("wb") as console:
            return subprocess.Popen(
                [java, f"-Xmx{self._heap}", *JVM, *self._dir.properties, *program],
                cwd=self._dir.path,
                env=os.environ | {"CLASSPATH": os.pathsep.join(map(str, path)), "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C in a terminal reaches the command, which stops the broker last
            )

    def _await_format(self, timeout_s: float) -> None:
        ended = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            ended = self._jvm.wait(timeout_s) if self._jvm else None
        if ended != 0:
            raise Misconfigured(f"Kafka could not format {self._dir.path / 'data'}:\n{self._dir.last_lines()}")

    def _await_answer(self, kept: Kept, timeout_s: float) -> None:
        deadline, client = time.monotonic() + timeout_s, None
        while time.monotonic() < deadline:
            if not self.alive():
                raise Misconfigured(f"Kafka ended while it started in {self._dir.path}:\n{self._dir.last_lines()}")
            if client is None and _listens(kept.port):
                client = kafka.admin(KafkaSettings.model_construct(bootstrap=kept.bootstrap))
            if client is not None:
                with contextlib.suppress(KafkaException):
                    cluster = client.list_topics(timeout=1)
                    if cluster.brokers and cluster.cluster_id == kept.cluster_id:
                        return
            time.sleep(0.03)
        raise Misconfigured(
            f"Kafka in {self._dir.path} did not answer within {timeout_s:g} s:\n{self._dir.last_lines()}"
        )


def running(data_dir: Path) -> str | None:
    """Address of the broker that runs in a directory (it may still be starting), else None."""
    broker = Directory(data_dir).broker()
    return broker.bootstrap if broker else None


@contextlib.contextmanager
def attached(data_dir: Path, *, progress: Callable[[str], None] | None = None) -> Iterator[str]:
    """Address of the broker that runs in a directory, or of one started for this block where there is data.

    Others find the broker of the block too, and lose it when the block ends.

    Raises:
        Misconfigured: there is neither a broker nor data, or the start failed.
    """
    if address := running(data_dir):
        yield address
        return
    directory = Directory(data_dir)
    if directory.cluster_id() is None:
        raise Misconfigured(_nothing(directory))
    broker = EmbeddedKafka(data_dir)
    address = broker.start(progress=progress)
    try:
        yield address
    finally:
        broker.stop()


def _nothing(directory: Directory) -> str:
    return f"there is no Kafka in {directory.path} yet: start one with `rackstream up`, {kafka_download.ELSEWHERE}"


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def _log(text: str) -> None:
    log.info("embedded kafka", state=text)
