"""Test helper: runs a step over records. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from processors.engine.partition import Partition
from processors.engine.step import AnyRecord, AnyStep, RulePacks
from schemas import catalog


def run_step(
    step: AnyStep,
    records: Iterable[AnyRecord],
    *,
    packs: RulePacks | None = None,
    after: Iterable[AnyStep] = (),
    late_s: Mapping[int, float] | None = None,
) -> list[dict[str, list[AnyRecord]]]:
    """Returns the outputs of each record by topic alias; late records have none.

    Args:
        step: The step.
        records: Its input.
        packs: The rule packs; default: the built-in one.
        after: Steps whose outputs it reads.
        late_s: Position of a record → seconds between its observation and its arrival; default: none.

    Raises:
        Exception: The one raised by the step.
    """
    partition = Partition(catalog.load(), [*after, step])
    partition.packs = packs
    results = []
    for position, record in enumerate(records):
        arrived_at = record["observed_at"] + timedelta(seconds=(late_s or {}).get(position, 0))
        result = partition.apply(record, appended_at=arrived_at)
        for _, error in result.failures:
            raise error
        outputs: dict[str, list[AnyRecord]] = {}
        for output in result.outputs:
            outputs.setdefault(output.alias, []).append(output.record)
        results.append(outputs)
    return results
