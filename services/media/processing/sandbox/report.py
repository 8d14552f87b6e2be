"""Prints what confines a decoder on this machine: `python -m services.media.processing.sandbox.report <request>`."""

import json
import sys
from pathlib import Path

from services.media.processing.sandbox.box.confinement import shut_in
from services.media.processing.sandbox.limits import answer

if __name__ == "__main__":
    answer(**shut_in((), Path(json.loads(sys.argv[1])["scratch"]))._asdict())
