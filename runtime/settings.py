"""Settings shared by all processes, read from the environment, then `.env`, then secret files."""

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
"""Directory of secret files, each named after the variable it sets, as container platforms mount them."""
SUPERVISED: Final = "RACKSTREAM_SUPERVISED"
"""Set by `rackstream up` for the processes that it starts; not a user setting."""


class Settings(BaseSettings):
    """Base class of all settings; `read()` reports all missing and invalid settings at once."""

    model_config = SettingsConfigDict(frozen=True, env_file=".env", extra="ignore", populate_by_name=True)

    @classmethod
    def read(cls, **values: Any) -> Self:
        """Reads the settings from the environment, `.env` and secret files, in this order; `values` override all.

        Raises:
            Misconfigured: Settings are missing or invalid; the message lists all of them.
        """
        secrets = os.environ.get(SECRETS_DIR) or None
        if secrets is not None and not Path(secrets).is_dir():
            raise Misconfigured(f"{SECRETS_DIR}: {secrets} is not a directory")
        try:
            return cls(_secrets_dir=secrets, **values)
        except ValidationError as error:
            problems = [
                "".join(f"{'.'.join(map(str, location))}: " for location in [problem["loc"]] if location)
                + ("not set" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, "))
                for problem in error.errors(include_input=False)
            ]
            raise Misconfigured("settings (environment, .env or secret files): " + "; ".join(problems)) from None


def check_secret(secret: SecretStr, min_length: int = 1) -> SecretStr:
    """Returns a secret without surrounding white space.

    Raises:
        ValueError: It is empty, or shorter than `min_length`; the message does not contain it.
    """
    text = secret.get_secret_value().strip()
    if not text:
        raise ValueError("empty; set it, or remove the variable")
    if len(text) < min_length:
        raise ValueError(f"too short: at least {min_length} characters")
    return SecretStr(text)


def _validate_key_password(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None and not secret.get_secret_value().strip():
        raise ValueError("empty; set it, or remove the variable")
    return secret


def _validate_registry_url(url: SecretStr | None) -> SecretStr | None:
    if url is None or not url.get_secret_value().strip():
        return None
    text = url.get_secret_value().strip().rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or not text.isprintable():
        raise ValueError("expected http://[user:password@]host[:port][/path] or https://…")
    return SecretStr(text)


class KafkaSettings(Settings):
    """Addresses and login of Kafka, and the data directory. Kafka's settings have Kafka's own names."""

    bootstrap: Annotated[str, Field(validation_alias="KAFKA_BOOTSTRAP_SERVERS")] = ""
    """Brokers as `host:port,…`. Empty: the embedded Kafka of the data directory."""
    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], Field(validation_alias="KAFKA_SECURITY_PROTOCOL")
    ] = "PLAINTEXT"
    """Security protocol of the brokers."""
    sasl_mechanism: Annotated[
        Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"], Field(validation_alias="KAFKA_SASL_MECHANISM")
    ] = "SCRAM-SHA-512"
    """SASL mechanism. PLAIN sends the password unencrypted and therefore requires SASL_SSL."""
    sasl_username: Annotated[str | None, Field(validation_alias="KAFKA_SASL_USERNAME")] = None
    """SASL user."""
    sasl_password: Annotated[SecretStr | None, Field(validation_alias="KAFKA_SASL_PASSWORD")] = None
    """SASL password."""
    ssl_ca: Annotated[Path | None, Field(validation_alias="KAFKA_SSL_CA_LOCATION")] = None
    """CA certificates (PEM); unset: those of the system."""
    ssl_certificate: Annotated[Path | None, Field(validation_alias="KAFKA_SSL_CERTIFICATE_LOCATION")] = None
    """Client certificate (PEM) for mutual TLS, followed by its chain if it has one."""
    ssl_key: Annotated[Path | None, Field(validation_alias="KAFKA_SSL_KEY_LOCATION")] = None
    """Private key of the client certificate."""
    ssl_key_password: Annotated[
        SecretStr | None, AfterValidator(_validate_key_password), Field(validation_alias="KAFKA_SSL_KEY_PASSWORD")
    ] = None
    """Password of the key."""
    ssl_endpoint_identification: Annotated[
        Literal["https", "none"], Field(validation_alias="KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM")
    ] = "https"
    """`https`: the broker's certificate must match its host name; `none`: any certificate of the CA is accepted."""
    topic_prefix: Annotated[str, Field(validation_alias="RACKSTREAM_TOPIC_PREFIX")] = catalog.DEFAULT_PREFIX
    """Prefix of all topic names, in place of `fleet.`."""
    partitions: Annotated[int | None, Field(validation_alias="RACKSTREAM_PARTITIONS", ge=1)] = None
    """Partition count of host-keyed topics, used when they are created; unset: as in topics.toml."""
    schema_registry: Annotated[
        SecretStr | None,
        AfterValidator(_validate_registry_url),
        Field(validation_alias="RACKSTREAM_SCHEMA_REGISTRY_URL"),
    ] = None
    """URL (may contain user and password) of a Confluent-compatible schema registry, whose ids are then written."""
    schema_registry_ca: Annotated[Path | None, Field(validation_alias="RACKSTREAM_SCHEMA_REGISTRY_CA_LOCATION")] = None
    """CA certificates (PEM) for an https registry; unset: those of the system."""
    data_dir: Annotated[Path, Field(validation_alias="RACKSTREAM_DATA_DIR")] = Path(".rackstream")
    """Directory of stored files, the embedded Kafka, and the producers' journals and spools."""

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        missing = []
        if self.uses_sasl:
            missing += ["KAFKA_SASL_USERNAME"] * (not (self.sasl_username or "").strip())
            missing += ["KAFKA_SASL_PASSWORD"] * (
                not self.sasl_password or not self.sasl_password.get_secret_value().strip()
            )
        if (self.ssl_certificate is None) != (self.ssl_key is None):
            missing += ["KAFKA_SSL_KEY_LOCATION" if self.ssl_key is None else "KAFKA_SSL_CERTIFICATE_LOCATION"]
        if missing:
            raise ValueError(f"{', '.join(missing)}: not set, and KAFKA_SECURITY_PROTOCOL is {self.security_protocol}")
        if self.sasl_mechanism == "PLAIN" and self.security_protocol == "SASL_PLAINTEXT":
            raise ValueError("KAFKA_SASL_MECHANISM PLAIN would send the password unencrypted: use SASL_SSL or SCRAM")
        return self

    @property
    def uses_sasl(self) -> bool:
        """True if clients log in with user and password."""
        return self.security_protocol.startswith("SASL")

    @property
    def uses_tls(self) -> bool:
        """True if connections are encrypted."""
        return self.security_protocol.endswith("SSL")

    @property
    def user(self) -> str:
        """The Kafka user, for messages."""
        return self.sasl_username or "this process" if self.uses_sasl else "this process"

    @property
    def catalog(self) -> catalog.Catalog:
        """The topics with the configured prefix and partition count."""
        topics = catalog.load(self.topic_prefix)
        return catalog.with_partitions(topics, self.partitions) if self.partitions else topics


class ProcessSettings(Settings):
    """Logging and metrics of a process."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(validation_alias="RACKSTREAM_LOG_LEVEL")
    ] = "info"
    """Minimum severity of log messages."""
    log_format: Annotated[Literal["text", "json"], Field(validation_alias="RACKSTREAM_LOG_FORMAT")] = "text"
    """Format of log messages, which go to standard error."""
    metrics_port: Annotated[int | None, Field(validation_alias="RACKSTREAM_METRICS_PORT", ge=0, le=65535)] = None
    """Port for Prometheus metrics; unset: none; 0: any free port (logged). `rackstream up` assigns one to each part."""
    metrics_host: Annotated[str, Field(validation_alias="RACKSTREAM_METRICS_HOST", min_length=1)] = "127.0.0.1"
    """Address for Prometheus metrics. They need no token and reveal topics and sources: use another address only in a
    trusted network, such as that of containers."""
