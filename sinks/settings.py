"""Settings of the sinks. Durations are seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from runtime.settings import KafkaSettings, Settings


@dataclass(frozen=True)
class Limits:
    """When what is held is written, whichever comes first."""

    max_records: int = 2000
    """Kafka records."""
    max_bytes: int = 4 * 1024 * 1024
    """Their size on Kafka. Decoded they take about ten times as much memory."""
    max_age_s: float = 1.0
    """Age of the oldest."""
    drain_s: float = 10.0
    """At an orderly stop: how long the last write may take, with its retries."""


class FilesSettings(Settings):
    """`rackstream sink files`."""

    root: Annotated[Path | None, Field(validation_alias="RACKSTREAM_FILES_ROOT")] = None
    """Where files go; unset: `files` in the data directory."""
    format: Annotated[Literal["parquet", "jsonl"], Field(validation_alias="RACKSTREAM_FILES_FORMAT")] = "parquet"
    """Format of new files; a root may hold both."""
    max_records: Annotated[int, Field(validation_alias="RACKSTREAM_FILES_MAX_RECORDS", ge=1)] = 20_000
    """Records held before files are written."""
    max_bytes: Annotated[int, Field(validation_alias="RACKSTREAM_FILES_MAX_BYTES", ge=1)] = 8 * 1024 * 1024
    """Bytes of records held before files are written."""
    max_sec: Annotated[float, Field(validation_alias="RACKSTREAM_FILES_MAX_SEC", gt=0, le=3600)] = 10.0
    """Seconds records are held at most. Longer makes fewer and larger files, which queries read faster."""
    keep_days: Annotated[float | None, Field(validation_alias="RACKSTREAM_FILES_KEEP_DAYS", gt=0)] = None
    """Rows of older hours are deleted; unset: none are."""
    keep_bytes: Annotated[int | None, Field(validation_alias="RACKSTREAM_FILES_KEEP_BYTES", gt=0)] = None
    """Bytes of files that are kept, the oldest hours going first; unset: all."""

    @property
    def limits(self) -> Limits:
        """When files are written."""
        return Limits(self.max_records, self.max_bytes, self.max_sec)


class ArchiveSettings(Settings):
    """`rackstream sink archive`."""

    root: Annotated[Path | None, Field(validation_alias="RACKSTREAM_ARCHIVE_ROOT")] = None
    """Where files go; unset: `archive` in the data directory."""
    max_records: Annotated[int, Field(validation_alias="RACKSTREAM_ARCHIVE_MAX_RECORDS", ge=1)] = 50_000
    """Records held before files are written."""
    max_bytes: Annotated[int, Field(validation_alias="RACKSTREAM_ARCHIVE_MAX_BYTES", ge=1)] = 32 * 1024 * 1024
    """Bytes of records held before files are written."""
    max_sec: Annotated[float, Field(validation_alias="RACKSTREAM_ARCHIVE_MAX_SEC", gt=0, le=3600)] = 60.0
    """Seconds records are held at most. Kafka has them meanwhile."""
    keep_days: Annotated[float | None, Field(validation_alias="RACKSTREAM_ARCHIVE_KEEP_DAYS", gt=0)] = None
    """Records of older hours are deleted; unset: none are."""
    keep_bytes: Annotated[int | None, Field(validation_alias="RACKSTREAM_ARCHIVE_KEEP_BYTES", gt=0)] = None
    """Bytes of files that are kept, the oldest hours going first; unset: all."""

    @property
    def limits(self) -> Limits:
        """When files are written."""
        return Limits(self.max_records, self.max_bytes, self.max_sec)


def _token(secret: SecretStr) -> SecretStr:
    # A newline from a file would make http.client name the whole header, token included, in its error.
    text = secret.get_secret_value().strip()
    if not text or not text.isascii() or not text.isprintable():
        raise ValueError("empty, or with characters that no HTTP header can carry")
    return SecretStr(text)


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("give http://host[:port] or https://host[:port]")
    if parts.path.strip("/") or parts.query or parts.username:
        # The client library would leave them out without a word.
        raise ValueError("no path, query or user in it; the token goes in INFLUX_TOKEN")
    return f"{parts.scheme}://{parts.netloc}"


class InfluxSettings(Settings):
    """`rackstream sink influx`. The names of seed 004 where it has them."""

    url: Annotated[str, AfterValidator(_url), Field(validation_alias="INFLUX_URL")]
    """`http://host[:port]`."""
    database: Annotated[str, Field(validation_alias="INFLUX_DB", min_length=1)]
    """Database, or bucket on version 2."""
    devices_database: Annotated[str | None, Field(validation_alias="RACKSTREAM_INFLUX_DEVICES_DB", min_length=1)] = None
    """Where `vm_devices` goes, to be kept for less time: a database, a bucket, on version 1 `database/policy`."""
    token: Annotated[SecretStr, AfterValidator(_token), Field(validation_alias="INFLUX_TOKEN")]
    """Token; on version 1 `user:password`."""
    org: Annotated[str, Field(validation_alias="INFLUX_ORG")] = "default"
    """Organisation; only version 2 looks at it."""
    api: Annotated[Literal["v2", "v3"], Field(validation_alias="RACKSTREAM_INFLUX_API")] = "v3"
    """Endpoint: v3 for InfluxDB 3, v2 for 1.8 and 2."""
    ca: Annotated[Path | None, Field(validation_alias="RACKSTREAM_INFLUX_CA")] = None
    """CA certificates; unset: certifi's."""
    compression: Annotated[Literal["none", "gzip"], Field(validation_alias="RACKSTREAM_INFLUX_COMPRESSION")] = "none"
    """Of bodies. gzip makes them a fifth for 0.3 µs a line: for slow networks."""
    timeout_s: Annotated[float, Field(validation_alias="RACKSTREAM_INFLUX_TIMEOUT", gt=0, le=120)] = 10.0
    """Seconds one request may take; more than the server's WAL flush interval."""
    writers: Annotated[int, Field(validation_alias="RACKSTREAM_INFLUX_WRITERS", ge=1, le=32)] = 4
    """Requests at once. InfluxDB 3 answers after its next WAL flush, so one writer gives one body a second."""
    max_lines: Annotated[int, Field(validation_alias="BATCH_MAX_LINES", ge=1)] = 2000
    """Lines in one body."""
    max_sec: Annotated[float, Field(validation_alias="BATCH_MAX_SEC", gt=0, le=60)] = 1.0
    """Seconds records are held at most."""

    @property
    def limits(self) -> Limits:
        """When lines are written: enough records for every writer to have bodies, some 13,000 lines of VMs."""
        return Limits(max_bytes=1024 * 1024, max_age_s=self.max_sec)


