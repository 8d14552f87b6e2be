"""A fork server with children of tests: `python -m tests.media.processing.intruders`."""

import os
import signal
import sys
import time
from typing import Any

from services.media.processing.sandbox import fork_server
from tests.media.processing import intruder


def babble(request: dict[str, Any]) -> None:
    sys.stdout.write("x" * request["bytes"])
    sys.stdout.flush()


fork_server.PROGRAMS |= {
    "intruder": intruder.main,
    "sleeper": lambda request: time.sleep(request["seconds"]),
    "crasher": lambda request: os.kill(os.getpid(), signal.SIGSEGV),
    "babbler": babble,
}

if __name__ == "__main__":
    fork_server.main()
