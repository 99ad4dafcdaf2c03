"""Drives a step over records in a test. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from processors.drive import Partition
from processors.steps import Record, Step
from schemas import catalog


def drive(step: Step, records: Iterable[Record]) -> list[dict[str, list[Record]]]:
    """What each record leads to, by topic alias; late records lead to nothing.

    Raises:
        Exception: what the step raised.
    """
    partition = Partition(catalog.load(), [step])
    found = []
    for record in records:
        applied = partition.apply(record)
        for _, error in applied.failures:
            raise error
        outputs: dict[str, list[Any]] = {}
        for output in applied.outputs:
            outputs.setdefault(output.alias, []).append(output.record)
        found.append(outputs)
    return found
