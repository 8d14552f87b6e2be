"""`python -m deploy.local` as a user runs it, on free ports and a data folder of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from deploy.local.errors import LocalError
from deploy.local.ports import check_ports, find_free_port
from deploy.local.services import REPLICA_STEP, SERVICES, replicate
from tests.support.servers import find_family

START_SECONDS, STOP_SECONDS = 60, 40


def free_ports(replicas: int) -> dict[str, str]:
    """For every setting that names ports."""
    settings = [ports for service in SERVICES for ports in service.ports]
    while True:
        found = {ports.setting: ",".join(str(find_free_port()) for _ in ports.default.split(",")) for ports in settings}
        with suppress(LocalError):  # two may have met
            check_ports(replicate(SERVICES, replicas), found)
            return found


class Everything:
    def __init__(self, var: Path, replicas: int, **settings: str) -> None:
        self.var, self._ports, self._replicas = var, free_ports(replicas), replicas
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HITOK_")},
            **self._ports,
            "HITOK_VAR": str(var),
            "HITOK_RATE_LIMIT_SCALE": "0",
            **settings,
        }
        self._said = var.with_name("said.log")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def urls(self) -> list[str]:
        """Of the first gateway."""
        return [f"http://127.0.0.1:{port}" for port in self._ports["HITOK_HTTP_PORTS"].split(",")]

    @property
    def gateways(self) -> list[str]:
        """One URL of each."""
        first = int(self._ports["HITOK_HTTP_PORTS"].partition(",")[0])
        return [f"http://127.0.0.1:{first + REPLICA_STEP * replica}" for replica in range(self._replicas)]

    def start(self) -> None:
        """Returns when all is healthy."""
        with self._said.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "deploy.local", "--replicas", str(self._replicas)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        ends = time.monotonic() + START_SECONDS
        while "everything is healthy" not in self.said:
            assert self._process.poll() is None, self.said
            assert time.monotonic() < ends, self.said
            time.sleep(0.05)

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def pid_of(self, name: str) -> int:
        """Of the newest process of that name."""
        return int(re.findall(rf"^{name} .*pid (\d+)", self.said, re.MULTILINE)[-1])

    def stop(self) -> int:
        """As Ctrl-C does; the exit code."""
        assert self._process
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """kill -9 of all at once."""
        for pid in find_family(self.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it went with another
        assert self._process
        self._process.wait()

    def close(self) -> None:
        if self._process and self._process.poll() is None:
            self.kill()

    def logs(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted((self.var / "log").glob("*.log*")))

    def metrics(self) -> str:
        ports = [int(value) for name, value in self._ports.items() if name.endswith("_METRICS_PORT")]
        urls = [*self.urls, *(f"http://127.0.0.1:{port}" for port in ports)]
        return "".join(httpx.get(f"{url}/metrics").text for url in urls)


@contextmanager
def everything(var: Path, replicas: int = 1, **settings: str) -> Iterator[Everything]:
    running = Everything(var, replicas, **settings)
    try:
        running.start()
        yield running
    finally:
        running.close()
