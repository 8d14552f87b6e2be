"""Children of a process that serves gRPC."""

import os
import subprocess
import sys

from tests.kit.forking import CHILDREN


def test_no_child_of_a_busy_process_dies() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    program = "import services; from tests.kit.forking import run; run()"  # as `python -m services.media` begins
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=240)
    assert done.stdout.splitlines()[-1] == str({0: CHILDREN}), done.stderr[-2000:]
