"""A real server, started from a binary, on a folder and a port of its own."""

import fcntl
import os
import signal
import socket
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from deploy.local.child import Child
from deploy.local.errors import LocalError, explain_os_errors
from deploy.local.ports import find_free_port

POLL_SECONDS = 0.03
LOCK_SECONDS = 10
PROBE_SECONDS = 2


class NotReady(Exception):
    """The server does not answer properly yet."""


class Server(ABC):
    """Can be stopped, killed and started again; folder, port, password and thus `url` stay the same.

    It listens on 127.0.0.1 only, and dies with the process that started it.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_seconds: ClassVar[float] = 15

    def __init__(
        self, folder: Path, password: str, *, port: int = 0, log: Path | None = None, durable: bool = True
    ) -> None:
        """`port` is only preferred: taken by another, any free one is used. 0: any. Without `durable` data
        survives kill -9 but no power cut, which is quicker."""
        self.folder = folder.resolve()
        self.password = password
        self.log = log or self.folder / "server.log"
        self.durable = durable
        self._preferred_port = port
        self._port = 0
        self._child: Child | None = None

    @property
    def port(self) -> int:
        return self._port

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect, with the credentials."""

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._child.pid if self._child and self._child.exit_code is None else None

    @property
    def exit_code(self) -> int | None:
        """Of the last start; None while it runs."""
        return self._child.exit_code if self._child else None

    def start(self) -> Self:
        """Return when it answers. Raises LocalError with the log's last lines if it does not."""
        with explain_os_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self._lock_folder()
            try:
                self.make_data()
                # Only now: making the data takes seconds, in which another run may take the port.
                self._port = self._port or find_free_port(self._preferred_port)
                self.prepare()
                self._child = self.spawn(lock)
            finally:
                os.close(lock)
        self._wait_until_ready(self._child)
        return self

    def stop(self, *, deadline: float = 10) -> None:
        """Stop cleanly; kill after `deadline` seconds."""
        if self._child:
            self._child.stop(self.stop_signal, deadline=deadline)

    def kill(self) -> None:
        if self._child:
            self._child.kill()

    def make_data(self) -> None:  # noqa: B027 - not all have any
        """Make what has to be there before the first start."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the folder fit for a start."""

    @abstractmethod
    def spawn(self, lock: int) -> Child:
        """Start the process; it has to inherit `lock`."""

    @abstractmethod
    def probe(self) -> None:
        """Use the server once. Raises NotReady or OSError if it does not answer yet."""

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PROBE_SECONDS)

    def _lock_folder(self) -> int:
        """The server inherits the lock, so it is held until the last process of an earlier start has left,
        whoever started it and however it ended."""
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        ends = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                if time.monotonic() > ends:
                    os.close(lock)
                    raise LocalError(f"a {self.name} of an earlier run still uses {self.folder}. Stop it") from None
            time.sleep(POLL_SECONDS)

    def _wait_until_ready(self, child: Child) -> None:
        ends = time.monotonic() + self.start_seconds
        while (reason := self._find_fault()) and child.exit_code is None:
            if time.monotonic() > ends:
                child.kill()
                raise self._explain_failure(child, f"did not answer in {self.start_seconds:.0f} s ({reason})")
            time.sleep(POLL_SECONDS)
        # Asked last: it may be another's server that answers on our port.
        if child.exit_code is not None:
            raise self._explain_failure(child, "does not start")

    def _find_fault(self) -> str:
        try:
            self.probe()
        except (NotReady, OSError) as error:
            return str(error) or "no answer"
        return ""

    def _explain_failure(self, child: Child, what: str) -> LocalError:
        tail = child.read_log_tail()
        if "No space left on device" in tail:
            return LocalError(f"the disk that holds {self.folder} is full. Free some space", details=tail)
        return LocalError(f"{self.name} {what}; its log is {self.log}", details=tail)
