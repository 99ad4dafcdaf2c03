"""The InfluxDB sink: records as line protocol. The package's public names are imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sinks.sink import SinkSpec

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings
    from sinks.files.manifest import ReplayRange
    from sinks.influx.connector import InfluxConnector
    from sinks.influx.sink import InfluxSink
    from sinks.replay.compare_influx import InfluxComparison
    from sinks.replay.destination import InfluxBackfill, OnDifference, TopicIds
    from sinks.settings import BatchLimits

__all__ = ["SPEC", "InfluxConnector", "InfluxSink"]


def __getattr__(name: str) -> object:
    if name == "InfluxConnector":
        from sinks.influx.connector import InfluxConnector

        return InfluxConnector
    if name == "InfluxSink":
        from sinks.influx.sink import InfluxSink

        return InfluxSink
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _dataset_topics() -> tuple[str, ...]:
    from sinks import datasets

    return datasets.aliases()


def _create(settings: KafkaSettings, name: str | None) -> tuple[InfluxSink, BatchLimits]:  # noqa: ARG001  needs neither
    from sinks.influx.sink import InfluxSink
    from sinks.settings import InfluxSettings

    influx = InfluxSettings.read()
    return InfluxSink(influx), influx.limits


def _is_configured() -> bool:
    from sinks.settings import InfluxSettings

    return InfluxSettings.is_configured()


def _set_up(create: bool, report: Callable[[str], None]) -> None:  # noqa: FBT001  the signature of a specification
    from sinks.influx.setup import set_up
    from sinks.settings import InfluxSettings

    set_up(InfluxSettings.read(), create=create, report=report)


class _InfluxReplay:
    """InfluxDB as destination of a replay."""

    def backfill(
        self,
        settings: KafkaSettings,  # noqa: ARG002  the signature of a destination
        period: ReplayRange,  # noqa: ARG002
        topics: TopicIds,  # noqa: ARG002
        *,
        started: datetime,  # noqa: ARG002
        write: bool,
    ) -> InfluxBackfill:
        from sinks.influx.sink import InfluxSink
        from sinks.replay.destination import InfluxBackfill
        from sinks.settings import InfluxSettings

        return InfluxBackfill(InfluxSink(InfluxSettings.read()) if write else None)

    def compare(
        self,
        settings: KafkaSettings,  # noqa: ARG002
        period: ReplayRange,
        topics: Mapping[str, str],
        *,
        incomplete: set[str],
        on_difference: OnDifference,
    ) -> InfluxComparison:
        from sinks.replay.compare_influx import InfluxComparison
        from sinks.settings import InfluxSettings

        return InfluxComparison(InfluxSettings.read(), period, topics.values(), incomplete, on_difference)


SPEC: Final = SinkSpec(
    kind="influx",
    help="Store records in InfluxDB 1.8, 2 or 3.",
    topics=_dataset_topics,
    create=_create,
    is_configured=_is_configured,
    set_up=_set_up,
    replay=_InfluxReplay(),
)
