"""The protos as one descriptor set, and the breaking changes between two such sets.

`protos/released.binpb` is the set of the last release. During a rolling update processes of two releases run side by
side, so RPCs, fields, numbers, types and enums may only be added.
"""

import json
import subprocess
import sys
from pathlib import Path

RELEASED = Path("protos") / "released.binpb"
RULES = {"version": "v2", "breaking": {"use": ["PACKAGE"]}}  # https://buf.build/docs/breaking/rules
BUF = str(Path(sys.executable).with_name("buf"))


def write_descriptors(root: Path, to: Path) -> None:
    """Compiles every .proto under `root`/protos, with its imports, into one descriptor set."""
    sources = sorted(str(path.relative_to(root)) for path in root.glob("protos/**/*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--include_imports", f"--descriptor_set_out={to}"]
    subprocess.run([*command, *sources], cwd=root, check=True)  # noqa: S603 - our own program


def find_breaks(old: Path, new: Path) -> list[str]:
    """The breaking changes from `old` to `new`, one per line."""
    command = [BUF, "breaking", str(new), "--against", str(old), "--config", json.dumps(RULES)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603
    if done.returncode not in (0, 100):  # 100: it found breaking changes
        raise RuntimeError(done.stderr)
    return done.stdout.splitlines()
