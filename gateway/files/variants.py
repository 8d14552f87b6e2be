"""Pictures in the size that a page shows and in the best format that its browser takes: `/media/<file>?w=256`."""

import re
from typing import NamedTuple
from urllib.parse import parse_qs

import grpc.aio
import structlog

from gateway.container import Container
from gateway.files.urls import hash_in
from gateway.http.errors import ObjectNotFound, ParameterInvalid
from protos.media.v1.objects_pb2 import MakeVariantRequest, Object, Variant

WIDTHS = (64, 128, 256, 512, 1080)
MODERN = ("avif", "webp")  # the better one first
BASIC = "basic"  # for clients that do not name a modern format
BASIC_TYPES = ("image/jpeg", "image/png")
REFUSED = re.compile(r"q=0(\.0*)?")  # a weight that means "not acceptable"
MAKE_SECONDS = 10.0  # then the picture itself is sent

log = structlog.get_logger("variants")


class Shown(NamedTuple):
    """What is sent for a path."""

    object: Object
    by_accept: bool = False  # clients that accept other formats get another file
    is_stopgap: bool = False  # the picture itself, because the variant could not be made now


async def choose(container: Container, object: Object, query: bytes, accept: str) -> Shown:
    """For a client that may see the object. Pictures have variants; those of a video are its cover's.

    Raises ParameterInvalid, and ObjectNotFound for a video without a cover.
    """
    given = _given(query)
    if object.kind not in ("image", "video") or given is None:
        return Shown(object)
    if given not in map(str, WIDTHS):
        raise ParameterInvalid(field="w")
    if object.kind == "video":
        object = await _cover_of(container, object)
    width, format = _enough(object, int(given)), _format(accept)
    if _is_fit(object, width, format):
        return Shown(object, by_accept=True)
    variant = next((of for of in object.variants if (of.width, of.format) == (width, format)), None)
    variant = variant or await _make(container, object, width, format)
    if variant is None:
        return Shown(object, by_accept=True, is_stopgap=True)
    return Shown(_as_object(variant, object), by_accept=True)


async def _cover_of(container: Container, video: Object) -> Object:
    """As private as the video."""
    cover = await container.files.load(hash_in(video.cover_path) or "") if video.cover_path else None
    if cover is None:
        raise ObjectNotFound
    shown = Object()
    shown.CopyFrom(cover)
    shown.private = video.private
    return shown


def _given(query: bytes) -> str | None:
    """The query's `w`."""
    values = parse_qs(query.decode("latin-1"), True, max_num_fields=10) if b"w=" in query and len(query) < 1_000 else {}
    return values.get("w", [None])[-1]


def _enough(object: Object, width: int) -> int:
    """No more than the smallest width that shows all of the picture."""
    return min(width, next((enough for enough in WIDTHS if enough >= object.width), width)) if object.width else width


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
