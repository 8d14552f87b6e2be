"""How a client of the originals opens its socket (docs/contract/compat.md), before it has sent a frame."""

from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs

from litestar.types import Scope
from msgspec import DecodeError, Struct, json

Name = Literal["A", "B1", "B2"]
MAX_TOKEN_CHARACTERS = 4_096


class Opening(NamedTuple):
    """`subprotocol`: the one to echo; it is the token."""

    dialect: Name
    token: str
    subprotocol: str | None = None


class Spoken(NamedTuple):
    """A first frame that is a dialect's."""

    dialect: Name
    text: str


class _FirstFrame(Struct):
    frameType: int  # noqa: N815
    id: Any = None


def opening_of(scope: Scope) -> Opening | None:
    """None: the client speaks our protocol, or its first frame will decide."""
    query = parse_qs(scope["query_string"].decode("latin-1"))
    if "ticket" in query:
        return None
    if token := query.get("token", [""])[0].strip():
        return Opening("A" if token[:7].lower() == "bearer " else "B2", token)
    offered: list[str] = scope.get("subprotocols") or []  # type: ignore[assignment]
    token = next((each for each in offered if each.count(".") == 2 and len(each) <= MAX_TOKEN_CHARACTERS), "")
    return Opening("B2", token, token) if token else None


def spoken_in(text: str) -> Spoken | None:
    """The dialect of a first frame that came after an Authorization header; None: it is none."""
    try:
        frame = _decode(text)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Spoken("B1" if frame.id is None and frame.frameType in (0, 1) else "B2", text)


_decode = json.Decoder(_FirstFrame).decode
