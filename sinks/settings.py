"""Settings of the sinks. Durations are in seconds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from runtime.settings import KafkaSettings, Settings, check_secret

MIN_WEBHOOK_SECRET: Final = 16
"""Minimum length of the key that signs webhook bodies: a receiver's log may hold a body and its signature."""
INFLUX_VARIABLES: Final = ("INFLUX_URL", "INFLUX_DB", "INFLUX_TOKEN")
"""Required settings of the InfluxDB sink."""


@dataclass(frozen=True)
class BatchLimits:
    """A sink writes its buffered records as soon as one of these limits is reached."""

    max_records: int = 2000
    """Kafka records."""
    max_bytes: int = 4 * 1024 * 1024
    """Their size on Kafka. Decoded they take about ten times as much memory."""
    max_age_s: float = 1.0
    """Time since the oldest was read."""
    drain_s: float = 10.0
    """At an orderly stop, time for reading to the end of the partitions and for the last write with its retries."""


class FilesSettings(Settings):
    """`rackstream sink files`."""

    root: Annotated[Path | None, Field(validation_alias="RACKSTREAM_FILES_ROOT")] = None
    """Directory of the files. Default: `files` in the data directory."""
    format: Annotated[Literal["parquet", "jsonl"], Field(validation_alias="RACKSTREAM_FILES_FORMAT")] = "parquet"
    """Format of new files; a directory may hold both."""
    max_records: Annotated[int, Field(validation_alias="RACKSTREAM_FILES_MAX_RECORDS", ge=1)] = 20_000
    """Files are written after this many buffered records."""
    max_bytes: Annotated[int, Field(validation_alias="RACKSTREAM_FILES_MAX_BYTES", ge=1)] = 8 * 1024 * 1024
    """Files are written after this many bytes of buffered records."""
    max_sec: Annotated[float, Field(validation_alias="RACKSTREAM_FILES_MAX_SEC", gt=0, le=3600)] = 10.0
    """Maximum seconds records are buffered. Longer makes fewer and larger files, which queries read faster."""
    keep_days: Annotated[float | None, Field(validation_alias="RACKSTREAM_FILES_KEEP_DAYS", gt=0)] = None
    """Rows of older hours are deleted. Default: keep all."""
    keep_bytes: Annotated[int | None, Field(validation_alias="RACKSTREAM_FILES_KEEP_BYTES", gt=0)] = None
    """Size limit of all files; the oldest hours are deleted first. Default: no limit."""

    @property
    def limits(self) -> BatchLimits:
        """Limits of a batch, and so of a set of files."""
        return BatchLimits(self.max_records, self.max_bytes, self.max_sec)


class ArchiveSettings(Settings):
    """`rackstream sink archive`."""

    root: Annotated[Path | None, Field(validation_alias="RACKSTREAM_ARCHIVE_ROOT")] = None
    """Directory of the archive. Default: `archive` in the data directory."""
    max_records: Annotated[int, Field(validation_alias="RACKSTREAM_ARCHIVE_MAX_RECORDS", ge=1)] = 50_000
    """Files are written after this many buffered records."""
    max_bytes: Annotated[int, Field(validation_alias="RACKSTREAM_ARCHIVE_MAX_BYTES", ge=1)] = 32 * 1024 * 1024
    """Files are written after this many bytes of buffered records."""
    max_sec: Annotated[float, Field(validation_alias="RACKSTREAM_ARCHIVE_MAX_SEC", gt=0, le=3600)] = 60.0
    """Maximum seconds records are buffered; meanwhile they are on Kafka."""
    keep_days: Annotated[float | None, Field(validation_alias="RACKSTREAM_ARCHIVE_KEEP_DAYS", gt=0)] = None
    """Records of older hours are deleted. Default: keep all."""
    keep_bytes: Annotated[int | None, Field(validation_alias="RACKSTREAM_ARCHIVE_KEEP_BYTES", gt=0)] = None
    """Size limit of all files; the oldest hours are deleted first. Default: no limit."""

    @property
    def limits(self) -> BatchLimits:
        """Limits of a batch, and so of a set of files."""
        return BatchLimits(self.max_records, self.max_bytes, self.max_sec)


