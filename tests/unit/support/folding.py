"""One test over many things: it checks each of them and fails once, with the list of those that do not hold."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any


def over(
    items: Iterable[Any], name: Callable[[Any], str] = str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Folds a test whose first argument is one item into a test over all items; further arguments are fixtures.

    Unlike `parametrize` it makes one test of hundreds of items: for claims about files, where one item costs little.
    A tuple becomes several arguments.
    """
    items = list(items)

    def fold(test: Callable[..., None]) -> Callable[..., None]:
        width = len(items[0]) if items and isinstance(items[0], tuple) else 1
        parameters = list(inspect.signature(test).parameters.values())

        def folded(**fixtures: Any) -> None:
            assert items, "nothing to check"
            offenders = []
            for item in items:
                try:
                    test(*(item if isinstance(item, tuple) else (item,)), **fixtures)
                except AssertionError as error:
                    offenders.append(f"{name(item)}: {error}")
            assert not offenders, f"{len(offenders)} of {len(items)}:\n" + "\n".join(offenders)

        folded.__name__, folded.__doc__, folded.__module__ = test.__name__, test.__doc__, test.__module__
        folded.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters[width:]]
        )
        return folded

    return fold
