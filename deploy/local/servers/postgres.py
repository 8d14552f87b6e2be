"""A PostgreSQL server on a data folder of its own."""

import os
import signal
import struct
from pathlib import Path
from typing import ClassVar

from deploy.local.child import Child
from deploy.local.servers.cluster import (
    NOBODY,
    SUPERUSER,
    change_owner,
    check_major,
    find_program,
    make_cluster,
    remove_stale_pid_file,
    run_program,
)
from deploy.local.servers.server import NotReady, Server

PORT = 15432
PROTOCOL = 3 << 16
LOG_LINES = 1_000  # the log of a recovery also has a line per probe of ours
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "12MB",
    "max_wal_size": "256MB",
    "autovacuum_naptime": "2min",  # each look is a process for each database: a tenth of what an idle run takes
    "io_workers": "1",
    "max_logical_replication_workers": "0",  # it is a publisher at most (docs/scaling.md): a process less
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def start_postgres(
    folder: Path, password: str, *, port: int = 0, log: Path | None = None, durable: bool = True
) -> "Postgres":
    """The server's `url` is that of the superuser, for the database `postgres`."""
    return Postgres(folder, password, port=port, log=log, durable=durable).start()


class Postgres(Server):
    name = "postgres"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast" shutdown: ends sessions, checkpoints
    start_seconds: ClassVar[float] = 60

    @property
    def url(self) -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/postgres"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def make_data(self) -> None:
        if not self.data.exists():
            make_cluster(self.data, self.password, log=self.log, durable=self.durable)

    def prepare(self) -> None:
        check_major(self.data)
        if os.geteuid() == 0 and self.data.stat().st_uid == 0:
            change_owner(self.data, NOBODY)
        remove_stale_pid_file(self.data)

    def spawn(self, lock: int) -> Child:
        settings = SETTINGS | {"port": str(self.port), "fsync": "on" if self.durable else "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return run_program(
            find_program("postgres"),
            ["-D", str(self.data), *options],
            data=self.data,
            log=self.log,
            keep_open=[lock],
        )

    def read_progress(self, child: Child) -> str:
        """The last progress line of a recovery. PostgreSQL logs one every 10 s: "redo in progress, elapsed time: 20.00
        s, …"."""
        lines = child.read_log_tail(LOG_LINES).splitlines()
        return next((line for line in reversed(lines) if "elapsed time" in line), "")

    def probe(self) -> None:
        """Like pg_isready: a server that asks for a password accepts connections. Importing psycopg would cost 16
        MB."""
        names = f"user\0{SUPERUSER}\0database\0postgres\0\0".encode()
        with self.connect() as connection:
            connection.sendall(struct.pack("!ii", 8 + len(names), PROTOCOL) + names)
            if connection.recv(1) != b"R":
                raise NotReady("it is still starting")
