"""The packages of an image: the contents of its requirements file, with hashes and licences."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements")
PIN = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)(?: ; (?P<marker>.*?))?(?P<hashes>(?: \\\n +--hash=\S+)+)$",
    re.MULTILINE,
)
CLASSIFIER = "License :: "
# The images' Python. The lock file is for every system, so some of its packages are not in an image.
IMAGE = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.15",
    "python_version": "3.11",
    "sys_platform": "linux",
}


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    hashes: tuple[str, ...]
    """`sha256:…` of each of its files."""


def read_packages(file: Path) -> Iterator[Package]:
    """The packages of a requirements file (as `make lock` writes it) that are installed in an image."""
    for pin in PIN.finditer(file.read_text()):
        if not pin["marker"] or Marker(pin["marker"]).evaluate(dict(IMAGE)):
            yield Package(pin["name"], pin["version"], tuple(re.findall(r"--hash=(\S+)", pin["hashes"])))


VENDORED = {"gateway": [Path("gateway/docs/swagger-ui")]}
"""By image, the folders with files of an npm package; the package.json in each names it."""


def read_vendored(image: str) -> Iterator[dict[str, str]]:
    """Name, version and license of each package whose files are in the image without being installed."""
    for folder in VENDORED.get(image, []):
        yield json.loads((ROOT / folder / "package.json").read_bytes())


def licence_of(name: str) -> str:
    """The licence that the installed package declares; "" if it declares none or is not installed here."""
    try:
        declared = metadata(name)
    except PackageNotFoundError:
        return ""
    return _one(declared, "License-Expression") or _classified(declared) or _one(declared, "License").partition("\n")[0]


def _one(declared: PackageMetadata, field: str) -> str:
    return str((declared.get_all(field) or [""])[0])


def _classified(declared: PackageMetadata) -> str:
    """The licences in the package's classifiers: the last part of each is a licence's name."""
    classifiers = declared.get_all("Classifier") or []
    names = [entry.rpartition(" :: ")[2] for entry in classifiers if entry.startswith(CLASSIFIER)]
    return " OR ".join(name for name in names if name != "OSI Approved")
