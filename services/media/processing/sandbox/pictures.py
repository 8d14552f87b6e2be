"""Images: every pixel is decoded once, and the file must end where the image ends."""

import struct
import warnings
from pathlib import Path
from typing import Any

from PIL import Image

from services.media.processing.sandbox.limits import Refused

MAX_FRAMES = 2_000
FRAMES_PIXELS = 40  # times the pixels allowed of one image, for all frames of an animation


def inspect(path: Path, kind: str, format: str, limits: dict[str, int]) -> dict[str, Any]:
    """Raises Refused, and what Pillow raises of a broken image."""
    Image.MAX_IMAGE_PIXELS = max_pixels = limits["pixels"]
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        with Image.open(path, formats=[format]) as image:
            width, height = image.size
            _load_frames(image, max_pixels)
        with Image.open(path, formats=[format]) as image:
            image.verify()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refused("LARGE", "too many pixels") from None
    data = path.read_bytes()
    end = END[format](data) if format in END else len(data)
    if end > len(data):
        raise Refused("BROKEN", "cut short")
    if data[end:].strip(b"\0"):
        raise Refused("TYPE", "goes on after the image")
    return {"width": width, "height": height, "codec": format.lower()}


def _load_frames(image: Any, max_pixels: int) -> None:
    frames = getattr(image, "n_frames", 1)
    if image.width * image.height > max_pixels:
        raise Refused("LARGE", "too many pixels")
    if frames > MAX_FRAMES or frames * image.width * image.height > FRAMES_PIXELS * max_pixels:
        raise Refused("LARGE", "too many frames")
    for frame in range(frames):
        image.seek(frame)
        image.load()


def _end_of_png(data: bytes) -> int:
    at, kind = 8, b""
    while kind != b"IEND" and at + 8 <= len(data):
        (size,), kind = struct.unpack_from(">I", data, at), data[at + 4 : at + 8]
        at += size + 12
    return at if kind == b"IEND" else len(data) + 1


def _end_of_webp(data: bytes) -> int:
    (size,) = struct.unpack_from("<I", data, 4)
    return int(size) + 8 + size % 2 if size + 8 != len(data) else len(data)


def _end_of_gif(data: bytes) -> int:
    """Past the trailer; the blocks before it are skipped by their lengths."""
    try:
        at = 13 + _colours(data[10])
        while data[at] != 0x3B:
            if data[at] == 0x21:
                at += 2
            elif data[at] == 0x2C:
                at += 11 + _colours(data[at + 9])
            else:
                raise Refused("BROKEN", "no GIF block")
            while data[at]:
                at += data[at] + 1
            at += 1
    except IndexError:
        return len(data) + 1
    return at + 1


def _colours(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


# JPEGs are left out: phones append the motion of a motion photo.
END = {"PNG": _end_of_png, "WEBP": _end_of_webp, "GIF": _end_of_gif}
