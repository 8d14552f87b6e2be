"""The supervisor's side of the template: starts it, asks it for processes, and hears of their ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deploy.local.child import Child, rotate_log
from deploy.local.data_dir import ROOT
from deploy.local.errors import LocalError
from deploy.local.template.title import ROOM

POLL_SECONDS = 0.05
START_SECONDS = 60  # on a busy machine
MODULES = (
    # gRPC must not be used before a fork, only imported. `services` sets it up for that.
    "services",
    "asyncio",
    "uvloop",
    "grpc.aio",
    "grpc_health.v1._async",
    "grpc_reflection.v1alpha.reflection",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.orm",
    "typer",
    "redis.asyncio",
    "nats",
    "jwt",
    "cryptography.x509",
    "psutil",
    "multiprocessing.connection",
    # Of ours only what the gateway imports too: other modules have metrics, which a process would show without need.
    "services.kit.rpc.channel",
    "services.kit.overload.admission",
    "services.kit.process.loop_lag",
    "services.valkey.client",
    "services.kit.nats",
    "services.kit.batcher",
    "services.kit.tokens",
    "services.kit.texts.text_search",
    "protos.chat.v1.conversations_pb2_grpc",
    "protos.export.v1.export_pb2_grpc",
    "protos.media.v1.videos_pb2_grpc",
    "protos.social.v1.friends_pb2_grpc",
    "protos.user.v1.users_pb2_grpc",
)
"""What several processes import, or one of them when it starts."""


class Template:
    """Forks processes. They end with it, and it ends with this process."""

    def __init__(self, log: Path, modules: Iterable[str] = MODULES) -> None:
        self._log, self._modules = log, tuple(modules)
        self._lock = threading.Lock()
        self._codes: dict[int, int] = {}
        self._child: Child | None = None
        self._answers = b""
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Starts it if it does not run. It imports while the caller goes on."""
        with self._lock:
            if not self._child or self._child.exit_code is not None:
                self._start()

    def fork(self, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> "Forked":
        """A process `python -m <arguments>`. Waits until the modules are imported. Raises LocalError."""
        self.start()
        request = {"arguments": arguments, "log": str(log), "folder": str(ROOT), "environment": dict(environment)}
        with self._lock:
            try:
                return Forked(self, self._ask(json.dumps(request).encode() + b"\n"))
            except OSError as error:
                tail = self._child.read_log_tail() if self._child else ""
                raise LocalError(f"cannot start {arguments[0]}: {error}; see {self._log}", details=tail) from None

    def exit_code_of(self, pid: int) -> int | None:
        with self._lock:
            if pid not in self._codes and self._socket:
                self._socket.settimeout(0)
                try:
                    while True:
                        self._read()
                except BlockingIOError:
                    pass
                except OSError:
                    self._codes[pid] = -signal.SIGKILL  # the template has ended, and the kernel killed it
            return self._codes.get(pid)

    def stop(self) -> None:
        if self._child:
            self._child.kill()
        if self._socket:
            self._socket.close()

    def _start(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket, theirs = socket.socketpair()
        self._answers = b""
        with theirs:
            command = [sys.executable, "-m", "deploy.local.template", *self._modules, ROOM]
            environment = os.environ | {"PYTHONUNBUFFERED": "1"}
            self._child = Child(command, log=self._log, environment=environment, folder=ROOT, stdin=theirs.fileno())

    def _ask(self, request: bytes) -> int:
        """The pid of the new process. Raises OSError."""
        assert self._socket
        self._socket.settimeout(START_SECONDS)
        self._socket.sendall(request)
        while (pid := self._read()) is None:
            pass
        return pid

    def _read(self) -> int | None:
        """Reads one answer, and returns the pid if it is that of a start. Raises OSError."""
        assert self._socket
        while b"\n" not in self._answers:
            if not (more := self._socket.recv(4096)):
                raise OSError("the process that forks it has ended")
            self._answers += more
        line, _, self._answers = self._answers.partition(b"\n")
        answer = json.loads(line)
        if "ended" in answer:
            self._codes[answer["ended"]] = answer["code"]
            return None
        pid: int = answer["started"]
        self._codes.pop(pid, None)  # of an earlier process with the same number
        return pid


class Forked:
    """A process of the template, with what `Child` uses of subprocess.Popen."""

    def __init__(self, template: Template, pid: int) -> None:
        self._template, self.pid = template, pid

    def poll(self) -> int | None:
        return self._template.exit_code_of(self.pid)

    def wait(self, timeout: float | None = None) -> int:
        ends = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (code := self.poll()) is None:
            if time.monotonic() > ends:
                raise subprocess.TimeoutExpired("", timeout or 0)
            time.sleep(POLL_SECONDS)
        return code

    def send_signal(self, sig: int, /) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)


class ForkedChild(Child):
    def __init__(
        self, template: Template, arguments: Sequence[str], *, log: Path, environment: Mapping[str, str]
    ) -> None:
        self.log = log
        rotate_log(log)
        self._log_start = log.stat().st_size if log.exists() else 0
        self._process = template.fork(arguments, log, environment)
