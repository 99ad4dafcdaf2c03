"""Is a BMC's certificate accepted as a producer would: who signed it, for whom, until when?"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any, Final

from rackstream.doctor.check import Finding, ago, fail, ok, warn

SOON_S: Final = 14 * 86400.0
"""A certificate that ends within this is a warning."""
CA: Final = "give its CA as `verify: FILE` in the fleet file, or replace the certificate by one of a CA known here"
REFUSED: Final[Mapping[int, tuple[str, str]]] = {
    9: ("its certificate is not valid yet", "set the clock of this machine, and the BMC's: one of them is wrong"),
    10: ("its certificate has expired", "renew the certificate in the BMC; if it has not expired, set this clock"),
    18: ("its certificate is self-signed and not trusted", CA),
    19: ("its certificate is signed by an authority that is not trusted here", CA),
    20: ("its certificate is signed by an authority that is not known here", CA),
    21: ("its certificate is signed by an authority that is not known here", CA),
    62: (
        "its certificate is of another name",
        "poll it by the name in the certificate, or have one made for this name",
    ),
    64: (
        "its certificate is not of this address",
        "poll it by the name in the certificate, or have it name the address",
    ),
}
"""OpenSSL's verify code → what it means, and what to do. https://docs.openssl.org/3.0/man1/openssl-verification-options/"""
NO_TLS: Final = ("does not speak TLS on this port", "check the port; if it is plain HTTP, write http:// in `address`")
OLD: Final = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE")
CIPHERS: Final = ("SSLV3_ALERT_HANDSHAKE_FAILURE", "HANDSHAKE_FAILURE", "NO_SHARED_CIPHER", "DH_KEY_TOO_SMALL")
PLAIN: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


def look(host: str, port: int, context: ssl.SSLContext, timeout_s: float) -> Finding:
    """A handshake by `context`, which says how certificates are checked."""
    try:
        with (
            socket.create_connection((host, port), timeout_s) as raw,
            context.wrap_socket(raw, server_hostname=host) as line,
        ):
            return _judged(line.version() or "TLS", line.getpeercert() or {})
    except ssl.SSLCertVerificationError as error:
        seen, do = REFUSED.get(error.verify_code, (f"certificate not accepted: {error.verify_message}", CA))
        return fail(seen, do)
    except ssl.SSLError as error:
        return _failed(error.reason or "")
    except TimeoutError:
        if _speaks_http(host, port, timeout_s):
            return fail(*NO_TLS)
        return fail(
            f"takes connections and says nothing of TLS within {timeout_s:g} s",
            "the BMC's web server hangs: reset the BMC (not its host)",
        )
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        return fail(f"ends the connection instead of TLS: {why}", "is this the port of its HTTPS?")


def _speaks_http(host: str, port: int, timeout_s: float) -> bool:
    """A server of plain HTTP may wait for the end of a request that a handshake is not."""
    try:
        with socket.create_connection((host, port), timeout_s) as line:
            line.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return line.recv(5).startswith(b"HTTP/")
    except OSError:
        return False


def _failed(reason: str) -> Finding:
    if reason in OLD:
        return fail("speaks only TLS older than 1.2", "update the BMC's firmware, or allow TLS 1.2 in its settings")
    if reason in CIPHERS:
        return fail("has no cipher or key that is still taken as safe", "update the BMC's firmware and its certificate")
    if reason in PLAIN:
        return fail(*NO_TLS)
    return fail(f"TLS failed: {reason.replace('_', ' ').lower() or 'unknown'}", "look at the BMC's HTTPS settings")


def _judged(version: str, certificate: Mapping[str, Any]) -> Finding:
    if not certificate:  # Python gives it only if it is checked
        return ok(f"{version}; its certificate is not checked (`verify: false`)")
    left_s = ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()
    if left_s < SOON_S:
        return warn(f"{version}; its certificate ends in {ago(left_s)}", "renew the certificate in the BMC")
    return ok(f"{version}; its certificate is accepted, and ends in {ago(left_s)}")
