"""Prints what confines a decoder on this machine: `python -m services.media.processing.sandbox.report <request>`."""

import json
import sys
from pathlib import Path
from typing import Any

from services.media.processing.sandbox.box.confinement import shut_in
from services.media.processing.sandbox.limits import answer


def main(request: dict[str, Any]) -> None:
    answer(**shut_in((), Path(request["scratch"]))._asdict())


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
