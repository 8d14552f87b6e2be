"""The contracts as one descriptor set, and what a change of them would break.

`protos/released.binpb` is the set of the last release. Processes of two releases run side by side during a rolling
update, so RPCs, fields, numbers, types and enums may only grow.
"""

import json
import subprocess
import sys
from pathlib import Path

RELEASED = Path("protos") / "released.binpb"
RULES = {"version": "v2", "breaking": {"use": ["PACKAGE"]}}  # https://buf.build/docs/breaking/rules
BUF = str(Path(sys.executable).with_name("buf"))


def write_descriptors(root: Path, to: Path) -> None:
    """Compiles every .proto under `root`/protos into one descriptor set, with what they import."""
    sources = sorted(str(path.relative_to(root)) for path in root.glob("protos/**/*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--include_imports", f"--descriptor_set_out={to}"]
    subprocess.run([*command, *sources], cwd=root, check=True)  # noqa: S603 - our own program


def find_breaks(old: Path, new: Path) -> list[str]:
    """What a process built from `old` can no longer do with one built from `new`, a line each."""
    command = [BUF, "breaking", str(new), "--against", str(old), "--config", json.dumps(RULES)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603
    if done.returncode not in (0, 100):  # 100: it found some
        raise RuntimeError(done.stderr)
    return done.stdout.splitlines()
