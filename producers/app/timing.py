"""Times a block or a function, and passes the result on."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import ParamSpec, TypeVar, cast

from producers.app.model import Metadata

P = ParamSpec("P")
R = TypeVar("R")


def wrap_calls(enter: Callable[[], AbstractContextManager[None]], function: Callable[P, R]) -> Callable[P, R]:
    """Wraps a function, plain or `async`, so that each call runs in its own context manager."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def async_wrapper(*args: P.args, **kwargs: P.kwargs) -> object:
            with enter():
                return await cast("Awaitable[object]", function(*args, **kwargs))

        return cast("Callable[P, R]", async_wrapper)

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with enter():
            return function(*args, **kwargs)

    return wrapper


class Timed:
    """Context manager and decorator that collects one metric in ms per block or call."""

    def __init__(self, collect: Callable[..., object], name: str, tags: Metadata) -> None:
        self._collect, self._name, self._tags = collect, name, tags
        self._started_s: list[float] = []  # a stack, for a block within a block

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Wraps a function so that each call is timed."""
        return wrap_calls(lambda: Timed(self._collect, self._name, self._tags), function)

    def __enter__(self) -> None:
        self._started_s.append(time.perf_counter())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        elapsed_ms = (time.perf_counter() - self._started_s.pop()) * 1000
        self._collect(self._name, elapsed_ms, "ms", {**self._tags, "success": kind is None})
