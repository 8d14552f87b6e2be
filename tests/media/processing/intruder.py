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
from typing import Any

from services.media.processing.sandbox.box import landlock, seccomp, syscalls
from services.media.processing.sandbox.limits import answer, confine

PTRACE_ATTACH = 16
libc = ctypes.CDLL(None, use_errno=True)


def connect(port: int) -> None:
    with socket.socket() as tcp:
        tcp.connect(("127.0.0.1", port))


def attach(process: int) -> None:
    if libc.ptrace(PTRACE_ATTACH, process, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


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


def attempts_of(request: dict[str, Any], parent: int) -> dict[str, Callable[[], object]]:
    scratch, outside = Path(request["scratch"]), Path(request["outside"])
    return {
        "connect": lambda: connect(request["port"]),
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
        "trace the service": lambda: attach(parent),
        "become root": lambda: os.setuid(0),
        "leave a link": lambda: (scratch / "link").symlink_to("/etc/passwd"),
        "leave a pipe": lambda: os.mkfifo(scratch / "pipe"),
        "write too much": lambda: (scratch / "large").write_bytes(bytes(2 << 20)),
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


def main(request: dict[str, Any]) -> None:
    parent = os.getppid()
    inherited = [descriptor for descriptor in range(3, 1_024) if is_open(descriptor)]
    if "landlock" in request["without"]:
        landlock.version = lambda libc: 0
    if "seccomp" in request["without"]:
        syscalls.ARCHITECTURES = {}
    if request["uid"]:
        os.setgroups([])
        os.setresgid(request["uid"], request["uid"], request["uid"])
        os.setresuid(request["uid"], request["uid"], request["uid"])
    walls = confine(request, Path(request["outside"], "source"), Path(request["scratch"]), 1)
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
    assert seccomp.restrict(libc) is walls.seccomp, "a second filter may be added"
    attempts = attempts_of(request, parent)
    if not walls.landlock and not walls.seccomp:
        del attempts["run a program"]  # it would succeed, and end this one
    results = {name: met(attempt) for name, attempt in attempts.items()}
    answer(walls=walls._asdict(), results=results, inherited=inherited, environment=dict(os.environ))


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
