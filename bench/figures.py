"""Figures of several runs, and the one table they end in."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

RUNS = 3


class Wrong(Exception):
    """What was measured did not do its work: the figure is worth nothing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `runs` has one figure per run; `cpu` the CPU time of one operation in µs, per run.

    `most` says which end is the good one. `target` is in words; `met` says whether the median reached it.
    """

    what: str
    runs: Sequence[float]
    unit: str
    most: bool = True
    cpu: Sequence[float] = ()
    note: str = ""
    target: str = ""
    met: bool | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def worst(self) -> float:
        return min(self.runs) if self.most else max(self.runs)

    def line(self) -> str:
        cpu = f"{statistics.median(self.cpu):,.0f} µs" if self.cpu else ""
        verdict = "" if self.met is None else (" **met**" if self.met else " **missed**")
        cells = (self.what, self._shown(self.median), self._shown(self.worst), cpu, self.note, self.target + verdict)
        return f"| {' | '.join(cells)} |"

    def _shown(self, figure: float) -> str:
        return f"{figure:,.0f} {self.unit}" if figure >= 100 else f"{figure:,.2f} {self.unit}"


HEAD = f"| | median | worst of {RUNS} | CPU per operation | beside it | target |\n|---|---|---|---|---|---|"


def table(title: str, rows: Sequence[Row]) -> str:
    return "\n".join([f"### {title}", "", HEAD, *(row.line() for row in rows), ""])


def percentile(sorted_figures: Sequence[float], share: float) -> float:
    """The figure that `share` (0 to 1) of them do not exceed."""
    return sorted_figures[min(len(sorted_figures) - 1, int(len(sorted_figures) * share))]


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}"


def spread(seconds: Sequence[float]) -> str:
    """`p50 1.2, p99 3.4 ms`."""
    ordered = sorted(seconds)
    return f"p50 {ms(percentile(ordered, 0.5))}, p99 {ms(percentile(ordered, 0.99))} ms"
