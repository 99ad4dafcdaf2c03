"""Client of a Confluent-compatible schema registry: registers and fetches schemas.

It uses no proxies and follows no redirects.
"""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings

TIMEOUT_S: Final = 15.0
MAX_RESPONSE_BYTES: Final = 1024 * 1024
RETRYABLE_STATUSES: Final = (408, 429)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, which would send the password to another server."""

    def redirect_request(self, *_: object) -> None:
        """Follows no redirect: the response becomes an error."""


def register(settings: KafkaSettings, subject: str, definition: Mapping[str, object]) -> int:
    """Registers a schema under a subject and returns the registry's id; an existing schema keeps its id.

    Raises:
        Retry: The registry did not answer, or is temporarily unavailable.
        Misconfigured: The registry refuses the login or the schema, or the URL is not that of a schema registry.
    """
    body = json.dumps({"schema": json.dumps(definition, ensure_ascii=False)}).encode()
    return int(_request(settings, f"/subjects/{quote(subject, safe='')}/versions", subject, "id", body))


def fetch(settings: KafkaSettings, id_: int) -> dict[str, Any]:
    """Returns the definition that the registry has under an id, as it is there: it may be any JSON object.

    Raises:
        Retry: The registry did not answer, or is temporarily unavailable.
        Misconfigured: The registry refuses the login or has no such id, or the URL is not that of a schema registry.
    """
    definition = json.loads(str(_request(settings, f"/schemas/ids/{id_}", f"schema {id_}", "schema")))
    return definition if isinstance(definition, dict) else {}


def _request(settings: KafkaSettings, path: str, subject: str, key: str, body: bytes | None = None) -> Any:
    """Sends one request, a POST if it has a body; returns a value of the answer."""
    assert settings.schema_registry is not None
    parts = urlsplit(settings.schema_registry.get_secret_value())
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    url = f"{origin}{parts.path}{path}"
    headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    if parts.username or parts.password:
        credentials = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(credentials.encode()).decode()}"
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), _NoRedirects, urllib.request.HTTPSHandler(context=_ssl_context(settings))
    )
    method = "POST" if body is not None else "GET"
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310  http or https, by the settings
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            value = json.loads(response.read(MAX_RESPONSE_BYTES))[key]
            return int(value) if key == "id" else str(value)
    except urllib.error.HTTPError as error:
        problem = f"schema registry {origin} answers {error.code} for {subject}: {_error_message(error)}"
        if error.code >= 500 or error.code in RETRYABLE_STATUSES:
            raise Retry(problem) from None
        raise Misconfigured(f"{problem}; check RACKSTREAM_SCHEMA_REGISTRY_URL and the user's permissions") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise Misconfigured(
                f"the certificate of the schema registry {origin} is not accepted: {reason.verify_message}; check "
                "RACKSTREAM_SCHEMA_REGISTRY_CA_LOCATION"
            ) from None
        raise Retry(f"schema registry {origin} not reached: {reason}") from None
    except (ValueError, KeyError, TypeError):
        raise Misconfigured(f"{url} is not a schema registry: check RACKSTREAM_SCHEMA_REGISTRY_URL") from None


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.schema_registry_ca)
    except OSError as error:
        raise Misconfigured(
            f"RACKSTREAM_SCHEMA_REGISTRY_CA_LOCATION: {settings.schema_registry_ca}: {error.strerror or error}"
        ) from None


def _error_message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(MAX_RESPONSE_BYTES))["message"])[:500]
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return str(error.reason)[:200]
