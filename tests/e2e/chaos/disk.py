"""A disk of its own for a run of hitok, which can be full and can lose what was not synced."""

import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

END_SECONDS = 10


class Disk:
    """An ext4 file system in an image file, mounted over a loop device. Needs root with the right to mount."""

    def __init__(self, path: Path, megabytes: int = 1_000) -> None:
        """Makes the folder `path`. The image is in memory where that is possible: each sync of hitok syncs it, too."""
        memory = Path("/dev/shm")
        with NamedTemporaryFile(dir=memory if memory.is_dir() else path.parent, suffix=".img", delete=False) as image:
            self.path, self._image = path, Path(image.name)
        self.path.mkdir(parents=True)
        with self._image.open("wb") as image:
            image.truncate(megabytes << 20)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
        self._mount()
        (self.path / "lost+found").rmdir()  # PostgreSQL wants an empty folder

    @staticmethod
    def is_possible() -> bool:
        return os.geteuid() == 0 and Path("/dev/loop-control").exists() and bool(shutil.which("mkfs.ext4"))

    @property
    def _ballast(self) -> Path:
        return self.path / "ballast"

    def fill(self) -> None:
        """Takes all the room, but for what a file system keeps back."""
        file = os.open(self._ballast, os.O_WRONLY | os.O_CREAT)
        for size in (1 << 24, 1 << 16, 1 << 12):
            with suppress(OSError):
                while True:
                    os.write(file, bytes(size))
        os.close(file)

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)
        folder = os.open(self.path, os.O_RDONLY)
        os.fsync(folder)  # the room is free once the journal is committed
        os.close(folder)

    def snapshot(self) -> None:
        """Remembers what has reached the device: not what only the page cache has. Nothing may be written meanwhile."""
        _run("cp", "--sparse=always", str(self._image), f"{self._image}.cut")

    def lose_power(self) -> None:
        """Continues with what `snapshot` remembered, after the journal was replayed. Nobody may use the disk; processes
        that were killed may take a moment to end."""
        ends = time.monotonic() + END_SECONDS
        while subprocess.run(["umount", str(self.path)], capture_output=True).returncode:
            assert time.monotonic() < ends, f"{self.path} is in use"
            time.sleep(0.05)
        Path(f"{self._image}.cut").replace(self._image)
        self._mount()

    def close(self) -> None:
        _run("umount", "--lazy", str(self.path))
        self._image.unlink()

    def _mount(self) -> None:
        # The journal is committed when something is synced, and else not for half a minute: what hitok forgets to sync
        # is lost in a power cut.
        _run("mount", "-o", "loop,commit=30", str(self._image), str(self.path))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
