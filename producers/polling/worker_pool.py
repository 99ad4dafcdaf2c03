"""Threads that do jobs: as many as there are jobs at once, up to a limit. A job that hangs never holds up the exit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

Job = Callable[[], None]


class Workers:
    """Daemon threads: unlike those of `concurrent.futures`, they are not waited for when the interpreter ends.

    Jobs must not raise.
    """

    def __init__(self, name: str, at_most: int) -> None:
        self.at_most = at_most
        self._name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._threads = 0
        self._busy = 0

    def do(self, job: Job) -> None:
        """Hands a job to a thread that is idle, or to a new one; at the limit, to the first that gets idle."""
        with self._changed:
            self._busy += 1
            if self._busy > self._threads and self._threads < self.at_most:
                self._threads += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        self._jobs.put(job)

    def wait(self, timeout_s: float) -> bool:
        """Whether all jobs are done; waits up to `timeout_s` seconds for that."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, timeout_s)

    def close(self) -> None:
        """Lets the threads end when they have nothing more to do."""
        with self._changed:
            for _ in range(self._threads):
                self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()
