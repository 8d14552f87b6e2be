"""What came of each fault: a line each, in one table that `make chaos` prints once all is done (tests/conftest.py)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

HEAD = (
    f"{'fault':22} {'rounds':>6} {'acked':>7} {'lost':>5} {'doubled':>7} {'healthy s':>11} {'works s':>11}  remarks\n"
    f"{'':22} {'':6} {'':7} {'':5} {'':7} {'p50 max':>11} {'p50 max':>11}"
)


@dataclass
class Row:
    fault: str
    rounds: int = 0
    acked: int = 0  # writes; of overload and restarts: requests
    lost: int = 0
    doubled: int = 0
    healthy: list[float] = field(default_factory=list)  # seconds until the process that was killed was ready again
    works: list[float] = field(default_factory=list)  # seconds until every kind of write had succeeded
    remarks: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def text(self) -> str:
        return (
            f"{self.fault:22} {self.rounds:6} {self.acked:7} {self.lost:5} {self.doubled:7} "
            f"{_spread(self.healthy):>11} {_spread(self.works):>11}  {'; '.join([*self.remarks, *self.wrong])}"
        ).rstrip()


ROWS: list[Row] = []


class Report(Protocol):
    nodeid: str


def show(stats: dict[str, list[Report]]) -> str:
    """The table, and a line for each file of tests. `stats`: pytest's reports by their outcome."""
    outcomes = ("passed", "failed", "error", "skipped")
    counts = {name: [report.nodeid.partition("::")[0] for report in stats.get(name, ())] for name in outcomes}
    files = sorted({file for found in counts.values() for file in found})
    lines = [f"{file}: " + ", ".join(f"{counts[name].count(file)} {name}" for name in outcomes) for file in files]
    return "\n".join(["", HEAD, *(row.text() for row in ROWS), "", *lines])


def middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _spread(values: Sequence[float]) -> str:
    return f"{middle(values):.1f} {max(values):.1f}" if values else ""
