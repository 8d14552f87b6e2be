"""A child process in a session of its own that ends when this process ends. Its output goes to a file."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

LAUNCHER = str(Path(__file__).with_name("launcher.py"))
LOG_LIMIT = 20 * 1024 * 1024

# The kernel sends the death signal when the *thread* that started the child ends. So one thread, which lives as
# long as this process, starts them all.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")


class Running(Protocol):
    """What a child needs of subprocess.Popen."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...


class Child:
    """A started process. It gets `death_signal` when this process ends, even by kill -9."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
        uid: int = -1,
        reach_everything: bool = False,
        keep_open: Sequence[int] = (),
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        """`uid` runs the process as another user; -1: the same user. Only root can do that. `reach_everything` lets
        that user pass through folders closed to them. `keep_open` are file descriptors that the process inherits."""
        self.log = log
        rotate_log(log)
        options = [os.getpid(), int(death_signal), uid, int(reach_everything)]
        launcher = [sys.executable, "-I", "-S", LAUNCHER, *map(str, options)]
        with log.open("ab") as output:
            self._log_start = output.tell()
            self._process: Running = _starter.submit(
                subprocess.Popen[bytes],
                [*launcher, *command],
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=folder,
                pass_fds=keep_open,
                start_new_session=True,
            ).result()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def ask_to_stop(self, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        """Sends the stop signal."""
        self._process.send_signal(stop_signal)

    def stop(self, stop_signal: signal.Signals = signal.SIGTERM, *, deadline: float = 10) -> None:
        """Asks it to stop, waits up to `deadline` seconds, then kills it."""
        self.ask_to_stop(stop_signal)
        if self.wait(deadline) is None:
            self.kill()

    def wait(self, deadline: float) -> int | None:
        """The exit code, or None if it still runs after `deadline` seconds."""
        try:
            return self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Kills (SIGKILL) the process and whatever it started in its session."""
        if self.exit_code is None:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def read_log_tail(self, lines: int = 15) -> str:
        """The last lines written since this start."""
        if not self.log.exists():
            return ""  # the user has removed the log
        with self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - 64 * 1024))
            text = log.read().decode(errors="replace")
        return "\n".join(text.rstrip().splitlines()[-lines:])


def rotate_log(log: Path) -> None:
    """Keeps one old file, so that logs stay bounded over many starts."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_name(log.name + ".old"))
