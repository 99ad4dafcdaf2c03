"""What a process takes for its records, told to the process that waits for it. Only the standard library."""

from __future__ import annotations

import json
import resource


def cpu_s() -> float:
    """User and system time of this process with all its threads, s."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Meter:
    """CPU seconds from the end of the warm-up to the last record."""

    def __init__(self, total: int) -> None:
        self._warm, self.total = total // 5, total
        self._count = self._from = 0
        self._began_s = 0.0

    def add(self, count: int) -> bool:
        """Counts records; true when all are done."""
        self._count += count
        if not self._from and self._count >= self._warm:
            self._from, self._began_s = self._count, cpu_s()
        return self._count >= self.total

    def tell(self) -> None:
        """Prints the result for the process that waits for it."""
        rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        told = {"cpu_s": cpu_s() - self._began_s, "records": self._count - self._from, "rss_mib": rss_mib}
        print(json.dumps(told), flush=True)
