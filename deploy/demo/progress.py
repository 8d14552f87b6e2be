"""Shows each phase as a progress bar in a terminal, else as a line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from deploy.demo.demo_run import Progress


class Lines(Progress):
    def begin(self, phase: str, steps: int) -> None:
        print(f"{phase} …", flush=True)

    def advance(self, phase: str) -> None:
        pass


class Terminal(Progress):
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def begin(self, phase: str, steps: int) -> None:
        self._tasks[phase] = self._bars.add_task(phase, total=steps)

    def advance(self, phase: str) -> None:
        self._bars.advance(self._tasks[phase])


@contextmanager
def open_progress() -> Iterator[Progress]:
    if not sys.stdout.isatty():
        yield Lines()
        return
    columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns) as bars:
        yield Terminal(bars)
