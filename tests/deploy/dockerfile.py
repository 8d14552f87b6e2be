"""Reads the Dockerfile, and performs its COPY instructions."""

import json
import re
import shutil
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from deploy.docker.packages import PIN

ROOT = Path(__file__).parents[2]
IGNORE = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
INSTRUCTION = re.compile(r"^([A-Z]+) +(.*)$")


@dataclass
class Stage:
    name: str
    parent: "Stage | None"
    image: str
    """What FROM names, arguments filled in."""
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        """The arguments of each instruction of this kind, inherited ones first."""
        inherited = self.parent.all(keyword) if self.parent else []
        return inherited + [arguments for name, arguments in self.instructions if name == keyword]

    def last(self, keyword: str) -> str:
        return self.all(keyword)[-1]

    @property
    def environment(self) -> dict[str, str]:
        return dict(re.findall(r"(\w+)=(\S+)", " ".join(self.all("ENV"))))

    @property
    def copies(self) -> list[tuple[str, str, str]]:
        """(stage or "", source, destination)."""
        found = []
        for arguments in self.all("COPY"):
            *options, source, destination = arguments.split()
            found.append(("".join(options).removeprefix("--from="), source, destination))
        return found


@cache
def read_dockerfile() -> dict[str, Stage]:
    """The stages by name."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if not line:
            continue
        instruction = INSTRUCTION.match(line)
        assert instruction, line
        keyword, rest = instruction.groups()
        if keyword == "FROM":
            image, name = re.sub(r"\$\{(\w+)\}", lambda use: arguments[use[1]], rest).split(" AS ")
            stage = stages[name] = Stage(name, stages.get(image), image)
        elif stage is None:
            name, value = rest.split("=", 1)
            arguments[name] = value
        else:
            stage.instructions.append((keyword, rest))
    return stages


def is_ignored(path: str) -> bool:
    """Whether .dockerignore excludes the path; its last matching rule counts."""
    verdict = False
    parts = [path, *map(str, Path(path).parents)]
    for rule in IGNORE:
        pattern = rule.lstrip("!")
        if any(fnmatch(part, pattern) or fnmatch(part, pattern.replace("**/", "")) for part in parts):
            verdict = not rule.startswith("!")
    return verdict


def copy_code(stages: dict[str, Stage], name: str, folder: Path) -> None:
    """Copies the code of the image to its place under `folder`."""
    sources = {destination: source for origin, source, destination in stages["code"].copies if not origin}
    for origin, source, destination in stages[name].copies:
        if origin == "code":
            inside = Path(source).relative_to("/app")
            copied = ROOT / sources[inside.parts[0]] / Path(*inside.parts[1:])
            (folder / destination).parent.mkdir(parents=True, exist_ok=True)
            if copied.is_dir():
                shutil.copytree(copied, folder / destination, ignore=ignored_in, dirs_exist_ok=True)
            else:
                shutil.copy2(copied, folder / destination)


def ignored_in(folder: str, names: list[str]) -> set[str]:
    """The files of a folder that no image gets."""
    inside = Path(folder).relative_to(ROOT)
    return {name for name in names if name == "__pycache__" or ("." in name and is_ignored(str(inside / name)))}


def exec_form(arguments: str) -> list[str]:
    """Of ENTRYPOINT or HEALTHCHECK … CMD."""
    command: list[str] = json.loads(arguments[arguments.index("[") :])
    return command


def pins(file: Path) -> dict[str, str]:
    """The version and the hashes of each package, by its name. Not its marker: the lock needs some packages everywhere
    that an image needs on one system."""
    return {pin["name"]: f"{pin['version']}{pin['hashes']}" for pin in PIN.finditer(file.read_text())}
