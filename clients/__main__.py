"""`python -m clients [openapi] [postman] [python] [typescript]`: writes clients of the HTTP API to clients/build.

Without arguments it writes all of them. uv and npm fetch the public generators for Python and TypeScript.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from clients.collection import collection_of
from gateway.app import ENDPOINTS
from gateway.http.openapi import document

HERE = Path(__file__).parent
BUILD = HERE / "build"
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
    run([*generator, "generate", *options], build)


def make_typescript(build: Path) -> None:
    folder = build / "typescript"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "typescript", folder)
    run(["npm", "install", "--silent", "--no-audit", "--no-fund"], folder)
    run(["npx", "openapi-typescript", "../openapi.json", "--output", "schema.ts"], folder)
    run(["npx", "tsc"], folder)


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
    build.mkdir(parents=True, exist_ok=True)
    for kind, maker in MAKERS.items():
        if kind in ("openapi", *kinds):
            maker(build)


def main(arguments: Sequence[str]) -> int:
    if unknown := set(arguments) - MAKERS.keys():
        print(f"error: unknown: {', '.join(sorted(unknown))}. Known: {', '.join(MAKERS)}", file=sys.stderr)
        return 2
    make(BUILD, arguments or list(MAKERS))
    print(*sorted(BUILD.iterdir()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
