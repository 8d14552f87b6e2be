"""A bar for each act in a terminal, else a line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from deploy.demo.stage import Progress


class Lines(Progress):
    def begin(self, act: str, steps: int) -> None:
        print(f"{act} …", flush=True)

    def advance(self, act: str) -> None:
        pass


class Terminal(Progress):
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def begin(self, act: str, steps: int) -> None:
        self._tasks[act] = self._bars.add_task(act, total=steps)

    def advance(self, act: str) -> None:
        self._bars.advance(self._tasks[act])


@contextmanager
def open_progress() -> Iterator[Progress]:
    if not sys.stdout.isatty():
        yield Lines()
        return
    columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns) as bars:
        yield Terminal(bars)
