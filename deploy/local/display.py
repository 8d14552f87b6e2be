"""What the user sees while everything runs: a table in a terminal, else a line for each change."""

import sys
from contextlib import suppress

from deploy.local.process import Display, Process


def open_display() -> Display:
    if not sys.stdout.isatty():
        return LineDisplay()
    # Costs 3 MB, of use to a terminal only.
    from deploy.local.table import TableDisplay  # noqa: PLC0415

    return TableDisplay()


class LineDisplay(Display):
    def show(self, process: Process) -> None:
        ports = f"  port {list_ports(process)}" if process.ports else ""
        pid = f"  pid {process.pid}" if process.pid else ""
        self.say(f"{process.name:<9} {process.state}{ports}{pid}")

    def say(self, text: str) -> None:
        # That nobody reads any more is no reason to fall.
        with suppress(OSError):
            print(text, flush=True)

    def close(self) -> None:
        pass


def list_ports(process: Process) -> str:
    return ", ".join(map(str, process.ports))
