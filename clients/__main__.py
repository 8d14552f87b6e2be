"""`python -m clients [openapi] [postman] [python] [typescript]`: writes clients of the HTTP API to clients/build.

Without arguments it writes all of them. uv and npm fetch the public generators for Python and TypeScript. What can be
published is in clients/build/packages: a wheel and archives for npm.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from clients.collection import collection_of
from gateway.app import ENDPOINTS
from gateway.http.openapi import document
from services.kit import VERSION

HERE = Path(__file__).parent
BUILD, LICENCE = HERE / "build", HERE.parent / "LICENSE"
ASYNCAPI = HERE.parent / "docs/asyncapi.yaml"
HELPERS = ("frames.json", "python.yaml")
PYTHON_GENERATOR = "openapi-python-client==0.29.1"
UV = str(Path(sys.executable).with_name("uv"))


def make_openapi(build: Path) -> None:
    (build / "openapi.json").write_bytes(document(ENDPOINTS))


def make_postman(build: Path) -> None:
    collection = collection_of(json.loads((build / "openapi.json").read_bytes()))
    (build / "hitok.postman_collection.json").write_text(json.dumps(collection, ensure_ascii=False, indent=2))


def make_python(build: Path) -> None:
    generator = [UV, "tool", "run", "--quiet", "--from", PYTHON_GENERATOR, "openapi-python-client"]
    options = ["--path", "openapi.json", "--output-path", "python", "--meta", "uv", "--overwrite", "--fail-on-warning"]
    (build / "python.yaml").write_text(f"package_version_override: {VERSION}\n")
    run([*generator, "generate", *options, "--config", "python.yaml"], build)
    folder, project = build / "python", build / "python/pyproject.toml"
    project.write_text(project.read_text().replace("authors = []", 'license = "Apache-2.0"'))
    for file in (HERE / "python/README.md", LICENCE):
        shutil.copy(file, folder)
    run([UV, "build", "--quiet", "--out-dir", "../packages"], folder)


def make_typescript(build: Path) -> None:
    """Two packages: one for the HTTP API, one for the chat."""
    calls, chat = _copy("typescript", build), _copy("chat", build)
    run(["npm", "install", "--silent", "--no-audit", "--no-fund"], calls)
    # A field with a default may be left out of a request.
    generate = ["npx", "openapi-typescript", "--default-non-nullable=false"]
    run([*generate, "../openapi.json", "--output", "schema.ts"], calls)
    run(["npx", "tsc"], calls)
    (build / "frames.json").write_text(json.dumps(frames_of(yaml.safe_load(ASYNCAPI.read_text()))))
    run([*generate, "../frames.json", "--output", "../chat/frames.d.mts"], calls)
    for folder in (calls, chat):
        run(["npm", "pack", "--silent", "--pack-destination", "../packages"], folder)


def _copy(name: str, build: Path) -> Path:
    folder = build / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / name, folder)
    shutil.copy(LICENCE, folder)
    return folder


def frames_of(asyncapi: Mapping[str, Any]) -> dict[str, Any]:
    """The chat's types as an OpenAPI document without routes, because its generator makes TypeScript of them."""
    components = asyncapi["components"]
    frames = {f"{name}.frame": message["payload"] for name, message in components["messages"].items()}
    schemas = components["schemas"] | frames
    return {"openapi": "3.1.0", "info": asyncapi["info"], "paths": {}, "components": {"schemas": schemas}}


MAKERS: dict[str, Callable[[Path], None]] = {
    "openapi": make_openapi,  # first, because the others read it
    "postman": make_postman,
    "python": make_python,
    "typescript": make_typescript,
}


def run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)  # noqa: S603 - our own
    if done.returncode:
        sys.exit(f"error: {' '.join(command)}\n{done.stdout}{done.stderr}")


def make(build: Path, kinds: Sequence[str]) -> None:
    (build / "packages").mkdir(parents=True, exist_ok=True)
    for kind, maker in MAKERS.items():
        if kind in ("openapi", *kinds):
            maker(build)


def main(arguments: Sequence[str]) -> int:
    if unknown := set(arguments) - MAKERS.keys():
        print(f"error: unknown: {', '.join(sorted(unknown))}. Known: {', '.join(MAKERS)}", file=sys.stderr)
        return 2
    make(BUILD, arguments or list(MAKERS))
    print(*sorted(path for path in BUILD.iterdir() if path.name not in HELPERS), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