def _validate_token(secret: SecretStr) -> SecretStr:
    # With a newline at its end, http.client would quote the whole header, token included, in its error.
    text = secret.get_secret_value().strip()
    if not text or not text.isascii() or not text.isprintable():
        raise ValueError("empty, or with characters that no HTTP header can carry")
    return SecretStr(text)


def _validate_influx_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("give http://host[:port] or https://host[:port]")
    if parts.path.strip("/") or parts.query or parts.username:
        # The client library would silently ignore them.
        raise ValueError("no path, query or user in it; the token goes in INFLUX_TOKEN")
    return f"{parts.scheme}://{parts.netloc}"


class InfluxSettings(Settings):
    """`rackstream sink influx`.

    Variables without the prefix `RACKSTREAM_` are those of `InfluxConnector`.
    """

    url: Annotated[str, AfterValidator(_validate_influx_url), Field(validation_alias="INFLUX_URL")]
    """`http://host[:port]`."""
    database: Annotated[str, Field(validation_alias="INFLUX_DB", min_length=1)]
    """Database, or bucket on version 2."""
    devices_database: Annotated[str | None, Field(validation_alias="RACKSTREAM_INFLUX_DEVICES_DB", min_length=1)] = None
    """Separate database for `vm_devices`, to keep it for less time: a bucket, or on version 1 `database/policy`."""
    token: Annotated[SecretStr, AfterValidator(_validate_token), Field(validation_alias="INFLUX_TOKEN")]
    """Token; on version 1 `user:password`."""
    org: Annotated[str, Field(validation_alias="INFLUX_ORG")] = "default"
    """Organisation; used by version 2 only."""
    api: Annotated[Literal["v2", "v3"], Field(validation_alias="RACKSTREAM_INFLUX_API")] = "v3"
    """Endpoint: v3 for InfluxDB 3, v2 for 1.8 and 2."""
    ca: Annotated[Path | None, Field(validation_alias="RACKSTREAM_INFLUX_CA")] = None
    """CA certificates. Default: those of certifi."""
    compression: Annotated[Literal["none", "gzip"], Field(validation_alias="RACKSTREAM_INFLUX_COMPRESSION")] = "none"
    """Compression of request bodies. gzip shrinks them to a fifth for 0.3 µs a line: for slow networks."""
    timeout_s: Annotated[float, Field(validation_alias="RACKSTREAM_INFLUX_TIMEOUT", gt=0, le=120)] = 10.0
    """Timeout of a request in seconds; must exceed the server's WAL flush interval."""
    writers: Annotated[int, Field(validation_alias="RACKSTREAM_INFLUX_WRITERS", ge=1, le=32)] = 4
    """Parallel requests. InfluxDB 3 answers after its next WAL flush, so one writer sends one body a second."""
    max_lines: Annotated[int, Field(validation_alias="BATCH_MAX_LINES", ge=1)] = 2000
    """Maximum lines per request."""
    max_sec: Annotated[float, Field(validation_alias="BATCH_MAX_SEC", gt=0, le=60)] = 1.0
    """Maximum seconds records are buffered."""

    @property
    def limits(self) -> BatchLimits:
        """Limits of a batch: enough records to keep every writer busy, some 13,000 lines of VMs."""
        return BatchLimits(max_bytes=1024 * 1024, max_age_s=self.max_sec)

    @classmethod
    def is_configured(cls) -> bool:
        """True if the environment names an InfluxDB.

        Raises:
            Misconfigured: The environment has only a part of the settings, or wrong ones.
        """
        is_named = any(os.environ.get(name) for name in INFLUX_VARIABLES)
        if is_named:
            cls.read()
        return is_named


