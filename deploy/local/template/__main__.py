"""`python -m deploy.local.template MODULE …`: imports these modules, then forks a process for each request on stdin.

A request is a line of JSON: {"arguments": ["services.user", "--migrate"], "log": path, "folder": path, "environment":
{…}}. The answers, on the same socket, are {"started": pid} and, when a process has ended, {"ended": pid, "code": as in
subprocess}. It ends when the socket is closed, and the processes with it.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deploy.local.launcher import die_with_parent
from deploy.local.template.title import set_title

# What libraries load if it is there, and servers do not use: nats.py for WebSockets (7 MB), structlog for tracebacks
# with variables (4 MB), redis for its metrics.
NOT_NEEDED = ("aiohttp", "rich", "opentelemetry.sdk.metrics")


def main(modules: Iterable[str]) -> None:
    sys.modules.update(dict.fromkeys(NOT_NEEDED))  # type: ignore[arg-type]  # an import of it fails
    for module in modules:
        importlib.import_module(module)
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        sys.exit("a module that is imported here starts a thread, which no child would have")
    for name in NOT_NEEDED:
        del sys.modules[name]
    gc.collect()
    gc.freeze()  # else the collector would write into each object, and so copy its page
    request = serve(socket.socket(fileno=os.dup(0)))
    if request:
        become(request)


def serve(requests: socket.socket) -> dict[str, Any] | None:
    """Returns the request in the forked process, and None in this one, when there are no more."""
    template = os.getpid()
    wakeup, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    lines = requests.makefile("rb")
    while True:
        readable, _, _ = select.select([requests.fileno(), wakeup], [], [])
        if wakeup in readable:
            os.read(wakeup, 512)
            report_ended(requests)
        if requests.fileno() in readable:
            if not (line := lines.readline()):
                return None
            request: dict[str, Any] = json.loads(line)
            if not (pid := os.fork()):
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for descriptor in (lines, requests):
                    descriptor.close()
                os.close(wakeup)
                os.close(woken)
                die_with_parent(template, signal.SIGKILL)
                return request
            send(requests, started=pid)


def report_ended(requests: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        send(requests, ended=pid, code=os.waitstatus_to_exitcode(status))


def send(requests: socket.socket, **answer: int) -> None:
    requests.sendall(json.dumps(answer).encode() + b"\n")


def become(request: dict[str, Any]) -> None:
    """Runs the module as `python -m` would, in a session of its own, with its output in the log."""
    os.setsid()
    os.chdir(request["folder"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(Path(request["log"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(log)
    os.environ.clear()
    os.environ.update(request["environment"])
    module, *arguments = request["arguments"]
    set_title([sys.executable, "-m", module, *arguments])
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(argument for argument in sys.argv[1:] if argument.strip())
