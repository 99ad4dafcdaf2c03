"""How this process logs in to Kafka, and what it says when that is refused. Starts no client of Kafka."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError

from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings

log = structlog.get_logger()
AGAIN_S: Final = 300.0
"""One trouble is told again after this time, while it lasts; librdkafka reports it several times a second."""
HANDSHAKE_S: Final = 5.0
TOLD: Final = "kafka refuses the login, tried again"
REFUSED_S: Final = 15.0
"""A refusal this old may be over: clients that are refused try again within 2 s."""
_told: dict[str, float] = {}
_last_s: list[float] = []
_lock = threading.Lock()
REFUSED: Final = (KafkaError._AUTHENTICATION, KafkaError._SSL)  # noqa: SLF001  librdkafka's names of them
DENIED: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "group",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "cluster",
}
"""Code of an answer that a right lacks → what it is a right on."""
ALERT: Final = re.compile(r"ssl/tls alert ([a-z ]+)|alert (certificate required)")
"""What the broker says of our certificate. It says so after the handshake, as far as TLS 1.3 is concerned."""
CUT: Final = "Broker transport failure"
"""The connection ended before the broker had answered, as when it stops. librdkafka calls that a refusal, too."""


def options(settings: KafkaSettings) -> dict[str, Any]:
    """The login as librdkafka wants it."""
    if settings.security_protocol == "PLAINTEXT":
        return {}
    found: dict[str, Any] = {}
    if settings.uses_sasl:
        found |= {
            "sasl.mechanism": settings.sasl_mechanism,
            "sasl.username": settings.sasl_username,
            "sasl.password": settings.sasl_password and settings.sasl_password.get_secret_value(),
        }
    if settings.uses_tls:
        found |= {
            "ssl.ca.location": settings.ssl_ca and str(settings.ssl_ca),
            "ssl.certificate.location": settings.ssl_certificate and str(settings.ssl_certificate),
            "ssl.key.location": settings.ssl_key and str(settings.ssl_key),
            "ssl.key.password": settings.ssl_key_password and settings.ssl_key_password.get_secret_value(),
            "ssl.endpoint.identification.algorithm": settings.ssl_endpoint_identification,
        }
    return {key: value for key, value in found.items() if value is not None}


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """The same for clients in Python; None: no TLS.

    Raises:
        Misconfigured: a file cannot be read, or is not what it should be.
    """
    if not settings.uses_tls:
        return None
    try:
        for each in (settings.ssl_ca, settings.ssl_certificate, settings.ssl_key):
            if each is not None:
                each.read_bytes()  # OpenSSL does not say which file it cannot read
        context = ssl.create_default_context(cafile=settings.ssl_ca)
        if settings.ssl_certificate is not None:
            password = settings.ssl_key_password
            # Never asked at a terminal: without a password OpenSSL would.
            context.load_cert_chain(
                settings.ssl_certificate, settings.ssl_key, lambda: password.get_secret_value() if password else ""
            )
    except (OSError, ValueError) as error:
        raise Misconfigured(
            f"TLS to Kafka: {error}; check KAFKA_SSL_CA_LOCATION, KAFKA_SSL_CERTIFICATE_LOCATION, "
            "KAFKA_SSL_KEY_LOCATION and KAFKA_SSL_KEY_PASSWORD"
        ) from None
    context.check_hostname = settings.ssl_endpoint_identification == "https"
    return context


class Trouble:
    """The `error_cb` of one client: keeps the newest refusal, and tells of it.

    All else that librdkafka reports (a broker that is away) heals by itself, and is seen in lag and queues.
    """

    def __init__(self, settings: KafkaSettings, *, silent: bool = False) -> None:
        """`silent`: whoever made the client looks at `refusal` by itself."""
        self._settings, self._silent = settings, silent
        self.refusal: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        """Called by librdkafka, in the thread that polls."""
        if CUT not in error.str() and (error.code() in REFUSED or ALERT.search(error.str())):
            self.refusal = error
            if not self._silent and _is_news(_said(error)):
                log.error(TOLD, why=str(refused(self._settings, error)))


def tell(why: Misconfigured, kind: str) -> None:
    """Logs a refusal, once in `AGAIN_S` for all clients of this process. `kind`: what Kafka said."""
    if _is_news(kind):
        log.error(TOLD, why=str(why))


def is_refused() -> bool:
    """Whether a client of this process was refused a moment ago. That lasts until a person acts: waiting is no hang."""
    return any(time.monotonic() - each < REFUSED_S for each in _last_s)


def _is_news(kind: str) -> bool:
    with _lock:
        now_s = time.monotonic()
        _last_s[:] = [now_s]
        news = now_s - _told.get(kind, -AGAIN_S) >= AGAIN_S
        if news:
            _told[kind] = now_s
    return news


def refused(settings: KafkaSettings, error: KafkaError) -> Misconfigured:
    """What a refusal says in one line: who refuses whom, why, and what to look at."""
    address = _address(error) or settings.bootstrap
    if error.code() == KafkaError._SSL:  # noqa: SLF001
        why = _handshake(settings, address) or _said(error)
        look = (
            "KAFKA_SSL_CA_LOCATION" if "ostname" not in why and "IP address" not in why else "by which name it is asked"
        )
        return Misconfigured(f"the certificate of Kafka at {address} is not accepted: {why}; check {look}")
    alert = ALERT.search(error.str())
    if alert is not None:
        return Misconfigured(
            f"Kafka at {address} does not accept our certificate: {alert[1] or alert[2]}; check "
            "KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION"
        )
    return refused_by_text(settings, _said(error), address)


def refused_by_text(settings: KafkaSettings, said: str, address: str = "") -> Misconfigured:
    """The same where all that is known is what Kafka, or TLS, said."""
    if "SSL:" in said:
        return Misconfigured(f"TLS to Kafka at {address or settings.bootstrap} failed: {said}; check KAFKA_SSL_*")
    return Misconfigured(
        f"Kafka at {address or settings.bootstrap} refuses the login of {settings.user}: {said}; check "
        "KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
    )


def denied(settings: KafkaSettings, error: KafkaError, operation: str, name: str) -> Misconfigured | None:
    """What to say of an answer that a right lacks, in one line; None: it is another answer.

    Args:
        settings: who was logged in.
        error: the answer.
        operation: the right that was needed for what was asked.
        name: of the topic or group that was meant.
    """
    kind = DENIED.get(error.code())
    return None if kind is None else lacking(settings, operation, kind, name)


def lacking(settings: KafkaSettings, operation: str, kind: str, name: str) -> Misconfigured:
    """What to say of a right that lacks."""
    return Misconfigured(
        f"Kafka denies {settings.user} {operation} on {kind} {name}: `rackstream acls` lists what each role needs, and "
        "--check what lacks"
    )


def failure(settings: KafkaSettings, error: KafkaError, operation: str, name: str) -> Misconfigured | Retry:
    """The same of any answer: one that a person must act on, or one that may be another next time."""
    return denied(settings, error, operation, name) or Retry(f"no answer from Kafka: {error.str()}")


def _said(error: KafkaError) -> str:
    """Librdkafka's text without addresses and times, which differ each time."""
    text = re.sub(r"\s*\(after \d+ms in state \w+\)|\s*\([^()]*identical error[^()]*\)", "", error.str())
    return re.sub(r"^\S+://\S+: |SASL authentication error: ", "", text)


def _address(error: KafkaError) -> str:
    found = re.match(r"\w+://([^/\s]+:\d+)/", error.str())
    return found[1] if found else ""


def _handshake(settings: KafkaSettings, address: str) -> str:
    """What is wrong with a broker's certificate: librdkafka has one text for all that may be."""
    host, _, port = address.rpartition(":")
    context = ssl_context(settings)
    if context is None:
        return ""
    try:
        with (
            socket.create_connection((host, int(port)), timeout=HANDSHAKE_S) as plain,
            context.wrap_socket(plain, server_hostname=host.strip("[]")),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        return str(error.verify_message).rstrip(". ")
    except (OSError, ValueError):
        return ""
