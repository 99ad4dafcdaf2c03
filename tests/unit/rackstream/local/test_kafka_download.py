"""Kafka's jars are those of the release, whatever a Maven server sends or a cache holds."""

import hashlib
import json

import pytest

from rackstream.local import kafka_download
from runtime.errors import Misconfigured


@pytest.fixture
def jars(tmp_path, monkeypatch):
    """Three files in the place of Kafka's jars, pinned, and in the cache's list."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    paths = [tmp_path / f"{name}.jar" for name in ("kafka", "scala", "log4j")]
    for path in paths:
        path.write_bytes(path.name.encode() * 1000)
    sums = tmp_path / "sums"
    sums.write_text("".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths))
    monkeypatch.setattr(kafka_download, "CHECKSUMS", sums)
    listed = tmp_path / "cache" / "rackstream" / f"kafka-{kafka_download.VERSION}.json"
    listed.parent.mkdir(parents=True)
    listed.write_text(json.dumps([[str(path), path.stat().st_size] for path in paths]))
    return paths


def test_the_jars_of_the_release_are_used(jars):
    assert jars == kafka_download.ensure_jars(lambda _: None)


def test_one_wrong_byte_in_a_jar_stops_the_start(jars):
    content = bytearray(jars[1].read_bytes())
    content[500] ^= 1
    jars[1].write_bytes(content)

    with pytest.raises(Misconfigured, match=r"scala\.jar is not the jar .*SHA-256"):
        kafka_download.ensure_jars(lambda _: None)


def test_a_jar_that_is_not_pinned_is_not_loaded(jars, tmp_path):
    stranger = tmp_path / "stranger.jar"
    stranger.write_bytes(b"")

    with pytest.raises(Misconfigured, match=r"stranger\.jar .* pinned: none"):
        kafka_download.check_jars([*jars, stranger])


def test_a_missing_jar_is_named(jars):
    with pytest.raises(Misconfigured, match=r"missing: log4j\.jar"):
        kafka_download.check_jars(jars[:2])


def test_all_jars_are_pinned_and_kafka_is_among_them():
    pinned = kafka_download.pinned_checksums()

    assert {f"kafka_2.13-{kafka_download.VERSION}.jar", f"kafka-clients-{kafka_download.VERSION}.jar"} <= pinned.keys()
    assert all(len(bytes.fromhex(checksum)) == 32 for checksum in pinned.values())
