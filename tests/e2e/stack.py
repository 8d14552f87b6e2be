"""A user service and gateways as separate processes on private servers, which tests may kill."""

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec

from deploy.local.databases import ensure_database
from deploy.local.ports import find_free_port
from deploy.local.servers.nats import Nats
from deploy.local.servers.postgres import Postgres
from deploy.local.servers.valkey import Valkey
from gateway.config import GatewaySettings
from services.probe import is_ready
from tests.support.servers import private_nats, private_postgres, private_valkey

START_SECONDS, STOP_SECONDS = 60, 30
TARGETS = [name for name in GatewaySettings.__struct_fields__ if name.endswith("_target")]


class Process:
    """`python -m <module>`. `log` collects the output of all its starts."""

    def __init__(self, module: str, environment: dict[str, str], log: Path) -> None:
        self.module, self.environment, self.log = module, environment, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self.launch()
        self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        ends = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self._process
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < ends, self.log.read_text()
            time.sleep(0.02)

    def launch(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module], env=self.environment, stdout=output, stderr=output
            )

    def answers(self) -> bool:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def ask_to_stop(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait(self) -> int:
        """Returns the exit code."""
        assert self._process
        return self._process.wait(STOP_SECONDS)

    def close(self) -> None:
        if self.lives:
            self.kill()

    def events(self) -> list[dict[str, Any]]:
        """The log lines, each of which must be JSON."""
        return [msgspec.json.decode(line) for line in self.log.read_bytes().splitlines()]


class UserService(Process):
    def answers(self) -> bool:
        return is_ready("grpc", "user", int(self.environment["HITOK_USER_GRPC_PORT"]), self.environment)

    @property
    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{self.environment['HITOK_USER_METRICS_PORT']}/metrics"

    def command(self, *arguments: str) -> str:
        """Runs an operator's command, and returns its output."""
        done = subprocess.run(
            [sys.executable, "-m", self.module, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


class GatewayProcess(Process):
    def answers(self) -> bool:
        return self.get("/health/ready") == 200

    def get(self, path: str) -> int:
        """Returns the status; 0 if nobody answers."""
        try:
            return httpx.get(self.urls[0] + path, timeout=2).status_code
        except httpx.TransportError:
            return 0

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.environment["HITOK_HTTP_PORTS"].split(",")]


@dataclass
class Stack:
    folder: Path
    postgres: Postgres
    valkey: Valkey
    nats: Nats
    user: UserService
    gateways: list[GatewayProcess] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        """The first port of each gateway."""
        return [gateway.urls[0] for gateway in self.gateways]

    @property
    def processes(self) -> list[Process]:
        return [self.user, *self.gateways]

    def mend(self) -> None:
        """Starts what is not running."""
        for server in (self.postgres, self.valkey, self.nats):
            if server.pid is None:
                server.start()
        for process in self.processes:
            if not process.lives:
                process.start()

    def code_for(self, address: str) -> str:
        """The code mailed last."""
        for path in sorted((self.folder / "mail").glob("*.eml"), reverse=True):
            text = path.read_text()
            if f"To: {address}\n" in text:
                found = re.search(r"your code: (\d{6})", text)
                assert found
                return found.group(1)
        raise AssertionError(f"no mail to {address}")


@contextmanager
def running_stack(folder: Path, *, gateways: int, **settings: str) -> Iterator[Stack]:
    with ExitStack() as exits:
        postgres = exits.enter_context(private_postgres(folder))
        valkey = exits.enter_context(private_valkey(folder))
        nats = exits.enter_context(private_nats(folder))
        user_port, metrics_port = str(find_free_port()), str(find_free_port())
        environment = {
            "PATH": os.environ["PATH"],
            "HITOK_VAR": str(folder),
            "HITOK_POSTGRES_URL": ensure_database(postgres.url, "hitok_user", secrets.token_hex(16)),
            "HITOK_REDIS_URL": valkey.url,
            "HITOK_NATS_URL": nats.url,
            "HITOK_INTERNAL_SECRET": secrets.token_hex(32),
            "HITOK_JWT_SECRET": secrets.token_hex(32),
            "HITOK_USER_GRPC_PORT": user_port,
            "HITOK_USER_METRICS_PORT": metrics_port,
            # The other services are not asked here; any gRPC server makes a gateway ready.
            **{f"HITOK_{name.upper()}": f"127.0.0.1:{user_port}" for name in TARGETS},
            "HITOK_LOG_LEVEL": "debug",
            **settings,
        }
        user = UserService("services.user", environment, folder / "user.log")
        user.command("migrate")
        exits.callback(user.close)
        user.launch()
        stack = Stack(folder, postgres, valkey, nats, user)
        for number in range(gateways):
            ports = {"HITOK_HTTP_PORTS": f"{find_free_port()},{find_free_port()}"}
            gateway = GatewayProcess("gateway", environment | ports, folder / f"gateway{number}.log")
            exits.callback(gateway.close)
            gateway.launch()
            stack.gateways.append(gateway)
        for gateway in stack.gateways:
            gateway.wait_until_it_answers()
        yield stack
