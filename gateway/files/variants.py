"""Other versions of a file under its own address (docs/files.md).

`/media/<file>?w=256`: a picture in the size that a page shows and in the best format that its browser takes.
`/media/<file>?as=mp4`: what browsers play of a video or an animation.
"""

import re
from typing import NamedTuple
from urllib.parse import parse_qs

import grpc.aio
import structlog

from gateway.container import Container
from gateway.files.urls import hash_in
from gateway.http.errors import ObjectNotFound, ParameterInvalid
from protos.media.v1.objects_pb2 import MakeVariantRequest, Object, State, Variant

WIDTHS = (64, 128, 256, 512, 1080)
MODERN = ("avif", "webp")  # the better one first
BASIC = "basic"  # for clients that do not name a modern format
BASIC_TYPES = ("image/jpeg", "image/png")
REFUSED = re.compile(r"q=0(\.0*)?")  # a weight that means "not acceptable"
MP4 = "mp4"
MAKE_SECONDS = 10.0  # then the picture itself is sent
STOPGAP_SECONDS, PLAYABLE_SECONDS = 10, 300

log = structlog.get_logger("variants")


class Shown(NamedTuple):
    """The file that is sent for a path."""

    object: Object
    by_accept: bool = False  # clients that accept other formats get another file
    seconds: int | None = None  # for which it stays so; None: for good


async def choose(container: Container, object: Object, query: bytes, accept: str) -> Shown:
    """For a client that may see the object.

    Raises ParameterInvalid, and ObjectNotFound for what was not made of the file, or not yet.
    """
    given = _given(query)
    if object.kind not in ("image", "video"):
        return Shown(object)
    if "as" in given:
        return await _playable(container, object, given["as"])
    if "w" in given:
        return await _sized(container, object, given["w"], accept)
    return Shown(object)


async def _playable(container: Container, object: Object, format: str) -> Shown:
    """A video in several sizes is shown in the smallest one first."""
    if format != MP4:
        raise ParameterInvalid(field="as")
    if not object.playback_path and object.media_type == "video/mp4" and object.state == State.READY:
        return Shown(object)
    return Shown(await _made(container, object.playback_path, object), seconds=PLAYABLE_SECONDS)


async def _sized(container: Container, object: Object, asked: str, accept: str) -> Shown:
    """The sizes of a video are those of its cover."""
    if asked not in map(str, WIDTHS):
        raise ParameterInvalid(field="w")
    if object.kind == "video":
        object = await _made(container, object.cover_path, object)
    width, format = _enough(object, int(asked)), _format(accept)
    if _is_fit(object, width, format):
        return Shown(object, by_accept=True)
    variant = next((of for of in object.variants if (of.width, of.format) == (width, format)), None)
    variant = variant or await _make(container, object, width, format)
    if variant is None:
        return Shown(object, by_accept=True, seconds=STOPGAP_SECONDS)
    return Shown(_as_object(variant, object), by_accept=True)


async def _made(container: Container, path: str, of: Object) -> Object:
    """A rendition of an object, as private as the object."""
    made = await container.files.load(hash_in(path) or "") if path else None
    if made is None:
        raise ObjectNotFound
    shown = Object()
    shown.CopyFrom(made)
    shown.private = of.private
    return shown


def _given(query: bytes) -> dict[str, str]:
    values = parse_qs(query.decode("latin-1"), True) if 0 < len(query) < 1_000 else {}
    return {name: texts[-1] for name, texts in values.items()}


def _enough(object: Object, width: int) -> int:
    """No more than the smallest width that shows all of the picture."""
    whole = next((enough for enough in WIDTHS if enough >= object.width), width)
    return min(width, whole) if object.width else width  # 0: not known


def _format(accept: str) -> str:
    """The best format that the Accept header names. A wildcard names none: old clients send it, too."""
    accepted = set()
    for item in accept.lower().split(","):
        type, *parameters = (part.replace(" ", "") for part in item.split(";"))
        if not any(map(REFUSED.fullmatch, parameters)):
            accepted.add(type.removeprefix("image/"))
    return next((format for format in MODERN if format in accepted), BASIC)


def _is_fit(object: Object, width: int, format: str) -> bool:
    """Whether the picture itself has that size and format."""
    fits = object.media_type in BASIC_TYPES if format == BASIC else object.media_type == f"image/{format}"
    return fits and 0 < object.width <= width


async def _make(container: Container, object: Object, width: int, format: str) -> Variant | None:
    """None if it cannot be made, or not soon enough: a picture that is too large is better than none."""
    request = MakeVariantRequest(hash=object.hash, width=width, format=format)
    try:
        variant: Variant = await container.objects.MakeVariant(request, timeout=MAKE_SECONDS)
    except grpc.aio.AioRpcError as error:
        log.info("no variant", hash=object.hash, width=width, format=format, error=error.details())
        return None
    container.files.drop(object.hash)
    return variant


def _as_object(variant: Variant, of: Object) -> Object:
    hash, file = variant.file.partition(".")[0], variant.file
    return Object(
        hash=hash, file=file, kind="image", media_type=variant.media_type, size=variant.size, private=of.private
    )
