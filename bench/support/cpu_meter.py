"""Measures the CPU time of a process for its records and prints it for the parent. Standard library only."""

from __future__ import annotations

import json
import resource


def cpu_s() -> float:
    """Returns user and system time of this process with all its threads, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class CpuMeter:
    """Measures CPU seconds from the end of the warm-up, a fifth of the records, to the last record."""

    def __init__(self, total: int) -> None:
        self._warm_up, self.total = total // 5, total
        self._count = self._measured_from = 0
        self._began_s = 0.0

    def add(self, count: int) -> bool:
        """Counts records; returns True when all are done."""
        self._count += count
        if not self._measured_from and self._count >= self._warm_up:
            self._measured_from, self._began_s = self._count, cpu_s()
        return self._count >= self.total

    def report(self) -> None:
        """Prints the result as JSON for the parent process."""
        rss_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        result = {"cpu_s": cpu_s() - self._began_s, "records": self._count - self._measured_from, "rss_mib": rss_mib}
        print(json.dumps(result), flush=True)
