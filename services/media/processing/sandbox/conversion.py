"""Makes a cover or a browser-playable rendition of a video.

It runs as a process: `python -m services.media.processing.sandbox.conversion <request>`. The answer holds the
`extension` of the file written to `target`, or "" if the video itself can be played. If the video was encoded,
`segments` lists where each segment is in the file written to `cuts`.
"""

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from services.media.processing.sandbox import filters, progress
from services.media.processing.sandbox.failures import failure_of
from services.media.processing.sandbox.limits import answer, confine

PROFILES = {
    "cover": "stills.covers",
    "playback": "renditions",
    "ladder": "ladder",
    "hdr": "hdr",
    "storyboard": "stills.storyboard",
    "variant": "pictures.variants",
    "animation": "animations",
}


def main(request: dict[str, Any]) -> None:
    source, target, cuts = (Path(request[name]) for name in ("source", "target", "cuts"))
    os.nice(5)  # uploads, whose users wait, go first
    confine(request, source, target.parent, request["file_megabytes"])
    if request["frugal"]:
        filters.THREADS = 1
    try:
        progress.reporter.begin(target.with_name("progress"))
        maker = import_module(f"services.media.processing.sandbox.{PROFILES[request['profile']]}")
        made = maker.make(source, request["extension"], target, cuts, **request["options"])
    except Exception as error:  # whatever a library raises
        failure = failure_of(error, source)
        answer(refused=failure.code, detail=failure.detail)
    answer(**made)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
