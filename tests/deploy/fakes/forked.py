"""`python -m tests.deploy.fakes.forked CODE`: tells what it is, and ends with that code; without one, it waits."""

import json
import os
import signal
import sys

if __name__ == "__main__":
    print(json.dumps({"arguments": sys.argv[1:], "parent": os.getppid(), "said": os.environ.get("SAID")}), flush=True)
    if len(sys.argv) == 1:
        signal.pause()
    sys.exit(int(sys.argv[1]))
