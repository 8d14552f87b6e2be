"""Shows the state of every process: as a table in a terminal, else one line per change."""

import sys
from contextlib import suppress

from deploy.local.processes.process import Display, Process


def open_display() -> Display:
    if not sys.stdout.isatty():
        return LineDisplay()
    # Imported late: it costs 3 MB, which only a terminal needs.
    from deploy.local.processes.table import TableDisplay  # noqa: PLC0415

    return TableDisplay()


class LineDisplay(Display):
    def show(self, process: Process) -> None:
        ports = f"  port {process.port_list}" if process.ports else ""
        pid = f"  pid {process.pid}" if process.pid else ""
        self.say(f"{process.name:<9} {process.state}{ports}{pid}")

    def say(self, text: str) -> None:
        # The run continues when its terminal or pipe is gone.
        with suppress(OSError):
            print(text, flush=True)

    def close(self) -> None:
        pass
