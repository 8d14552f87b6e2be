"""The depth of JSON from clients: at most 32 levels at every door (docs/contract/api.md).

Deeper values cost whoever walks through them more than they cost their sender, and break parsers with less stack.
"""

from typing import Any

import msgspec

MAX_DEPTH = 32


def check_depth(text: str | bytes) -> None:
    """Raises msgspec's ValidationError for a text that nests deeper, its DecodeError or RecursionError for no JSON."""
    if _count(text) > MAX_DEPTH and _is_deeper(msgspec.json.decode(text), MAX_DEPTH):
        raise msgspec.ValidationError(f"JSON nests deeper than {MAX_DEPTH} levels")


def _count(text: str | bytes) -> int:
    """The number of brackets that open, those in strings included."""
    if isinstance(text, str):
        return text.count("{") + text.count("[")
    return text.count(b"{") + text.count(b"[")


def _is_deeper(value: Any, most: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(most):
        parts = [part for parent in level for part in (parent.values() if isinstance(parent, dict) else parent)]
        level = [part for part in parts if isinstance(part, dict | list)]
    return bool(level)
