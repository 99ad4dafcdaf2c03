"""Times a block or a function. No I/O: where the time goes is the caller's."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


def within(enter: Callable[[], AbstractContextManager[Any]], function: Callable[P, R]) -> Callable[P, R]:
    """The function, plain or `async`, with each call in a context manager of its own."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
            with enter():
                return await function(*args, **kwargs)

        return cast("Callable[P, R]", awaited)

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        with enter():
            return function(*args, **kwargs)

    return called


class Timed:
    """Context manager and decorator: one metric in ms per block or call, tagged with its success."""

    def __init__(self, collect: Callable[..., object], name: str, tags: Mapping[str, Any]) -> None:
        self._collect, self._name, self._tags = collect, name, tags
        self._began_s: list[float] = []  # a stack, for a block within a block

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function, timed at each call."""
        return within(lambda: Timed(self._collect, self._name, self._tags), function)

    def __enter__(self) -> None:
        self._began_s.append(time.perf_counter())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        elapsed_ms = (time.perf_counter() - self._began_s.pop()) * 1000
        self._collect(self._name, elapsed_ms, "ms", {**self._tags, "success": kind is None})