def _validate_webhook_url(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()
    try:
        parts = urlsplit(text)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and text.isprintable()
    except ValueError:
        is_valid = False
    if not is_valid or not text.isascii() or " " in text:
        raise ValueError("give http://[user:password@]host[:port][/path] or https://…")
    return SecretStr(text)


class WebhookSettings(Settings):
    """`rackstream sink webhook`.

    One process posts to one receiver. For each further receiver, run a process with its own `--name`.
    """

    url: Annotated[SecretStr, AfterValidator(_validate_webhook_url), Field(validation_alias="RACKSTREAM_WEBHOOK_URL")]
    """URL to post to. Treated as a secret, for paths often contain tokens."""
    kind: Annotated[Literal["json", "alertmanager"], Field(validation_alias="RACKSTREAM_WEBHOOK_KIND")] = "json"
    """Format of requests: each transition as JSON, or Alertmanager's API v2."""
    secret: Annotated[
        SecretStr | None,
        AfterValidator(lambda secret: secret if secret is None else check_secret(secret, MIN_WEBHOOK_SECRET)),
        Field(validation_alias="RACKSTREAM_WEBHOOK_SECRET"),
    ] = None
    """Key for signing JSON bodies, at least 16 characters. Default: they are not signed."""
    token: Annotated[
        SecretStr | None,
        AfterValidator(lambda token: token if token is None else _validate_token(token)),
        Field(validation_alias="RACKSTREAM_WEBHOOK_TOKEN"),
    ] = None
    """Bearer token, if the URL has no user and password."""
    ca: Annotated[Path | None, Field(validation_alias="RACKSTREAM_WEBHOOK_CA")] = None
    """CA certificates. Default: those of the system."""
    timeout_s: Annotated[float, Field(validation_alias="RACKSTREAM_WEBHOOK_TIMEOUT", gt=0, le=120)] = 10.0
    """Timeout of a request in seconds."""
    repeat_s: Annotated[float, Field(validation_alias="RACKSTREAM_WEBHOOK_REPEAT", gt=0, le=3600)] = 60.0
    """Interval in seconds for posting active alerts again to Alertmanager; well below its `resolve_timeout` (5 min)."""
    link: Annotated[str | None, Field(validation_alias="RACKSTREAM_WEBHOOK_LINK")] = None
    """`generatorURL` for Alertmanager, such as the address of the console."""

    @model_validator(mode="after")
    def _validate_kind(self) -> WebhookSettings:
        path = urlsplit(self.url.get_secret_value()).path.rstrip("/")
        if self.kind == "alertmanager" and self.secret:
            raise ValueError(
                "RACKSTREAM_WEBHOOK_SECRET: Alertmanager does not verify signatures; use it with kind json"
            )
        if self.kind == "alertmanager" and path and not path.endswith("/api/v2/alerts"):
            raise ValueError("RACKSTREAM_WEBHOOK_URL: for Alertmanager it ends with the host or with /api/v2/alerts")
        return self

    @property
    def target(self) -> str:
        """Path and query to post to."""
        parts = urlsplit(self.url.get_secret_value())
        path = parts.path if parts.path.strip("/") else "/api/v2/alerts" if self.kind == "alertmanager" else "/"
        return path + (f"?{parts.query}" if parts.query else "")

    @property
    def limits(self) -> BatchLimits:
        """Limits of a batch: alerts are posted soon, and few at a time, so that the sink stops quickly."""
        return BatchLimits(max_records=100, max_age_s=0.2)

    @classmethod
    def is_configured(cls) -> bool:
        """True if the environment names a receiver.

        Raises:
            Misconfigured: Other settings of it are missing or wrong.
        """
        is_named = bool(os.environ.get("RACKSTREAM_WEBHOOK_URL"))
        if is_named:
            cls.read()
        return is_named


def files_root(settings: KafkaSettings) -> Path:
    """Returns the directory of the files sink."""
    return FilesSettings.read().root or settings.data_dir / "files"


def archive_root(settings: KafkaSettings) -> Path:
    """Returns the directory of the archive."""
    return ArchiveSettings.read().root or settings.data_dir / "archive"
