"""`python -m deploy.local` as a user runs it, on free ports and a data folder of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from deploy.local.ports import find_free_port, is_free
from deploy.local.services import REPLICA_STEP, SERVICES
from tests.support.servers import find_family

START_SECONDS, STOP_SECONDS = 180, 60


def free_http_ports(replicas: int) -> str:
    """Two ports that are free for every replica. A second hitok on the machine needs no other port settings."""
    while True:
        found = [find_free_port(), find_free_port()]
        ports = [port + REPLICA_STEP * replica for port in found for replica in range(max(replicas, 1))]
        if len(set(ports)) == len(ports) and all(map(is_free, ports)):
            return ",".join(map(str, found))


class Everything:
    def __init__(self, var: Path, replicas: int, *, ha: bool = False, **settings: str) -> None:
        """`replicas`: 0 for as many processes as the settings say, on the same HTTP ports."""
        options = [*(["--replicas", str(replicas)] if replicas else []), *(["--ha"] if ha else [])]
        self._command = [sys.executable, "-m", "deploy.local", *options]
        self._folder: Path | None = None  # of the checkout that runs; None: this one
        self.var, self._http_ports, self._replicas = var, free_http_ports(replicas), replicas
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HITOK_")},
            "HITOK_HTTP_PORTS": self._http_ports,
            "HITOK_VAR": str(var),
            "HITOK_RATE_LIMIT_SCALE": "0",
            **settings,
        }
        self._said = var.with_name("said.log")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def urls(self) -> list[str]:
        """The URLs of the first gateway."""
        return [f"http://127.0.0.1:{port}" for port in self._http_ports.split(",")]

    @property
    def gateways(self) -> list[str]:
        """One URL of each gateway."""
        first = int(self._http_ports.partition(",")[0])
        return [f"http://127.0.0.1:{first + REPLICA_STEP * replica}" for replica in range(self._replicas)]

    def start(self) -> None:
        """Returns when everything is healthy."""
        with self._said.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
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
        """The newest process of that name."""
        return int(re.findall(rf"^{name} .*pid (\d+)", self.said, re.MULTILINE)[-1])

    def is_healthy(self, name: str) -> bool:
        return " healthy " in re.findall(rf"^{name} .*", self.said, re.MULTILINE)[-1]

    def wait_until(self, look: Callable[[], bool]) -> None:
        ends = time.monotonic() + STOP_SECONDS
        while not look():
            assert time.monotonic() < ends, self.said
            time.sleep(0.05)

    def stop(self) -> int:
        """Stops it as Ctrl-C does, and returns the exit code."""
        assert self._process
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """Kills all processes at once (SIGKILL)."""
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

    def metrics_targets(self) -> dict[str, str]:
        """Host and port of each process's /metrics, by its name."""
        services = {s.name: f"127.0.0.1:{self._metrics_port(s.name)}" for s in SERVICES if s.health == "grpc"}
        return services | {"gateway": self.urls[0].removeprefix("http://")}

    def metrics(self) -> str:
        urls = [*self.urls, *(f"http://127.0.0.1:{self._metrics_port(s.name)}" for s in SERVICES if s.health == "grpc")]
        return "".join(httpx.get(f"{url}/metrics").text for url in urls)

    def _metrics_port(self, service: str) -> str:
        settings = json.loads((self.var / "settings" / f"{service}.json").read_bytes())
        return str(settings[f"HITOK_{service.upper()}_METRICS_PORT"])


@contextmanager
def everything(var: Path, replicas: int = 1, *, ha: bool = False, **settings: str) -> Iterator[Everything]:
    running = Everything(var, replicas, ha=ha, **settings)
    try:
        running.start()
        yield running
    finally:
        running.close()
