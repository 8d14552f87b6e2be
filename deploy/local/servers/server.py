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

POLL_SECONDS, SLOW_POLL_SECONDS = 0.03, 0.25
QUICK_SECONDS = 5  # then a start is a long one, in whose log our probes would bury the rest
PORT_ATTEMPTS = 5
LOCK_SECONDS = 10
PROBE_SECONDS = 2


def was_port_taken(child: Child) -> bool:
    """Another process took the port after it was chosen and before the server bound it."""
    return child.exit_code is not None and "address already in use" in child.read_log_tail().lower()


class NotReady(Exception):
    """The server does not answer properly yet."""


class Server(ABC):
    """Can be stopped, killed and started again. After it has answered once, its folder, port, password and `url` stay.

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
        self._has_answered = False
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
        """Stop cleanly; kill after `deadline` seconds."""
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
                # Only now: making the data takes seconds, in which another run may take the port.
                self._port = self._port or find_free_port(self._preferred_port)
                self.prepare()
                self._child = self.spawn(lock)
            finally:
                os.close(lock)
        return self._child

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

    def read_progress(self, child: Child) -> str:
        """How far a long start has come. As long as it changes within `start_seconds`, the start is waited for."""
        return ""

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PROBE_SECONDS)

    def _lock_folder(self) -> int:
        """The server inherits the lock, so that it is held until the last process of an earlier start has ended,
        however that was."""
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
        # Checked last: the server that answered on the port may be another one.
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
