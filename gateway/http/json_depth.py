"""The maximum depth of JSON from clients: 32 levels, wherever it is read (docs/contract/api.md).

Deeper values cost more to walk through than to send, and break parsers with less stack.
"""

from typing import Any

import msgspec

MAX_DEPTH = 32


def check_depth(text: str | bytes) -> None:
    """Raises msgspec's ValidationError if the text nests deeper, DecodeError or RecursionError if it is not JSON."""
    if _count(text) > MAX_DEPTH and _is_deeper(msgspec.json.decode(text), MAX_DEPTH):
        raise msgspec.ValidationError(f"JSON nests deeper than {MAX_DEPTH} levels")


def _count(text: str | bytes) -> int:
    """The number of opening brackets, including those in strings."""
    if isinstance(text, str):
        return text.count("{") + text.count("[")
    return text.count(b"{") + text.count(b"[")


def _is_deeper(value: Any, most: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(most):
        parts = [part for parent in level for part in (parent.values() if isinstance(parent, dict) else parent)]
        level = [part for part in parts if isinstance(part, dict | list)]
    return bool(level)
