"""Forks the children of the sandbox that work for a moment: `python -m services.media.processing.sandbox.fork_server`.

It loads their libraries once, which takes a child longer than most files do. It reads no file of users, and hears from
nobody but the service, by the socket that is its standard input: a request for a child comes with the descriptors of
that child's standard input and output; what goes back says which process was made, and how each ended. It starts no
program and has no network. It has one thread, so that nobody holds a lock while it forks.
"""

import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

from PIL import Image

from services.media.processing.sandbox import conversion, inspection, report
from services.media.processing.sandbox.box import confinement, seccomp

PROGRAMS: dict[str, Callable[[dict[str, Any]], None]] = {
    "inspection": inspection.main,
    "conversion": conversion.main,
    "report": report.main,
}
SANDBOX = "services.media.processing.sandbox"
LIBRARIES = (
    *(f"{SANDBOX}.{name}" for name in (*inspection.INSPECTORS.values(), "pictures.variants", "stills.covers")),
    *("PIL.AvifImagePlugin", "PIL.ImageCms", "pillow_heif", "pillow_jxl", "av.subtitles.stream"),
)
MESSAGE, DESCRIPTORS = 131_072, 2  # most bytes of a request, and what comes with it
FILES = 64  # open at a time, of the server and of a child
IDLE_SECONDS = 600  # without a request, after which it ends; the service starts another when it needs one
PR_SET_NAME = 15  # the name that ps shows
libc = ctypes.CDLL(None, use_errno=True)


class ForkServer:
    def __init__(self, channel: socket.socket) -> None:
        """`channel`: to the service; it keeps the limits of messages (SOCK_SEQPACKET)."""
        self._channel, self._process = channel, os.getpid()
        self._numbers: dict[int, int] = {}  # the service's number of a child, by process id

    def serve(self) -> None:
        """Until the service closes its end, or nothing is asked for."""
        ended, wake = os.pipe()
        for end in (ended, wake):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        ready = select.poll()
        for descriptor in (self._channel.fileno(), ended):
            ready.register(descriptor, select.POLLIN)
        self._tell(ready=True)
        while events := ready.poll(None if self._numbers else IDLE_SECONDS * 1000):
            happened = {descriptor for descriptor, _ in events}
            if ended in happened:
                os.read(ended, MESSAGE)
                self._report_ended()
            if self._channel.fileno() in happened and not self._answer():
                return

    def _answer(self) -> bool:
        """Makes the child that is asked for, or kills one. False: the service has gone."""
        text, descriptors, _, _ = socket.recv_fds(self._channel, MESSAGE, DESCRIPTORS)
        if not text:
            return False
        asked = json.loads(text)
        if asked.get("kill"):
            for process in [each for each, number in self._numbers.items() if number == asked["number"]]:
                os.kill(process, signal.SIGKILL)  # it waits to be reported, so the id is still its own
            return True
        try:
            process = os.fork()
        except OSError:
            process = 0  # there is none
        else:
            if not process:
                _become(self._process, asked["program"], asked["request"], descriptors)
            self._numbers[process] = asked["number"]
        self._tell(number=asked["number"], process=process)
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _report_ended(self) -> None:
        while self._numbers:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            self._tell(number=self._numbers.pop(process), code=os.waitstatus_to_exitcode(status))

    def _tell(self, **values: Any) -> None:
        self._channel.send(json.dumps(values).encode())


def _become(parent: int, program: str, request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Runs the program in this new process, which keeps nothing of the server but its code."""
    try:
        confinement.end_with_parent(libc, parent)
        libc.prctl(PR_SET_NAME, request.get("profile", program).encode())
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor, standard in zip(descriptors, (0, 1), strict=True):
            os.dup2(descriptor, standard)  # over the socket to the service
        os.closerange(3, FILES)
        PROGRAMS[program](request)
    finally:
        os._exit(1)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the service ends it
    for library in LIBRARIES:
        import_module(library)
    Image.init()
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    libc.prctl(confinement.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    seccomp.restrict_parent(libc)
    gc.collect()
    gc.freeze()  # no collection of a child copies the pages of what is loaded
    ForkServer(socket.socket(fileno=sys.stdin.fileno())).serve()


if __name__ == "__main__":
    main()
