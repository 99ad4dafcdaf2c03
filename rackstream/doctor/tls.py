"""Checks a BMC's certificate as its producer would: issuer, name, validity."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from typing import Final, cast

from rackstream.doctor.check import CheckResult, duration_text, fail, ok, warn

EXPIRES_SOON_S: Final = 14 * 86400.0
"""If a certificate expires within this time, it is a warning."""
CA_ADVICE: Final = "set its CA as `verify: FILE` in the fleet file, or replace the certificate by one of a known CA"
VERIFY_ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    9: ("its certificate is not valid yet", "correct the clock of this machine, or the BMC's"),
    10: (
        "its certificate has expired",
        "renew the certificate in the BMC; if it has not expired, correct the clock of this machine",
    ),
    18: ("its certificate is self-signed and not trusted", CA_ADVICE),
    19: ("its certificate is signed by an authority that is not trusted here", CA_ADVICE),
    20: ("its certificate is signed by an authority that is not known here", CA_ADVICE),
    21: ("its certificate is signed by an authority that is not known here", CA_ADVICE),
    62: (
        "its certificate is issued for another name",
        "use the name in the certificate as `address`, or have one issued for this name",
    ),
    64: (
        "its certificate is not issued for this address",
        "use the name in the certificate as `address`, or have one issued for the address",
    ),
}
"""OpenSSL's verify code → meaning and advice. https://docs.openssl.org/3.0/man1/openssl-verification-options/"""
NO_TLS: Final = ("does not speak TLS on this port", "check the port; for plain HTTP, write http:// in `address`")
OLD_PROTOCOL: Final = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE")
WEAK_CIPHERS: Final = ("SSLV3_ALERT_HANDSHAKE_FAILURE", "HANDSHAKE_FAILURE", "NO_SHARED_CIPHER", "DH_KEY_TOO_SMALL")
PLAIN_TEXT: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


def check_tls(host: str, port: int, context: ssl.SSLContext, timeout_s: float) -> CheckResult:
    """Makes a handshake with `context`, which defines how certificates are verified."""
    try:
        with (
            socket.create_connection((host, port), timeout_s) as raw,
            context.wrap_socket(raw, server_hostname=host) as secured,
        ):
            return _check_expiry(secured.version() or "TLS", secured.getpeercert() or {})
    except ssl.SSLCertVerificationError as error:
        observed, advice = VERIFY_ERRORS.get(
            error.verify_code, (f"certificate not accepted: {error.verify_message}", CA_ADVICE)
        )
        return fail(observed, advice)
    except ssl.SSLError as error:
        return _handshake_failed(error.reason or "")
    except TimeoutError:
        if _speaks_http(host, port, timeout_s):
            return fail(*NO_TLS)
        return fail(
            f"accepts connections but does not answer the TLS handshake within {timeout_s:g} s",
            "the BMC's web server hangs: reset the BMC (not its host)",
        )
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        return fail(f"closes the connection during the TLS handshake: {reason}", "check that this is its HTTPS port")


def _speaks_http(host: str, port: int, timeout_s: float) -> bool:
    """True if the server speaks plain HTTP: it may wait for the end of what is no request."""
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(5).startswith(b"HTTP/")
    except OSError:
        return False


def _handshake_failed(reason: str) -> CheckResult:
    if reason in OLD_PROTOCOL:
        return fail("speaks only TLS older than 1.2", "update the BMC's firmware, or allow TLS 1.2 in its settings")
    if reason in WEAK_CIPHERS:
        return fail(
            "offers no cipher or key that is still considered safe", "update the BMC's firmware and its certificate"
        )
    if reason in PLAIN_TEXT:
        return fail(*NO_TLS)
    return fail(f"TLS failed: {reason.replace('_', ' ').lower() or 'unknown'}", "check the BMC's HTTPS settings")


def _check_expiry(version: str, certificate: Mapping[str, object]) -> CheckResult:
    if not certificate:  # Python returns it only if it is verified
        return ok(f"{version}; its certificate is not verified (`verify: false`)")
    remaining_s = ssl.cert_time_to_seconds(cast("str", certificate["notAfter"])) - time.time()
    if remaining_s < EXPIRES_SOON_S:
        return warn(
            f"{version}; its certificate expires in {duration_text(remaining_s)}", "renew the certificate in the BMC"
        )
    return ok(f"{version}; its certificate is accepted, and expires in {duration_text(remaining_s)}")
