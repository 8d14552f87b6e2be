"""The ports of servers that know each other: chosen once, and kept, since each writes the others' into its data."""

import json
from collections.abc import Iterable
from pathlib import Path

from deploy.local.data_dir import write_private
from deploy.local.errors import explain_os_errors
from deploy.local.ports import is_free, is_reserved, shuffled_range


def load_ports(var: Path, names: Iterable[str]) -> dict[str, int]:
    """Reads var/ha.json, after adding a free port for each of `names` that is missing."""
    file = var / "ha.json"
    with explain_os_errors(file):
        known: dict[str, int] = json.loads(file.read_bytes()) if file.exists() else {}
        open_ports = (port for port in shuffled_range() if is_free(port) and not is_reserved(port))
        free = (port for port in open_ports if port not in known.values())
        missing = {name: next(free) for name in names if name not in known}
        if missing:
            write_private(file, known | missing)
    return known | missing
