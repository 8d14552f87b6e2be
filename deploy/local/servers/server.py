"""A server process, started from a binary, with its own folder and port."""

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

POLL_SECONDS, SLOW_POLL_SECONDS = 0.03, 0.25
QUICK_SECONDS = 5  # after this, probe less often: probes would fill the log of a long start
PORT_ATTEMPTS = 5
LOCK_SECONDS = 10
PROBE_SECONDS = 2


def was_port_taken(child: Child) -> bool:
    """Whether another process took the port between its choice and the server's bind."""
    return child.exit_code is not None and "address already in use" in child.read_log_tail().lower()


class NotReady(Exception):
    """The server does not answer correctly yet."""


class Server(ABC):
    """A server that can be stopped, killed and started again. Once it has answered, its folder, port, password and
    `url` stay the same.

    It listens on 127.0.0.1 only, and ends with the process that started it.
    """

    name: str
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    start_seconds: ClassVar[float] = 15
    stops_first: ClassVar[bool] = False
    """It needs the other servers to stop."""

    def __init__(
        self,
        folder: Path,
        password: str,
        *,
        port: int = 0,
        log: Path | None = None,
        durable: bool = True,
        is_node: bool = False,
    ) -> None:
        """`port` is a preference: if it is taken, any free port is used; 0: any. Without `durable`, data survives kill
        -9 but not a power failure, which is faster. A node of a cluster has the name of its folder, and no other port,
        since the other nodes know it."""
        self.folder = folder.resolve()
        self.password = password
        self.log = log or self.folder / "server.log"
        self.durable = durable
        self._preferred_port = port
        self._port = port if is_node else 0
        self._has_answered = is_node
        self._child: Child | None = None
        if is_node:
            self.name = self.folder.name

    @property
    def port(self) -> int:
        return self._port

    @property
    @abstractmethod
    def url(self) -> str:
        """The address for clients, with the credentials."""

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._child.pid if self._child and self._child.exit_code is None else None

    @property
    def exit_code(self) -> int | None:
        """That of the last start; None while it runs."""
        return self._child.exit_code if self._child else None

    def start(self) -> Self:
        """Returns once the server answers. Raises LocalError with the last log lines if it does not."""
        for attempts_left in reversed(range(PORT_ATTEMPTS)):
            child = self._launch()
            try:
                self._wait_until_ready(child)
            except LocalError:
                if self._has_answered or not attempts_left or not was_port_taken(child):
                    raise
                self._port = 0
            else:
                self._has_answered = True
                break
        return self

    def stop(self, *, deadline: float = 10) -> None:
        """Stops it cleanly; kills it after `deadline` seconds."""
        if self._child:
            self._child.stop(self.stop_signal, deadline=deadline)

    def kill(self) -> None:
        if self._child:
            self._child.kill()

    def _launch(self) -> Child:
        with explain_os_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self._lock_folder()
            try:
                self.make_data()
                # Chosen last: creating the data takes seconds, in which another run may take the port.
                self._port = self._port or find_free_port(self._preferred_port)
                self.prepare()
                self._child = self.spawn(lock)
            finally:
                os.close(lock)
        return self._child

    def make_data(self) -> None:  # noqa: B027 - not all have any
        """Creates what must exist before the first start."""

    @abstractmethod
    def prepare(self) -> None:
        """Prepares the folder for a start."""

    @abstractmethod
    def spawn(self, lock: int) -> Child:
        """Starts the process, which must inherit the file descriptor `lock`."""

    @abstractmethod
    def probe(self) -> None:
        """Uses the server once. Raises NotReady or OSError if it does not answer yet."""

    def read_progress(self, child: Child) -> str:
        """The progress of a long start. While it changes within `start_seconds`, the start may go on."""
        return ""

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PROBE_SECONDS)

    def _lock_folder(self) -> int:
        """The server inherits the lock, so it is held until the last process of an earlier start has ended, however it
        ended."""
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
        began, progress = time.monotonic(), self.read_progress(child)
        quick_until, ends = began + QUICK_SECONDS, began + self.start_seconds
        while (reason := self._find_fault()) and child.exit_code is None:
            if time.monotonic() > ends:
                before, progress = progress, self.read_progress(child)
                ends = time.monotonic() + self.start_seconds
                if progress != before:
                    continue
                child.kill()
                raise self._explain_failure(child, f"did not answer in {self.start_seconds:.0f} s ({reason})")
            time.sleep(POLL_SECONDS if time.monotonic() < quick_until else SLOW_POLL_SECONDS)
        # Checked last: another server may have answered on the port.
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
