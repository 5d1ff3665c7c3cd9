"""What is measured on: its size, what its disk needs for an fsync, how busy it is with other things."""

import os
import platform
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from .figures import ms


def described() -> str:
    """What it was measured on, and how busy that was with other things."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return "\n".join(
        [
            f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()} {platform.release()}, "
            f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
            f"One fsync of 4 KiB takes {ms(_fsync())} ms.",
        ]
    )


class Others:
    """How much of the machine other processes take while ours measure."""

    def __init__(self) -> None:
        self._began = self._ticks()

    def words(self) -> str:
        all_, busy, ours = (now - then for now, then in zip(self._ticks(), self._began, strict=True))
        return f"Other processes took {max(0.0, busy - ours) / (all_ or 1):.0%} of the machine meanwhile."

    def _ticks(self) -> tuple[float, float, float]:
        """Seconds since boot, of all cores: in all, busy, and busy for us and our ended children."""
        if not Path("/proc/stat").exists():
            return 0.0, 0.0, 0.0
        ticks = [int(t) / os.sysconf("SC_CLK_TCK") for t in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        return sum(ticks), sum(ticks) - ticks[3] - ticks[4], sum(os.times()[:4])


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _fsync() -> float:
    """The median of what makes a commit durable, in seconds: the floor under one transaction per message."""
    took = []
    with tempfile.TemporaryFile() as file:
        for _ in range(50):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - started)
    return statistics.median(took)
