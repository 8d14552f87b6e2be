"""Files of npm's packages that pages of tests load; nothing of them is kept in the repository."""

import io
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@cache
def file_of(package: str, path: str) -> str:
    """The text of a file of the package, which is `name@version`. Skips the test where npm cannot be reached."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed: apt-get install npm")
    with TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", package]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
        if done.returncode:
            pytest.skip(f"npm cannot be reached: {done.stderr[-200:]}")
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as tar:
            file = tar.extractfile(f"package/{path}")
            assert file
            return file.read().decode()
