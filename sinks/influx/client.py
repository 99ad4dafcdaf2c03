"""Client for writing lines to InfluxDB 1.8, 2 or 3: one synchronous request per body, with errors classified.

How the client library behaves was measured: it sends only `bytes` bodies as they are, only its synchronous mode reports
success or failure, its options must not be shared, and connection errors are raw urllib3 errors.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from influxdb_client_3 import InfluxDBClient3
from influxdb_client_3.exceptions import InfluxDBPartialWriteError
from influxdb_client_3.write_client.client.write_api import WriteOptions, WriteType
from influxdb_client_3.write_client.write_exceptions import ApiException
from urllib3.exceptions import HTTPError

from runtime.errors import Failure, Misconfigured, Retry

if TYPE_CHECKING:
    from sinks.settings import InfluxSettings

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
"""InfluxDB 3 accepts 10 MiB, counted after decompression."""
DEVICES_PREFIX: Final = b"vm_devices,"
"""Prefix of the lines that may have a database of their own."""
REFUSED_STATUS: Final = (400, 413, 422)
"""The body will never be accepted as a whole. Whether its valid lines are stored differs by version."""


def split_bodies(lines: Sequence[bytes], max_lines: int, max_bytes: int = MAX_BODY_BYTES) -> Iterator[tuple[int, int]]:
    """Yields ranges [first, end) of lines that fit into one request. A line that is too large alone gets its own."""
    first = 0
    while first < len(lines):
        end = min(first + max_lines, len(lines))
        size = sum(map(len, lines[first:end])) + end - first
        while size > max_bytes and end > first + 1:
            end -= 1
            size -= len(lines[end]) + 1
        yield first, end
        first = end


def _retry_after_s(text: str | None) -> float | None:
    """Returns the seconds of a Retry-After header, if it is a number."""
    try:
        return float(text) if text else None
    except ValueError:
        return None


class InfluxClient:
    """Writes lines, several bodies in parallel. Thread-safe."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        self._token = settings.token.get_secret_value()
        options = WriteOptions(
            write_type=WriteType.synchronous,
            use_v2_api=settings.api == "v2",
            no_sync=False,  # true would acknowledge lines that are lost if the server crashes
            timeout=int(settings.timeout_s * 1000),
        )
        url = urlsplit(settings.url)
        self._client = InfluxDBClient3(
            host=settings.url,
            # Without a port the library uses 443, even for http.
            write_port_overwrite=url.port or (443 if url.scheme == "https" else 80),
            database=settings.database,
            org=settings.org,
            token=self._token,
            ssl_ca_cert=str(settings.ca) if settings.ca else None,
            write_client_options={"write_options": options},
        )
        self._pool = ThreadPoolExecutor(settings.writers, thread_name_prefix="influx")

    def __repr__(self) -> str:
        return f"InfluxClient({self._settings.url}, {self._settings.database})"

    def write(self, lines: Sequence[bytes]) -> dict[int, str]:
        """Stores lines and returns when all but the refused ones are stored.

        Returns:
            Index of each refused line → reason.

        Raises:
            Retry: The server is unreachable or busy; some of the lines may be stored.
            Misconfigured: Token, database or endpoint is wrong.
        """
        jobs = []
        for database, indices in self._by_database(lines).items():
            own_lines = lines if len(indices) == len(lines) else [lines[index] for index in indices]
            for first, end in split_bodies(own_lines, self._settings.max_lines):
                jobs.append(self._pool.submit(self._write_body, own_lines[first:end], indices[first:end], database))
        failures = [error for error in (job.exception() for job in jobs) if error is not None]
        if failures:
            raise next((error for error in failures if not isinstance(error, Retry)), failures[0])
        return {index: reason for job in jobs for index, reason in job.result().items()}

    def _by_database(self, lines: Sequence[bytes]) -> dict[str, Sequence[int]]:
        """Returns the indices of the lines of each database."""
        database, devices_database = self._settings.database, self._settings.devices_database
        if devices_database is None:
            return {database: range(len(lines))}
        is_device = [line.startswith(DEVICES_PREFIX) for line in lines]
        return {
            database: [index for index, is_moved in enumerate(is_device) if not is_moved],
            devices_database: [index for index, is_moved in enumerate(is_device) if is_moved],
        }

    def _write_body(self, lines: Sequence[bytes], indices: Sequence[int], database: str) -> dict[int, str]:
        """Writes one body, in parts if the server refuses it.

        Args:
            lines: Its lines.
            indices: Their indices in the batch.
            database: Where to write them.

        Returns:
            Index of each refused line → reason.
        """
        refused: dict[int, str] = {}
        while lines:
            try:
                self._send(b"\n".join(lines), database)
            except InfluxDBPartialWriteError as error:
                bad = {line_error.line_number - 1: line_error.error_message for line_error in error.line_errors}
                if not all(0 <= number < len(lines) for number in bad):
                    return refused | self._write_halves(lines, indices, self._error_text(error), database)
                refused |= {indices[number]: self._shorten(reason) for number, reason in bad.items()}
                # Written again without them: only an acknowledgement proves that the others are stored.
                kept = [number for number in range(len(lines)) if number not in bad]
                lines, indices = [lines[number] for number in kept], [indices[number] for number in kept]
            except ApiException as error:
                if error.status in REFUSED_STATUS:
                    return refused | self._write_halves(lines, indices, self._error_text(error), database)
                raise self._classify(error, database) from None
            except (HTTPError, OSError) as error:
                raise Retry(f"InfluxDB at {self._settings.url} not reached: {self._shorten(str(error))}") from None
            else:
                break
        return refused

    def _write_halves(
        self, lines: Sequence[bytes], indices: Sequence[int], reason: str, database: str
    ) -> dict[int, str]:
        if len(lines) == 1:
            return {indices[0]: reason}
        half = len(lines) // 2
        first = self._write_body(lines[:half], indices[:half], database)
        return first | self._write_body(lines[half:], indices[half:], database)

    def _send(self, body: bytes, database: str) -> None:
        if self._settings.compression == "gzip":
            self._client.write(gzip.compress(body, 1), database=database, content_encoding="gzip")
        else:
            self._client.write(body, database=database)

    def _classify(self, error: ApiException, database: str) -> Failure:
        """Returns the error for an HTTP status that is neither success nor refusal."""
        status, text, url = error.status, self._error_text(error), self._settings.url
        if status in (401, 403):
            return Misconfigured(f"InfluxDB at {url} answers {status} ({text}): check INFLUX_TOKEN and its permissions")
        if status == 404 and "not found" in text.lower() and self._settings.api == "v2":
            return Misconfigured(
                f"InfluxDB at {url} has no {database!r} ({text}): check INFLUX_DB, "
                "or create it with `rackstream sink influx --set-up`"
            )
        if status == 0 and "CERTIFICATE_VERIFY_FAILED" in str(error.reason):
            return Misconfigured(f"certificate of {url} not trusted: set RACKSTREAM_INFLUX_CA to its CA's certificate")
        if status in (404, 405) or (status == 0 and "API endpoint" in str(error.reason)):
            other = "v2" if self._settings.api == "v3" else "v3"
            return Misconfigured(
                f"{url} has no {self._settings.api} write endpoint ({text}): set RACKSTREAM_INFLUX_API={other}, "
                "or check INFLUX_URL and INFLUX_DB"
            )
        if status in (0, 408, 429) or status >= 500:
            return Retry(f"InfluxDB at {url} answers {status}: {text}", after_s=_retry_after_s(error.retry_after))
        return Misconfigured(f"InfluxDB at {url} answers {status} ({text}): check INFLUX_URL")

    def _error_text(self, error: ApiException | InfluxDBPartialWriteError) -> str:
        return self._shorten(str(error.message or getattr(error, "reason", "")))

    def _shorten(self, text: str) -> str:
        """Returns a text for logs and dead letters: short, and without the token, should a proxy repeat it."""
        text = text.replace(self._token, "***").strip()
        # The reason is at either end: versions repeat the refused line before it or after it.
        return text if len(text) <= 500 else f"{text[:200]} … {text[-300:]}"

    def close(self) -> None:
        """Closes connections."""
        self._pool.shutdown()
        self._client.close()
