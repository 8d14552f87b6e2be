"""A real Prometheus and exporters: from the PATH, else Debian's packages, unpacked into the environment without
installing them."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from deploy.local.ports import find_free_port

KEPT = Path(sys.prefix) / "prometheus"
SECONDS = 90  # for the package
START_SECONDS = 30


@cache
def find_program(name: str) -> str:
    """`prometheus`, `promtool`, or an exporter by the name of its package. Skips the test where there is none.

    On the PATH an exporter may also have its makers' name, as `postgres_exporter`."""
    if found := shutil.which(name) or shutil.which(name.removeprefix("prometheus-").replace("-", "_")):
        return found
    package = "prometheus" if name == "promtool" else name
    if not (KEPT / name).exists():
        try:
            _unpack(package)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"there is no {name}: apt-get install {package} ({str(error)[:100]})")
    return str(KEPT / name)


def _unpack(package: str) -> None:
    with tempfile.TemporaryDirectory(dir=sys.prefix) as folder:
        try:
            _run("apt-get", "download", "-qq", package, cwd=folder)
        except subprocess.CalledProcessError:  # the lists of packages are not there, or are old
            lists = [f"-oDir::State::Lists={folder}/lists", f"-oDir::Cache={folder}/cache", "-oAPT::Sandbox::User="]
            _run("apt-get", *lists, "update", "-qq", cwd=folder)
            _run("apt-get", *lists, "download", "-qq", package, cwd=folder)
        _run("dpkg-deb", "-x", str(next(Path(folder).glob(f"{package}_*.deb"))), f"{folder}/x", cwd=folder)
        KEPT.mkdir(exist_ok=True)
        for program in Path(folder, "x/usr/bin").glob("prom*"):
            program.replace(KEPT / program.name)


def _run(*command: str, cwd: str) -> None:
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, timeout=SECONDS)


class Prometheus:
    def __init__(self, url: str) -> None:
        self._url = url

    def firing(self) -> list[tuple[str, str]]:
        """The alerts that fire, each with its summary."""
        with urllib.request.urlopen(f"{self._url}/api/v1/alerts", timeout=5) as answer:
            found = json.load(answer)["data"]["alerts"]
        fired = [alert for alert in found if alert["state"] == "firing"]
        return [(alert["labels"]["alertname"], alert["annotations"]["summary"]) for alert in fired]

    def wait(self, until: Callable[[set[str]], bool], seconds: float = 60) -> None:
        """Until it is true of the names of the alerts that fire."""
        ends = time.monotonic() + seconds
        while not until(set(dict(found := self.firing()))):
            assert time.monotonic() < ends, found
            time.sleep(0.2)


@contextmanager
def running_prometheus(configuration: Path, folder: Path) -> Iterator[Prometheus]:
    """Runs it with that configuration file; its data go into `folder`."""
    url = f"127.0.0.1:{find_free_port()}"
    options = [f"--config.file={configuration}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address={url}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([find_program("prometheus"), *options], stdout=log, stderr=log)
    try:
        ends = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"http://{url}/-/ready", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < ends, (folder / "prometheus.log").read_text()
                time.sleep(0.05)
        yield Prometheus(f"http://{url}")
    finally:
        process.kill()
        process.wait()
