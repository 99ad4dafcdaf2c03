"""Thread pool that grows with the number of concurrent jobs.

A job that hangs does not delay the exit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

Job = Callable[[], None]


class WorkerPool:
    """Pool of daemon threads. Jobs must not raise.

    Unlike those of `concurrent.futures`, the interpreter does not wait for them when it exits.
    """

    def __init__(self, name: str, max_threads: int) -> None:
        self.max_threads = max_threads
        self._name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._threads = 0
        self._busy = 0

    def submit(self, job: Job) -> None:
        """Passes a job to an idle or new thread; at the limit, to the first that becomes idle."""
        with self._changed:
            self._busy += 1
            if self._busy > self._threads and self._threads < self.max_threads:
                self._threads += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        self._jobs.put(job)

    def wait_idle(self, timeout_s: float) -> bool:
        """Waits up to `timeout_s` seconds for all jobs. Returns True if they are done."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, timeout_s)

    def close(self) -> None:
        """Ends the threads once all jobs are done."""
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
