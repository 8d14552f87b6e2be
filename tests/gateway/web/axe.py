"""axe-core (MPL-2.0) in a page: faults that keep people from reading or using it. npm brings it, for tests alone."""

import io
import json
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.browser import Tab

PACKAGE = "axe-core@4.11.0"
RUN = """axe.run(document, {resultTypes: ["violations"], ...%s}).then(({violations}) => violations
    .filter(({impact}) => impact === "serious" || impact === "critical")
    .map(({id, nodes}) => `${id}: ${nodes.map(({html, failureSummary}) => html + failureSummary).join("; ")}`))"""


@cache
def axe_source() -> str:
    """Skips the test where npm cannot be reached."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed: apt-get install npm")
    with TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", PACKAGE]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
        if done.returncode:
            pytest.skip(f"npm cannot be reached: {done.stderr[-200:]}")
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as tar:
            file = tar.extractfile("package/axe.min.js")
            assert file
            return file.read().decode()


async def serious_faults(tab: Tab, *rules: str) -> list[str]:
    """Serious and critical ones of what the page shows now; by all rules, or by these."""
    if not await tab.run("'axe' in window"):
        await tab.ask("Runtime.evaluate", expression=axe_source())
    found: list[str] = await tab.run(RUN % json.dumps({"runOnly": list(rules)} if rules else {}))
    return found


async def set_colours(tab: Tab, scheme: str) -> None:
    """`scheme`: light or dark."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    await tab.ask("Emulation.setEmulatedMedia", features=features)
