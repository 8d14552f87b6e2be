"""The index of a storyboard: a WebVTT file whose cues name the tiles of a sheet (Media Fragments, `#xywh`)."""

from typing import Any

COLUMNS = 10  # of a sheet, as in sandbox/stills/storyboard.py


def index(file: str, made: dict[str, Any]) -> str:
    """`file`: the name of the sheet. `made`: what the child told of it."""
    cues = ["WEBVTT"]
    for number in range(made["tiles"]):
        begins, ends = number * made["seconds"], min((number + 1) * made["seconds"], made["duration"])
        if number == made["tiles"] - 1:
            ends = max(made["duration"], begins + 0.001)
        x, y = number % COLUMNS * made["width"], number // COLUMNS * made["height"]
        place = f"{file}#xywh={x},{y},{made['width']},{made['height']}"
        cues.append(f"{timestamp(begins)} --> {timestamp(ends)}\n{place}")
    return "\n\n".join([*cues, ""])


def timestamp(seconds: float) -> str:
    """As WebVTT writes it: `01:02:03.004`."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"
