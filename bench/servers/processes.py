"""Memory and CPU time of the processes of a running stack."""

import os
import resource
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

FORKING = b"deploy.local.template"  # its children are the programs
TICKS = os.sysconf("SC_CLK_TCK")


def pid_of(module: str, folder: Path) -> int:
    """The process `python -m <module>` of the stack with that data folder."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if b"-m\0%b\0" % module.encode() in command and str(folder).encode() in (process / "environ").read_bytes():
                return int(process.name)
        except OSError:
            continue
    raise SystemExit(f"no {module} found")


def resident(pid: int) -> float:
    """KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return float(status.split("VmRSS:")[1].split()[0])


def cpu(pid: int) -> float:
    """CPU seconds of the process alone."""
    fields = _fields(Path(f"/proc/{pid}/stat"))
    return (int(fields[11]) + int(fields[12])) / TICKS


def family_cpu(pid: int) -> float:
    """CPU seconds of the process and its descendants, those that have ended included."""
    stats = _read_stats()
    return sum(sum(map(int, stats[member][11:15])) for member in _family(pid, stats)) / TICKS


def family_memory(pid: int) -> dict[int, float]:
    """MB by process, of the process and its descendants; what several share is divided among them (PSS)."""
    found = {}
    for member in _family(pid, _read_stats()):
        with suppress(OSError):
            rollup = Path(f"/proc/{member}/smaps_rollup").read_text()
            found[member] = int(rollup.split("\nPss:")[1].split()[0]) * 1024 / 1e6
    return found


def _read_stats() -> dict[int, list[str]]:
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            stats[int(path.parent.name)] = _fields(path)
    return stats


def _family(pid: int, stats: dict[int, list[str]]) -> list[int]:
    family = [pid]
    for member in family:
        family += [child for child, fields in stats.items() if int(fields[1]) == member]
    return [member for member in family if member in stats]


def cpu_by_name(pid: int) -> dict[str, float]:
    """CPU seconds of a supervisor's programs by their names, those of ended children included."""
    spent: dict[str, float] = defaultdict(float)
    for child, name in programs(pid):
        spent[name] += family_cpu(child)
    return spent


def programs(pid: int) -> Iterator[tuple[int, str]]:
    """The programs that a supervisor started, with their names."""
    parents = {child: int(fields[1]) for child, fields in _read_stats().items()}
    supervisors = [pid]
    for child, parent in sorted(parents.items()):
        if parent not in supervisors:
            continue
        command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        name = command[command.index(b"-m") + 1] if b"-m" in command else command[0].split(b" ")[0].rpartition(b"/")[2]
        if name == FORKING:
            supervisors.append(child)
        else:
            yield child, name.decode().removeprefix("services.")


def _fields(path: Path) -> list[str]:
    """The fields after the command's name; the first is field 3 of proc(5)."""
    return path.read_text().rpartition(")")[2].split()


def allow_many_files() -> None:
    """Raises the limit of open files for this process and the stack that it starts: a socket is a file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
