"""Drives a step over records in a test. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from processors.alerting.rule_pack import Packs
from processors.engine.partition import Partition
from processors.engine.step import Record, Step
from schemas import catalog


def drive(
    step: Step,
    records: Iterable[Record],
    *,
    packs: Packs | None = None,
    after: Iterable[Step] = (),
    late_s: Mapping[int, float] | None = None,
) -> list[dict[str, list[Record]]]:
    """What each record leads to, by topic alias; late records lead to nothing.

    Args:
        step: the step.
        records: what it is given.
        packs: the rules; default: those that come with the code.
        after: the steps that it is given the outputs of.
        late_s: position of a record → seconds between its observation and its arrival; default: none.

    Raises:
        Exception: what the step raised.
    """
    partition = Partition(catalog.load(), [*after, step])
    partition.packs = packs or partition.packs
    found = []
    for at, record in enumerate(records):
        arrived = record["observed_at"] + timedelta(seconds=(late_s or {}).get(at, 0))
        applied = partition.apply(record, appended_at=arrived)
        for _, error in applied.failures:
            raise error
        outputs: dict[str, list[Any]] = {}
        for output in applied.outputs:
            outputs.setdefault(output.alias, []).append(output.record)
        found.append(outputs)
    return found
