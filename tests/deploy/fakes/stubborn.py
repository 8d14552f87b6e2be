"""A service that ignores the stop signal."""

import os
import signal

from tests.deploy.fakes.web import serve

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(int(os.environ["HITOK_STUBBORN_PORTS"]))
