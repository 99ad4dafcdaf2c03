"""Lines to InfluxDB 1.8, 2 or 3: one synchronous request per body, and what its errors mean.

What the client library does is measured, not guessed: only `bytes` bodies are sent, only synchronous mode tells success
from failure, its options must not be shared, and connection trouble comes as raw urllib3 errors.
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
"""InfluxDB 3 takes 10 MiB, counted after gunzip."""
DEVICES: Final = b"vm_devices,"
"""How the lines begin that may have a database of their own."""
REFUSED: Final = (400, 413, 422)
"""This body will never pass whole. Whether its good lines are stored differs by version."""


def bodies(lines: Sequence[bytes], max_lines: int, max_bytes: int = MAX_BODY_BYTES) -> Iterator[tuple[int, int]]:
    """Cuts lines into ranges [first, end) that fit one request. A line larger than that goes alone."""
    first = 0
    while first < len(lines):
        end = min(first + max_lines, len(lines))
        size = sum(map(len, lines[first:end])) + end - first
        while size > max_bytes and end > first + 1:
            end -= 1
            size -= len(lines[end]) + 1
        yield first, end
        first = end


def _seconds(text: str | None) -> float | None:
    """Retry-After, where it is a number."""
    try:
        return float(text) if text else None
    except ValueError:
        return None


class InfluxClient:
    """Writes lines, several bodies at once. Thread-safe."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        self._token = settings.token.get_secret_value()
        options = WriteOptions(
            write_type=WriteType.synchronous,
            use_v2_api=settings.api == "v2",
            no_sync=False,  # it would acknowledge lines that a crash of the server loses
            timeout=int(settings.timeout_s * 1000),
        )
        url = urlsplit(settings.url)
        self._client = InfluxDBClient3(
            host=settings.url,
            # Without a port the library takes 443, for http as well.
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
        """Returns when every line is stored that can be: indices of the others, and why.

        Raises:
            Retry: the server is away or busy; part of the lines may be stored.
            Misconfigured: token, database or endpoint is wrong.
        """
        jobs = []
        for database, places in self._by_database(lines).items():
            own = lines if len(places) == len(lines) else [lines[at] for at in places]
            for first, end in bodies(own, self._settings.max_lines):
                jobs.append(self._pool.submit(self._put, own[first:end], places[first:end], database))
        failures = [error for error in (job.exception() for job in jobs) if error is not None]
        if failures:
            raise next((error for error in failures if not isinstance(error, Retry)), failures[0])
        return {at: why for job in jobs for at, why in job.result().items()}

    def _by_database(self, lines: Sequence[bytes]) -> dict[str, Sequence[int]]:
        """Database → indices of its lines."""
        database, devices = self._settings.database, self._settings.devices_database
        if devices is None:
            return {database: range(len(lines))}
        there = [line.startswith(DEVICES) for line in lines]
        return {
            database: [at for at, moved in enumerate(there) if not moved],
            devices: [at for at, moved in enumerate(there) if moved],
        }

    def _put(self, lines: Sequence[bytes], places: Sequence[int], database: str) -> dict[int, str]:
        """Writes one body of lines, in parts where the server refuses it; `places` are their indices in the batch."""
        refused: dict[int, str] = {}
        while lines:
            try:
                self._send(b"\n".join(lines), database)
            except InfluxDBPartialWriteError as error:
                bad = {line_error.line_number - 1: line_error.error_message for line_error in error.line_errors}
                if not all(0 <= at < len(lines) for at in bad):
                    return refused | self._halves(lines, places, self._text(error), database)
                refused |= {places[at]: self._clean(why) for at, why in bad.items()}
                # Written again without them: only an acknowledgement says that the others are stored.
                kept = [at for at in range(len(lines)) if at not in bad]
                lines, places = [lines[at] for at in kept], [places[at] for at in kept]
            except ApiException as error:
                if error.status in REFUSED:
                    return refused | self._halves(lines, places, self._text(error), database)
                raise self._failure(error, database) from None
            except (HTTPError, OSError) as error:
                raise Retry(f"InfluxDB at {self._settings.url} not reached: {self._clean(str(error))}") from None
            else:
                break
        return refused

    def _halves(self, lines: Sequence[bytes], places: Sequence[int], why: str, database: str) -> dict[int, str]:
        if len(lines) == 1:
            return {places[0]: why}
        half = len(lines) // 2
        return self._put(lines[:half], places[:half], database) | self._put(lines[half:], places[half:], database)

    def _send(self, body: bytes, database: str) -> None:
        if self._settings.compression == "gzip":
            self._client.write(gzip.compress(body, 1), database=database, content_encoding="gzip")
        else:
            self._client.write(body, database=database)

    def _failure(self, error: ApiException, database: str) -> Failure:
        """What an HTTP status other than success and refusal means."""
        status, text, url = error.status, self._text(error), self._settings.url
        if status in (401, 403):
            return Misconfigured(f"InfluxDB at {url} answers {status} ({text}): check INFLUX_TOKEN and its rights")
        if status == 404 and "not found" in text.lower() and self._settings.api == "v2":
            return Misconfigured(
                f"InfluxDB at {url} has no {database!r} ({text}): check INFLUX_DB, "
                "or let `rackstream sink influx --set-up` create it"
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
            return Retry(f"InfluxDB at {url} answers {status}: {text}", after_s=_seconds(error.retry_after))
        return Misconfigured(f"InfluxDB at {url} answers {status} ({text}): check INFLUX_URL")

    def _text(self, error: ApiException | InfluxDBPartialWriteError) -> str:
        return self._clean(str(error.message or getattr(error, "reason", "")))

    def _clean(self, text: str) -> str:
        """Fit for logs and letters: short, and without the token, should a proxy repeat it."""
        text = text.replace(self._token, "***").strip()
        # The reason is at either end: versions repeat a line that is refused before it or after it.
        return text if len(text) <= 500 else f"{text[:200]} … {text[-300:]}"

    def close(self) -> None:
        """Lets connections go."""
        self._pool.shutdown()
        self._client.close()
