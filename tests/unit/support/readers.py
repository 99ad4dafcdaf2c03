"""A reader of targets that exist only in a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from producers.reader import PollFailed, Problems, Sample, TargetFacts
from schemas.testing import make_raw_record

HEADER = (
    "host", "category", "observed_at", "monotonic_s", "producer", "epoch", "sequence", "previous_epoch",
    "previous_sequence", "dropped", "duration_s", "interval_s", "errors", "labels",
)  # fmt: skip


class HostSource:
    """Implements `producers.reader.Reader`: gives samples of source host, or fails as it is told."""

    source = "host"

    def __init__(self, host: str, *, interval_s: float = 0.05, on_read: Callable[[], None] = lambda: None) -> None:
        self.host = host
        self.address = f"test://{host}"
        self.labels: Mapping[str, str] = {"rack": "r1"}
        self.intervals: Mapping[str, float] = {"host": interval_s}
        self.session: str | None = None
        self.failure: Exception | None = None
        self.reads = self.closed = 0
        self.aborted = False
        self._on_read = on_read

    def read(self, category: str, timeout_s: float) -> Sample:
        self.reads += 1
        self._on_read()
        if self.failure is not None:
            raise self.failure
        record = make_raw_record("HostSample", load_1=1.0)
        return Sample({name: value for name, value in record.items() if name not in HEADER}, Problems())

    def facts(self) -> TargetFacts:
        return TargetFacts(session_uri=self.session)

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed += 1
        self.session = None


UNREACHABLE = PollFailed("unreachable", "connection refused")
