"""What a measurement prints: the machine and commit, then rows."""

import os
import platform
import subprocess


def machine() -> str:
    """Figures mean nothing without the machine and the commit."""
    commit = subprocess.check_output(["git", "describe", "--always", "--dirty"], text=True).strip()
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, commit {commit}"


def where() -> None:
    print(machine())


def title(text: str) -> None:
    print(f"\n{text}")


def row(name: str, value: str, note: str = "") -> None:
    print(f"  {name:28} {value:>12}  {note}")
