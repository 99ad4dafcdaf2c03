"""A Confluent-compatible schema registry, asked to register a schema. Redirects are not followed, proxies not used."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings

TIMEOUT_S: Final = 15.0
MAX_ANSWER: Final = 1024 * 1024
AGAIN: Final = (408, 429)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """They would carry the password elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        """Follows none: the answer is then an error."""


def register(settings: KafkaSettings, subject: str, definition: dict[str, Any]) -> int:
    """The registry's id of a schema under a subject; a schema that is there already keeps its id.

    Raises:
        Retry: the registry did not answer, or not now.
        Misconfigured: it refuses the login or the schema, or is no registry.
    """
    assert settings.schema_registry is not None
    parts = urlsplit(settings.schema_registry.get_secret_value())
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    url = f"{origin}{parts.path}/subjects/{quote(subject, safe='')}/versions"
    headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    if parts.username or parts.password:
        pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    body = json.dumps({"schema": json.dumps(definition, ensure_ascii=False)}).encode()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), _NoRedirects, urllib.request.HTTPSHandler(context=_trust(settings))
    )
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310  http or https, by the settings
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return int(json.loads(answer.read(MAX_ANSWER))["id"])
    except urllib.error.HTTPError as error:
        said = f"schema registry {origin} answers {error.code} for {subject}: {_said(error)}"
        if error.code >= 500 or error.code in AGAIN:
            raise Retry(said) from None
        raise Misconfigured(f"{said}; check RACKSTREAM_SCHEMA_REGISTRY_URL and what it allows") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise Misconfigured(
                f"the certificate of the schema registry {origin} is not accepted: {reason.verify_message}; check "
                "RACKSTREAM_SCHEMA_REGISTRY_CA_LOCATION"
            ) from None
        raise Retry(f"schema registry {origin} not reached: {reason}") from None
    except (ValueError, KeyError, TypeError):
        raise Misconfigured(
            f"{url} answers, but not as a schema registry: check RACKSTREAM_SCHEMA_REGISTRY_URL"
        ) from None


def _trust(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.schema_registry_ca)
    except OSError as error:
        raise Misconfigured(
            f"RACKSTREAM_SCHEMA_REGISTRY_CA_LOCATION: {settings.schema_registry_ca}: {error.strerror or error}"
        ) from None


def _said(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(MAX_ANSWER))["message"])[:500]
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return str(error.reason)[:200]
