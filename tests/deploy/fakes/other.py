"""A second stand-in for the gateway."""

import os
import signal
import sys

from tests.deploy.fakes.web import serve

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    serve(int(os.environ["HITOK_OTHER_PORTS"]))
