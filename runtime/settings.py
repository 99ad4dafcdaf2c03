"""Settings every process shares: where Kafka is, where files go. Environment first, then `.env`, then secret files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.errors import Misconfigured
from schemas import catalog

SECRETS_DIR: Final = "RACKSTREAM_SECRETS_DIR"
"""Names a directory of files, each called as the variable it stands for: how containers are given secrets."""
SUPERVISED: Final = "RACKSTREAM_SUPERVISED"
"""Set by `rackstream up` for the parts that it starts; no setting."""


class Settings(BaseSettings):
    """Base of every settings class: `read()` names all that is missing or wrong at once."""

    model_config = SettingsConfigDict(frozen=True, env_file=".env", extra="ignore", populate_by_name=True)

    @classmethod
    def read(cls, **values: Any) -> Self:
        """The settings from the environment, `.env` and secret files, in this order; `values` win over all.

        Raises:
            Misconfigured: lists each setting that is missing or wrong.
        """
        secrets = os.environ.get(SECRETS_DIR) or None
        if secrets is not None and not Path(secrets).is_dir():
            raise Misconfigured(f"{SECRETS_DIR}: {secrets} is no directory")
        try:
            return cls(_secrets_dir=secrets, **values)
        except ValidationError as error:
            problems = [
                "".join(f"{'.'.join(map(str, loc))}: " for loc in [each["loc"]] if loc)
                + ("not set" if each["type"] == "missing" else each["msg"].removeprefix("Value error, "))
                for each in error.errors(include_input=False)
            ]
            raise Misconfigured("settings (environment, .env or secret files): " + "; ".join(problems)) from None


def _registry(url: SecretStr | None) -> SecretStr | None:
    if url is None or not url.get_secret_value().strip():
        return None
    text = url.get_secret_value().strip().rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or not text.isprintable():
        raise ValueError("give http://[user:password@]host[:port][/path] or https://…")
    return SecretStr(text)


class KafkaSettings(Settings):
    """Where Kafka is and how to log in. The names are Kafka's own."""

    bootstrap: Annotated[str, Field(validation_alias="KAFKA_BOOTSTRAP_SERVERS")] = ""
    """`host:port,…`. Empty: the embedded Kafka of the data directory."""
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], Field(validation_alias="KAFKA_SECURITY_PROTOCOL")
    ] = "PLAINTEXT"
    """How to talk to the brokers."""
    sasl_mechanism: Annotated[
        Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"], Field(validation_alias="KAFKA_SASL_MECHANISM")
    ] = "SCRAM-SHA-512"
    """How SASL proves the password. PLAIN sends it as it is: only with SASL_SSL."""
    sasl_username: Annotated[str | None, Field(validation_alias="KAFKA_SASL_USERNAME")] = None
    """SASL user."""
    sasl_password: Annotated[SecretStr | None, Field(validation_alias="KAFKA_SASL_PASSWORD")] = None
    """SASL password."""
    ssl_ca: Annotated[Path | None, Field(validation_alias="KAFKA_SSL_CA_LOCATION")] = None
    """CA certificates; unset: the system's."""
    ssl_certificate: Annotated[Path | None, Field(validation_alias="KAFKA_SSL_CERTIFICATE_LOCATION")] = None
    """Client certificate (PEM) for mutual TLS; what is in its file after it is sent along."""
    ssl_key: Annotated[Path | None, Field(validation_alias="KAFKA_SSL_KEY_LOCATION")] = None
    """Key of the client certificate."""
    ssl_key_password: Annotated[SecretStr | None, Field(validation_alias="KAFKA_SSL_KEY_PASSWORD")] = None
    """Password of the key."""
    ssl_endpoint_identification: Annotated[
        Literal["https", "none"], Field(validation_alias="KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM")
    ] = "https"
    """Whether a broker's certificate must name the host that is asked; none: any certificate of the CA will do."""
    topic_prefix: Annotated[str, Field(validation_alias="RACKSTREAM_TOPIC_PREFIX")] = catalog.PREFIX
    """Replaces `fleet.` at the start of every topic."""
    partitions: Annotated[int | None, Field(validation_alias="RACKSTREAM_PARTITIONS", ge=1)] = None
    """Partitions of host-keyed topics, used only when they are created; unset: as in topics.toml."""
    schema_registry: Annotated[
        SecretStr | None, AfterValidator(_registry), Field(validation_alias="RACKSTREAM_SCHEMA_REGISTRY_URL")
    ] = None
    """A Confluent-compatible schema registry, whose ids are then written; user and password may be in the URL."""
    schema_registry_ca: Annotated[Path | None, Field(validation_alias="RACKSTREAM_SCHEMA_REGISTRY_CA_LOCATION")] = None
    """CA certificates of an https registry; unset: the system's."""
    data_dir: Annotated[Path, Field(validation_alias="RACKSTREAM_DATA_DIR")] = Path(".rackstream")
    """Stored files, the embedded Kafka, producers' journals and spools."""

    @model_validator(mode="after")
    def _login(self) -> Self:
        lacking = []
        if self.uses_sasl:
            lacking += ["KAFKA_SASL_USERNAME"] * (not self.sasl_username)
            lacking += ["KAFKA_SASL_PASSWORD"] * (not self.sasl_password or not self.sasl_password.get_secret_value())
        if (self.ssl_certificate is None) != (self.ssl_key is None):
            lacking += ["KAFKA_SSL_KEY_LOCATION" if self.ssl_key is None else "KAFKA_SSL_CERTIFICATE_LOCATION"]
        if lacking:
            raise ValueError(f"{', '.join(lacking)}: not set, and KAFKA_SECURITY_PROTOCOL is {self.security_protocol}")
        if self.sasl_mechanism == "PLAIN" and self.security_protocol == "SASL_PLAINTEXT":
            raise ValueError("KAFKA_SASL_MECHANISM PLAIN would send the password unencrypted: use SASL_SSL, or SCRAM")
        return self

    @property
    def uses_sasl(self) -> bool:
        """Whether to log in by a password."""
        return self.security_protocol.startswith("SASL")

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.security_protocol.endswith("SSL")

    @property
    def user(self) -> str:
        """Whom Kafka takes us for, in a message."""
        return self.sasl_username or "this process" if self.uses_sasl else "this process"

    @property
    def catalog(self) -> catalog.Catalog:
        """The topics, under the configured prefix and partition count."""
        topics = catalog.load(self.topic_prefix)
        return catalog.with_partitions(topics, self.partitions) if self.partitions else topics


class ProcessSettings(Settings):
    """How a process shows itself."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(validation_alias="RACKSTREAM_LOG_LEVEL")
    ] = "info"
    """Least severity that is logged."""
    log_format: Annotated[Literal["text", "json"], Field(validation_alias="RACKSTREAM_LOG_FORMAT")] = "text"
    """Logs for people or for machines; always on standard error."""
    metrics_port: Annotated[int | None, Field(validation_alias="RACKSTREAM_METRICS_PORT", ge=0, le=65535)] = None
    """Port for Prometheus metrics; unset: none, 0: any free one (logged). `rackstream up` gives its parts theirs."""
    metrics_host: Annotated[str, Field(validation_alias="RACKSTREAM_METRICS_HOST", min_length=1)] = "127.0.0.1"
    """Address of it. They ask for no token and name topics and sources: another address only within a network that is
    trusted, as that of containers."""
