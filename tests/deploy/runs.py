"""The supervisor as a user runs it: a separate process, whose output and descendants are watched."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local.ports import find_free_port
from tests.support.servers import find_family

DEADLINE = 20
PORTS = (
    "HITOK_WEB_PORTS",
    "HITOK_OTHER_PORTS",
    "HITOK_STUBBORN_PORTS",
    "HITOK_RPC_GRPC_PORT",
    "HITOK_RPC_METRICS_PORT",
)


class Run:
    """`services` are names of stand-ins (tests/deploy/fakes), and options of the supervisor."""

    def __init__(
        self, *services: str, var: Path, wrap: Sequence[str] = (), ports: Sequence[str] = PORTS, **settings: str
    ) -> None:
        used = [name for name in ports if name.split("_")[1].lower() in services]
        self.ports = {name: str(find_free_port()) for name in used}
        self.output = ""
        self._process = subprocess.Popen(
            [*wrap, sys.executable, "-B", "-m", "tests.deploy.fakes.run", *services],
            env=os.environ | self.ports | {"HITOK_VAR": str(var), "HITOK_PROCESSES": "1"} | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The last match in the output so far."""
        ends = time.monotonic() + DEADLINE
        while time.monotonic() < ends:
            ended = self._process.poll() is not None and not self._reader.is_alive()
            if matches := list(re.finditer(pattern, self.output, re.MULTILINE)):
                return matches[-1]
            assert not ended, f"it ended: {self.output}"
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in {self.output}")

    def wait_until_healthy(self) -> None:
        self.wait_for("everything is healthy")

    def ask_web(self) -> dict[str, str]:
        """The environment of the stand-in."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['HITOK_WEB_PORTS']}/", timeout=5) as answer:
            environment: dict[str, str] = json.load(answer)
            return environment

    def list_family(self) -> list[int]:
        return find_family(self.pid)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Returns the exit code."""
        code = self._process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return code

    def stop(self) -> int:
        """As Ctrl-C does."""
        self.send(signal.SIGINT)
        return self.wait()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.output += line


@contextmanager
def running(
    *services: str,
    var: Path,
    wrap: Sequence[str] = (),
    ports: Sequence[str] = PORTS,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Run]:
    run = Run(*services, var=var, wrap=wrap, ports=ports, **(settings or {}))
    try:
        yield run
    finally:
        run.close()


def wait_until_gone(pids: Sequence[int], *, seconds: float = 5) -> None:
    ends = time.monotonic() + seconds
    while alive := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < ends, f"still there: {alive}"
        time.sleep(0.02)


THREADS = 16  # the place of their number after the state, in /proc/*/stat


def is_alive(pid: int) -> bool:
    """A zombie does not count: it waits for the machine's first process, which may never come in a container. While it
    has threads, though, its files are open, and its listeners take connections that nobody answers."""
    try:
        state, *others = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return state != "Z" or int(others[THREADS]) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False
