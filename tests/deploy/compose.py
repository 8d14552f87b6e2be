"""docker-compose.yml as a test reads it."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from services.kit.config import Settings, load
from tests.deploy.dockerfile import ROOT, read_dockerfile

FILE = ROOT / "docker-compose.yml"
EXAMPLE = ROOT / ".env.example"
USE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


class MissingValue(Exception):
    pass


@cache
def read_compose() -> dict[str, Any]:
    """Leaves ${…} as they are."""
    read: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return read


def fill(text: str, environ: Mapping[str, str]) -> str:
    """Replaces ${…} like `docker compose`, in the two forms used here."""

    def value(use: re.Match[str]) -> str:
        found = environ.get(use["name"], "")
        if not found and use["kind"] == "?":
            raise MissingValue(use["name"])
        return found or (use["rest"] or "")

    return USE.sub(value, text)


def environment_of(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a compose service's process: that of its image, then its own."""
    service = read_compose()["services"][name]
    target = target_of(service["image"])
    image = read_dockerfile()[target].environment if target else {}
    own = {
        key: fill(str(value), environ) if value is not None else environ.get(key)
        for key, value in service.get("environment", {}).items()
    }
    return image | {key: value for key, value in own.items() if value is not None}


def target_of(image: str) -> str:
    """The Dockerfile target from which a service is built, or ""."""
    builds = [service for service in read_compose()["services"].values() if "build" in service]
    return next((str(service["build"]["target"]) for service in builds if service["image"] == image), "")


def load_settings(kind: type[Settings], name: str, environ: Mapping[str, str]) -> Settings:
    """Raises ConfigError, as the process would refuse to start."""
    return load(kind, name, environment_of(name, environ))


def read_env(text: str) -> dict[str, str]:
    """The variables of an .env file."""
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
