"""Kafka login: client options for SASL and TLS, and the messages when login or authorization fails.

Creates no Kafka client.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from typing import Final

import structlog
from confluent_kafka import KafkaError

from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings

log = structlog.get_logger()
LOG_INTERVAL_S: Final = 300.0
"""A refusal that lasts is logged again after this time; librdkafka reports it several times a second."""
HANDSHAKE_TIMEOUT_S: Final = 5.0
REFUSED_EVENT: Final = "kafka refuses the login, retrying"
RECENT_REFUSAL_S: Final = 15.0
"""If the last refusal is older than this, it may be over: refused clients try again within 2 s."""
_logged_at_s: dict[str, float] = {}
"""Text of a refusal → when it was logged last."""
_last_refusal_s: float | None = None
_lock = threading.Lock()
REFUSAL_CODES: Final = (KafkaError._AUTHENTICATION, KafkaError._SSL)  # noqa: SLF001  public in librdkafka
RESOURCE_BY_DENIAL_CODE: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "group",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "cluster",
}
"""Error code of a missing ACL → type of the resource."""
TLS_ALERT: Final = re.compile(r"ssl/tls alert ([a-z ]+)|alert (certificate required)")
"""Alert with which the broker rejects the client certificate. With TLS 1.3 it arrives after the handshake."""
DISCONNECTED: Final = "Broker transport failure"
"""The connection ended before the broker answered, e.g. while it stops. librdkafka reports that as a refusal."""


def login_options(settings: KafkaSettings) -> dict[str, object]:
    """Returns the librdkafka options for SASL and TLS."""
    if settings.security_protocol == "PLAINTEXT":
        return {}
    options: dict[str, object] = {}
    if settings.uses_sasl:
        options |= {
            "sasl.mechanism": settings.sasl_mechanism,
            "sasl.username": settings.sasl_username,
            "sasl.password": settings.sasl_password and settings.sasl_password.get_secret_value(),
        }
    if settings.uses_tls:
        options |= {
            "ssl.ca.location": settings.ssl_ca and str(settings.ssl_ca),
            "ssl.certificate.location": settings.ssl_certificate and str(settings.ssl_certificate),
            "ssl.key.location": settings.ssl_key and str(settings.ssl_key),
            "ssl.key.password": settings.ssl_key_password and settings.ssl_key_password.get_secret_value(),
            "ssl.endpoint.identification.algorithm": settings.ssl_endpoint_identification,
        }
    return {name: value for name, value in options.items() if value is not None}


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """Returns the TLS settings as an SSL context for Python clients; None without TLS.

    Raises:
        Misconfigured: A certificate or key file cannot be read or is invalid.
    """
    if not settings.uses_tls:
        return None
    try:
        for path in (settings.ssl_ca, settings.ssl_certificate, settings.ssl_key):
            if path is not None:
                path.read_bytes()  # OpenSSL's error would not name the file
        context = ssl.create_default_context(cafile=settings.ssl_ca)
        if settings.ssl_certificate is not None:
            password = settings.ssl_key_password
            # Without a password callback, OpenSSL would prompt on the terminal.
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


class AuthErrorCallback:
    """The `error_cb` of one client: keeps the latest login refusal and logs it.

    Other errors that librdkafka reports, such as an unreachable broker, resolve themselves and show in lag and queues.
    """

    def __init__(self, settings: KafkaSettings, *, silent: bool = False) -> None:
        """Creates the callback. `silent`: nothing is logged; the creator checks `refusal` itself."""
        self._settings, self._silent = settings, silent
        self.refusal: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        """Called by librdkafka in the thread that polls."""
        if DISCONNECTED not in error.str() and (error.code() in REFUSAL_CODES or TLS_ALERT.search(error.str())):
            self.refusal = error
            if not self._silent and _is_log_due(_stable_text(error)):
                log.error(REFUSED_EVENT, reason=str(login_refused(self._settings, error)))


def log_refusal(error: Misconfigured, kafka_text: str) -> None:
    """Logs a login refusal, at most once per `LOG_INTERVAL_S` and `kafka_text` in this process."""
    if _is_log_due(kafka_text):
        log.error(REFUSED_EVENT, reason=str(error))


def recently_refused() -> bool:
    """True if Kafka refused a login of this process a moment ago, which explains a wait: the process does not hang."""
    return _last_refusal_s is not None and time.monotonic() - _last_refusal_s < RECENT_REFUSAL_S


def _is_log_due(kafka_text: str) -> bool:
    global _last_refusal_s  # noqa: PLW0603  one per process, as librdkafka's threads are
    with _lock:
        _last_refusal_s = now_s = time.monotonic()
        is_due = now_s - _logged_at_s.get(kafka_text, -LOG_INTERVAL_S) >= LOG_INTERVAL_S
        if is_due:
            _logged_at_s[kafka_text] = now_s
    return is_due


def login_refused(settings: KafkaSettings, error: KafkaError) -> Misconfigured:
    """Returns the error for a refused login: broker, user, reason and the settings to check, in one line."""
    address = _broker_address(error) or settings.bootstrap
    if error.code() == KafkaError._SSL:  # noqa: SLF001
        reason = _certificate_problem(settings, address) or _stable_text(error)
        is_name_mismatch = "ostname" in reason or "IP address" in reason
        to_check = "the host name in KAFKA_BOOTSTRAP_SERVERS" if is_name_mismatch else "KAFKA_SSL_CA_LOCATION"
        return Misconfigured(f"the certificate of Kafka at {address} is not accepted: {reason}; check {to_check}")
    alert = TLS_ALERT.search(error.str())
    if alert is not None:
        return Misconfigured(
            f"Kafka at {address} does not accept our certificate: {alert[1] or alert[2]}; check "
            "KAFKA_SSL_CERTIFICATE_LOCATION and KAFKA_SSL_KEY_LOCATION"
        )
    return login_refused_by_text(settings, _stable_text(error), address)


def login_refused_by_text(settings: KafkaSettings, reason: str, address: str = "") -> Misconfigured:
    """Returns the error for a refused login of which only the text is available, from Kafka or from TLS."""
    if "SSL:" in reason:
        return Misconfigured(f"TLS to Kafka at {address or settings.bootstrap} failed: {reason}; check KAFKA_SSL_*")
    return Misconfigured(
        f"Kafka at {address or settings.bootstrap} refuses the login of {settings.user}: {reason}; check "
        "KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
    )


def authorization_failed(settings: KafkaSettings, error: KafkaError, operation: str, name: str) -> Misconfigured | None:
    """Returns the error for a missing ACL in one line; None if `error` has another cause.

    Args:
        settings: Settings with the Kafka user.
        error: Kafka's error.
        operation: ACL operation that the request needs, such as `Write`.
        name: Topic or group of the request.
    """
    resource = RESOURCE_BY_DENIAL_CODE.get(error.code())
    return None if resource is None else missing_acl(settings, operation, resource, name)


def missing_acl(settings: KafkaSettings, operation: str, resource: str, name: str) -> Misconfigured:
    """Returns the error for a missing ACL."""
    return Misconfigured(
        f"Kafka denies {settings.user} {operation} on {resource} {name}: `rackstream acls` lists each role's ACLs, "
        "--check the missing ones"
    )


def request_failed(settings: KafkaSettings, error: KafkaError, operation: str, name: str) -> Misconfigured | Retry:
    """Returns the error for a failed request: a missing ACL, or anything else, which may succeed later."""
    return authorization_failed(settings, error, operation, name) or Retry(f"no answer from Kafka: {error.str()}")


def _stable_text(error: KafkaError) -> str:
    """Librdkafka's text without addresses and times, which differ each time."""
    text = re.sub(r"\s*\(after \d+ms in state \w+\)|\s*\([^()]*identical error[^()]*\)", "", error.str())
    return re.sub(r"^\S+://\S+: |SASL authentication error: ", "", text)


def _broker_address(error: KafkaError) -> str:
    match = re.match(r"\w+://([^/\s]+:\d+)/", error.str())
    return match[1] if match else ""


def _certificate_problem(settings: KafkaSettings, address: str) -> str:
    """Finds the flaw of a broker's certificate by a handshake: librdkafka has one text for all flaws."""
    host, _, port = address.rpartition(":")
    context = ssl_context(settings)
    if context is None:
        return ""
    try:
        with (
            socket.create_connection((host, int(port)), timeout=HANDSHAKE_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host.strip("[]")),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        return str(error.verify_message).rstrip(". ")
    except (OSError, ValueError):
        return ""
