"""What an image holds: the packages of its requirements file, each with its hashes and its licence."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

from packaging.markers import Marker

REQUIREMENTS = Path(__file__).with_name("requirements")
PIN = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)(?: ; (?P<marker>.*?))?(?P<hashes>(?: \\\n +--hash=\S+)+)$",
    re.MULTILINE,
)
CLASSIFIER = "License :: "
# The Dockerfile's Python; a lock made for every system holds more than an image does.
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
    """Those an image gets of a requirements file as `make lock` writes it."""
    for pin in PIN.finditer(file.read_text()):
        if not pin["marker"] or Marker(pin["marker"]).evaluate(dict(IMAGE)):
            yield Package(pin["name"], pin["version"], tuple(re.findall(r"--hash=(\S+)", pin["hashes"])))


def licence_of(name: str) -> str:
    """As the installed package declares it; "" if it does not, or is not installed on this system."""
    try:
        declared = metadata(name)
    except PackageNotFoundError:
        return ""
    return _one(declared, "License-Expression") or _classified(declared) or _one(declared, "License").partition("\n")[0]


def _one(declared: PackageMetadata, field: str) -> str:
    return str((declared.get_all(field) or [""])[0])


def _classified(declared: PackageMetadata) -> str:
    """By its classifiers; the last part of one is the licence's name."""
    classifiers = declared.get_all("Classifier") or []
    names = [entry.rpartition(" :: ")[2] for entry in classifiers if entry.startswith(CLASSIFIER)]
    return " OR ".join(name for name in names if name != "OSI Approved")
