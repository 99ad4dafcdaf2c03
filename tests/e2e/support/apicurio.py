"""A real schema registry for tests: Apicurio, from Maven, in memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackstream.local import ports
from rackstream.local.kafka_download import find_java
from runtime.errors import Misconfigured

VERSION = "2.5.11.Final"


def archive() -> Path:
    """The distribution, downloaded once; skips the test where it cannot be had."""
    jgo = pytest.importorskip("jgo")
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext

    assert jgo
    repositories = GlobalSettings.load().repositories
    context = MavenContext(remote_repos=repositories) if repositories else MavenContext()
    component = context.project("io.apicurio", "apicurio-registry-app").at_version(VERSION)
    try:
        return Path(component.artifact(classifier="all", packaging="tar.gz").resolve())
    except Exception as error:  # noqa: BLE001  jgo raises whatever requests and XML parsing do
        pytest.skip(f"Apicurio {VERSION} cannot be downloaded: {error}")


@contextlib.contextmanager
def registry(folder: Path, *, killed: bool = False, **variables: str) -> Iterator[str]:
    """The URL of its Confluent-compatible API. `killed`: it ends as by a power cut; `variables`: its environment."""
    packed = archive()
    try:
        java = find_java()
    except Misconfigured as error:
        pytest.skip(str(error))
    with tarfile.open(packed) as tar:
        tar.extractall(folder, filter="data")
    (jar,) = folder.glob("*-runner.jar")
    port = ports.free_port()
    options = [f"-Dquarkus.http.port={port}", "-Dquarkus.http.host=127.0.0.1", "-Xmx256m", "-XX:TieredStopAtLevel=1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [java, *options, "-jar", jar.name], cwd=folder, env=os.environ | variables, stdout=log, stderr=log
        )
        url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
        try:
            deadline = time.monotonic() + 90
            while not _answers(url):
                assert process.poll() is None, (folder / "log").read_text()[-2000:]
                assert time.monotonic() < deadline, "Apicurio did not start"
                time.sleep(0.2)
            yield url
        finally:
            process.kill() if killed else process.terminate()
            process.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/subjects", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
