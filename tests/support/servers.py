"""Real servers for the suite: those given by URL, else containers if asked for, else the PyPI wheels.

HITOK_TEST_POSTGRES_URL (an admin's), HITOK_TEST_REDIS_URL and HITOK_TEST_NATS_URL name given ones;
HITOK_TEST_BACKEND=containers asks for containers.
"""

import gc
import os
import secrets
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar

import psycopg
from psycopg import sql

from deploy.local.databases import ensure_database
from deploy.local.servers.nats import Nats, start_nats
from deploy.local.servers.postgres import Postgres, start_postgres
from deploy.local.servers.server import Server
from deploy.local.servers.valkey import Valkey, start_valkey
from tests.deploy.compose import read_compose

S = TypeVar("S", bound=Server)


class Servers:
    """The session's shared servers, each started when first needed. Use it as a context manager."""

    def __init__(self) -> None:
        self._exits = ExitStack()
        # Sessions that share a given server must not meet.
        self._suffix = secrets.token_hex(3)
        self._databases = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @cached_property
    def postgres_url(self) -> str:
        """An admin's."""
        return self._open("POSTGRES", private_postgres, run_postgres_container)

    @cached_property
    def redis_url(self) -> str:
        return self._open("REDIS", private_valkey, run_valkey_container)

    @cached_property
    def nats_url(self) -> str:
        return self._open("NATS", private_nats, run_nats_container)

    def create_database(self, name: str) -> str:
        """A new empty database with a role of its own, dropped at the end of the session; returns the URL.

        New each time: two that ask for the same name get two.
        """
        self._databases += 1
        full_name = f"{name}_{self._suffix}_{self._databases}"
        url = ensure_database(self.postgres_url, full_name, secrets.token_hex(16))
        self._exits.callback(drop_database, self.postgres_url, full_name)
        return url

    def _open(
        self,
        name: str,
        private: Callable[[Path], AbstractContextManager[Server]],
        run_container: Callable[[], AbstractContextManager[str]],
    ) -> str:
        if given := os.environ.get(f"HITOK_TEST_{name}_URL"):
            return given
        if os.environ.get("HITOK_TEST_BACKEND") == "containers" and is_docker_answering():
            return self._exits.enter_context(run_container())
        folder = self._exits.enter_context(temporary_folder())
        return self._exits.enter_context(private(folder)).url


@contextmanager
def private_postgres(folder: Path) -> Iterator[Postgres]:
    """A server for one test, which may kill, freeze or stop it; `start` restores its data."""
    with closing(start_postgres(folder / "postgres", secrets.token_hex(16), durable=False)) as server:
        yield server


@contextmanager
def private_valkey(folder: Path) -> Iterator[Valkey]:
    with closing(start_valkey(folder / "valkey", secrets.token_hex(16), durable=False)) as server:
        yield server


@contextmanager
def private_nats(folder: Path) -> Iterator[Nats]:
    with closing(start_nats(folder / "nats", secrets.token_hex(16), durable=False)) as server:
        yield server


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """SIGSTOP: connections stay open and are accepted, but nothing answers."""
    assert server.pid is not None
    pids = find_family(server.pid)
    _signal_all(pids, signal.SIGSTOP)
    while not all(map(_is_stopped, pids)):  # a process with many threads goes on for a moment
        time.sleep(0.001)
    try:
        yield
    finally:
        _signal_all(pids, signal.SIGCONT)


def _signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # a backend or a worker of PostgreSQL may end at any time
            os.kill(pid, number)


def _is_stopped(pid: int) -> bool:
    """Also of one that has ended."""
    try:
        threads = [status.read_text() for status in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:
        return True
    return all(thread.rpartition(")")[2].split()[0] in "TtZX" for thread in threads)


def find_family(pid: int) -> list[int]:
    """The process and all of its descendants (a PostgreSQL backend has a session of its own)."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(status.parent.name)] = int(fields[1])
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family


@contextmanager
def closing(server: S) -> Iterator[S]:
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="hitok-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def drop_database(admin_url: str, name: str) -> None:
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def is_docker_answering() -> bool:
    import docker  # type: ignore[import-untyped]  # noqa: PLC0415

    # It leaves sockets open that it could not connect.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        try:
            docker.from_env(timeout=3).close()
        except docker.errors.DockerException:
            return False
        finally:
            gc.collect()
    return True


def run_postgres_container() -> AbstractContextManager[str]:
    password = secrets.token_hex(16)
    return run_container(
        "postgres",
        5432,
        f"postgresql://postgres:{password}@{{address}}/postgres",
        environment={"POSTGRES_PASSWORD": password},
        # Its first start is for initialisation, on a Unix socket only.
        ready=r"listening on IPv4[\s\S]*ready to accept connections",
    )


def run_valkey_container() -> AbstractContextManager[str]:
    return run_container("valkey", 6379, "redis://{address}/0", ready="Ready to accept connections")


def run_nats_container() -> AbstractContextManager[str]:
    return run_container("nats", 4222, "nats://{address}", command="-js", ready="Server is ready")


@contextmanager
def run_container(
    service: str,
    port: int,
    url: str,
    *,
    ready: str,
    command: str = "",
    environment: dict[str, str] | None = None,
) -> Iterator[str]:
    """The image of that service of docker-compose.yml."""
    # Slow to import, and of use to few.
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

    image = read_compose()["services"][service]["image"]
    container = DockerContainer(image).with_exposed_ports(port).with_envs(**(environment or {}))
    container.waiting_for(LogMessageWaitStrategy(ready))
    if command:
        container.with_command(command)
    with container:
        yield url.format(address=f"{container.get_container_host_ip()}:{container.get_exposed_port(port)}")