def _webhook(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and text.isprintable()
    except ValueError:
        good = False
    if not good or not text.isascii() or " " in text:
        raise ValueError("give http://[user:password@]host[:port][/path] or https://…")
    return SecretStr(text)


class WebhookSettings(Settings):
    """`rackstream sink webhook`. One process posts to one receiver; for another, run another under its own `--name`."""

    url: Annotated[SecretStr, AfterValidator(_webhook), Field(validation_alias="RACKSTREAM_WEBHOOK_URL")]
    """Where to post. A secret as a whole: tokens are often in the path."""
    kind: Annotated[Literal["json", "alertmanager"], Field(validation_alias="RACKSTREAM_WEBHOOK_KIND")] = "json"
    """What the receiver takes: each transition as JSON, or Alertmanager's API v2."""
    secret: Annotated[SecretStr | None, Field(validation_alias="RACKSTREAM_WEBHOOK_SECRET", min_length=1)] = None
    """Key of the signature of JSON bodies; unset: they are not signed."""
    token: Annotated[
        SecretStr | None,
        AfterValidator(lambda each: each and _token(each)),
        Field(validation_alias="RACKSTREAM_WEBHOOK_TOKEN"),
    ] = None
    """Bearer token, where user and password are not in the URL."""
    ca: Annotated[Path | None, Field(validation_alias="RACKSTREAM_WEBHOOK_CA")] = None
    """CA certificates; unset: the system's."""
    timeout_s: Annotated[float, Field(validation_alias="RACKSTREAM_WEBHOOK_TIMEOUT", gt=0, le=120)] = 10.0
    """Seconds one request may take."""
    repeat_s: Annotated[float, Field(validation_alias="RACKSTREAM_WEBHOOK_REPEAT", gt=0, le=3600)] = 60.0
    """Seconds after which Alertmanager is told again what is active: well below its `resolve_timeout` (5 min)."""
    link: Annotated[str | None, Field(validation_alias="RACKSTREAM_WEBHOOK_LINK")] = None
    """`generatorURL` for Alertmanager: where people look the fleet up."""

    @model_validator(mode="after")
    def _complete(self) -> WebhookSettings:
        path = urlsplit(self.url.get_secret_value()).path.rstrip("/")
        if self.kind == "alertmanager" and self.secret:
            raise ValueError("RACKSTREAM_WEBHOOK_SECRET: Alertmanager checks no signatures; it goes with kind json")
        if self.kind == "alertmanager" and path and not path.endswith("/api/v2/alerts"):
            raise ValueError("RACKSTREAM_WEBHOOK_URL: for Alertmanager end it with its host or with /api/v2/alerts")
        return self

    @property
    def target(self) -> str:
        """Path and query to post to."""
        parts = urlsplit(self.url.get_secret_value())
        path = parts.path if parts.path.strip("/") else "/api/v2/alerts" if self.kind == "alertmanager" else "/"
        return path + (f"?{parts.query}" if parts.query else "")

    @property
    def limits(self) -> Limits:
        """When alerts are posted: soon, and few at a time, so that a stop is obeyed soon."""
        return Limits(max_records=100, max_age_s=0.2)


def files_root(settings: KafkaSettings) -> Path:
    """Folder of the files sink."""
    return FilesSettings.read().root or settings.data_dir / "files"


def archive_root(settings: KafkaSettings) -> Path:
    """Folder of the archive."""
    return ArchiveSettings.read().root or settings.data_dir / "archive"
