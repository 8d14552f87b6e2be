"""Restarts each process whose code has changed on disk (`make run RELOAD=1`).

Polls modification times: for a few hundred files that takes milliseconds and needs no further package.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deploy.local.data_dir import ROOT
from deploy.local.processes.process import Display
from deploy.local.processes.service_process import ServiceProcess
from deploy.local.services import Service

POLL_SECONDS = 0.4

Snapshot = Mapping[Path, int]
"""The modification time, in ns, of each source file."""


async def reload_on_change(
    processes: Sequence[ServiceProcess], before: Mapping[str, Snapshot], display: Display
) -> None:
    """Restarts the processes whose sources differ from `before`, then from the last look. Runs until cancelled."""
    while True:
        after = await asyncio.to_thread(read_all, [process.service for process in processes])
        changed = [
            (process, find_changes(before[process.name], after[process.name]))
            for process in processes
            if before[process.name] != after[process.name]
        ]
        before = after
        await asyncio.gather(*(reload(process, files, display) for process, files in changed))
        await asyncio.sleep(POLL_SECONDS)


def read_all(services: Iterable[Service]) -> Mapping[str, Snapshot]:
    return {service.label: read_snapshot(service.code) for service in services}


def read_snapshot(folders: Iterable[str]) -> Snapshot:
    return {file: file.stat().st_mtime_ns for folder in folders for file in (ROOT / folder).rglob("*.py")}


def find_changes(before: Snapshot, after: Snapshot) -> list[Path]:
    """The files that were written, created or removed."""
    return sorted(file for file in before.keys() | after.keys() if before.get(file) != after.get(file))


async def reload(process: ServiceProcess, changed: Iterable[Path], display: Display) -> None:
    """Restarts the processes. While a changed file has a syntax error they stay stopped."""
    error = find_syntax_error(changed)
    if error:
        display.say(f"{process.name} is stopped: {error}. It starts again when the file is saved")
    await process.restart(held=bool(error))


def find_syntax_error(files: Iterable[Path]) -> str:
    """The first syntax error with its place; "" if there is none."""
    for file in files:
        try:
            compile(file.read_bytes(), file, "exec")
        except FileNotFoundError:
            continue
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None) or 1
            return f"{file}:{line}: {getattr(error, 'msg', error)}"
    return ""
