"""Reports the progress of a conversion as a number from 0 to 1, in a file beside the output."""

import time
from contextlib import suppress
from pathlib import Path

EVERY = 0.5  # seconds


class Reporter:
    """Silent until it has a path."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._told_at = 0.0

    def begin(self, path: Path) -> None:
        self._path = path

    def tell(self, done: float) -> None:
        if self._path and time.monotonic() - self._told_at >= EVERY:
            self._told_at = time.monotonic()
            with suppress(OSError):  # a full disk: the conversion itself will meet it, if it matters
                self._path.write_text(f"{done:.3f}")


reporter = Reporter()
