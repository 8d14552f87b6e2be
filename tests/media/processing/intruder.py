"""A child process that tries to break out of its box: `python -m tests.media.processing.intruder <request>`.

The answer says what is in force, and for each attempt which error it met, or "done".
"""

import ctypes
import json
import os
import resource
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from services.media.processing.sandbox.box import landlock, seccomp, syscalls
from services.media.processing.sandbox.limits import answer, confine

PTRACE_ATTACH = 16
request = json.loads(sys.argv[1])
scratch, outside, parent = Path(request["scratch"]), Path(request["outside"]), os.getppid()
libc = ctypes.CDLL(None, use_errno=True)


def connect() -> None:
    with socket.socket() as tcp:
        tcp.connect(("127.0.0.1", request["port"]))


def attach() -> None:
    if libc.ptrace(PTRACE_ATTACH, parent, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def write_too_much() -> None:
    (scratch / "large").write_bytes(bytes(2 << 20))


def open_too_many() -> None:
    try:
        for _ in range(100):
            os.dup(0)
    finally:
        os.closerange(3, 100)


def start_thread() -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


ATTEMPTS: dict[str, Callable[[], object]] = {
    "connect": connect,
    "unix socket": lambda: socket.socket(socket.AF_UNIX),
    "read a secret": (outside / "secret").read_text,
    "list a folder": lambda: list(outside.iterdir()),
    "read an environment": lambda: Path(f"/proc/{parent}/environ").read_bytes(),
    "read a memory": lambda: os.open(f"/proc/{parent}/mem", os.O_RDONLY),
    "write outside": lambda: (outside / "new").write_text("x"),
    "overwrite outside": lambda: (outside / "secret").write_text("x"),
    "delete outside": (outside / "secret").unlink,
    "write to the source": lambda: (outside / "source").write_text("x"),
    "write to our code": lambda: os.open(landlock.__file__, os.O_WRONLY | os.O_APPEND),
    "run a program": lambda: os.execv("/bin/true", ["true"]),
    "spawn a program": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "fork": lambda: os.fork() or os._exit(0),
    "signal the service": lambda: os.kill(parent, 0),
    "trace the service": attach,
    "become root": lambda: os.setuid(0),
    "leave a link": lambda: (scratch / "link").symlink_to("/etc/passwd"),
    "leave a pipe": lambda: os.mkfifo(scratch / "pipe"),
    "write too much": write_too_much,
    "open too many": open_too_many,
    "read the source": (outside / "source").read_text,
    "write to the scratch folder": lambda: (scratch / "made").write_text("x"),
    "start a thread": start_thread,
}


def met(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    return "done"


if __name__ == "__main__":
    if "landlock" in request["without"]:
        landlock.version = lambda libc: 0
    if "seccomp" in request["without"]:
        syscalls.ARCHITECTURES = {}
    if request["uid"]:
        os.setgroups([])
        os.setresgid(request["uid"], request["uid"], request["uid"])
        os.setresuid(request["uid"], request["uid"], request["uid"])
    walls = confine(request, outside / "source", scratch, 1)
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
    assert seccomp.restrict(libc) is walls.seccomp, "a second filter may be added"
    if not walls.landlock and not walls.seccomp:
        del ATTEMPTS["run a program"]  # it would succeed, and end this one
    results = {name: met(attempt) for name, attempt in ATTEMPTS.items()}
    answer(walls=walls._asdict(), results=results)
