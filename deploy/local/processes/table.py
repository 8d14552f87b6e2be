"""The live table in a terminal."""

from contextlib import suppress

from rich.live import Live
from rich.table import Table
from rich.text import Text

from deploy.local.processes.process import Display, Process

COLOURS = {"healthy": "green", "waiting": "dim", "stopped": "dim"}


class TableDisplay(Display):
    """Stays at the bottom of the terminal; messages scroll above it."""

    def __init__(self) -> None:
        self._processes: list[Process] = []
        self._live = Live(auto_refresh=False)
        self._live.start()

    def show(self, process: Process) -> None:
        if process not in self._processes:
            self._processes.append(process)
        table = Table("process", "port", "pid", "state", "restarts")
        for shown in self._processes:
            state = Text(shown.state, COLOURS.get(shown.state, "yellow"))
            pid, restarts = str(shown.pid or ""), str(shown.restarts or "")
            table.add_row(shown.name, shown.port_list, pid, state, restarts)
        with suppress(OSError):
            self._live.update(table, refresh=True)

    def say(self, text: str) -> None:
        with suppress(OSError):
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        with suppress(OSError):
            self._live.stop()
