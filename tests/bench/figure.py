"""One measured figure, and how a list of them is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

HEADINGS = ("what", "number", "per second", "p50 ms", "p99 ms", "engine CPU ms each", "wrong")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What was done how often in which time [s], and how many answers were not the expected ones."""

    what: str
    number: int
    seconds: float
    engine_cpu_s: float
    """CPU time of the engine's processes meanwhile [s]; compare this first on a shared machine."""
    wrong: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None

    @property
    def rate(self) -> float:
        """Return how many a second [1/s]."""
        return self.number / self.seconds

    def as_json(self) -> dict[str, object]:
        """Return all fields and the rate."""
        return {**asdict(self), "per_second": round(self.rate, 1)}

    def as_row(self) -> tuple[str, ...]:
        """Return the cells under HEADINGS."""
        waits = ("–" if ms is None else f"{ms:.2f}" for ms in (self.p50_ms, self.p99_ms))
        each = self.engine_cpu_s / self.number * 1000
        return (self.what, f"{self.number:,}", f"{self.rate:,.0f}", *waits, f"{each:.2f}", str(self.wrong))


def percentile_ms(waits_s: Sequence[float], share: float) -> float:
    """Return the wait [ms] that `share` of all waits [s] do not exceed; nearest rank."""
    ordered = sorted(waits_s)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as text, one a line, columns aligned."""
    rows = [HEADINGS, *(figure.as_row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
