"""Makes a picture in another size and format: upright, in sRGB, the first frame of an animation, no metadata."""

from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageCms, ImageOps

from services.media.files.filetypes import TYPES
from services.media.processing.sandbox.pictures import blurhash
from services.media.processing.sandbox.pictures.pictures import TURNED_ALREADY, eight_bits

FINE = 3  # a JPEG is decoded at no less than this many times the size, for a sharp result
OPTIONS: dict[str, dict[str, Any]] = {
    "AVIF": {"quality": 60, "speed": 8, "max_threads": 1, "exif": b""},
    "WEBP": {"quality": 80, "method": 4, "exif": b""},
    "JPEG": {"quality": 82, "optimize": True, "progressive": True, "exif": b""},
    "PNG": {"optimize": True},
}
EXTENSIONS = {"AVIF": "avif", "WEBP": "webp", "JPEG": "jpg", "PNG": "png"}
ON_ITS_SIDE = range(5, 9)  # values of the EXIF orientation


def make(
    source: Path, extension: str, target: Path, cuts: Path, width: int, format: str, blurred: bool = False
) -> dict[str, Any]:
    """Writes the picture, at most `width` pixels wide, to `target`. `blurred`: the facts are to have its blurhash.

    Raises what Pillow raises for a broken picture.
    """
    with Image.open(source, formats=[TYPES[extension].format]) as opened:
        image = _resized(opened, width)
    image.info = {}
    kind = format.upper() if format != "basic" else "PNG" if image.mode == "RGBA" else "JPEG"
    image.save(target, kind, **OPTIONS[kind])
    facts = {"extension": EXTENSIONS[kind], "width": image.width, "height": image.height}
    return facts | ({"blurhash": blurhash.encode(image)} if blurred else {})


def _resized(image: Any, width: int) -> Any:
    """In the mode RGBA, or RGB if it has no transparent pixel."""
    profile = image.info.get("icc_profile")
    turn = 1 if image.format in TURNED_ALREADY else image.getexif().get(ExifTags.Base.Orientation, 1)
    across, down = reversed(image.size) if turn in ON_ITS_SIDE else image.size
    image.draft(None, (FINE * width, FINE * width))
    image.load()
    if image.mode == "P" or image.has_transparency_data:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if turn != 1:
        image = ImageOps.exif_transpose(image)
    if across > width:
        size = (width, max(round(down * width / across), 1))
        image = eight_bits(image).resize(size, Image.Resampling.LANCZOS, reducing_gap=FINE)
    image = _in_srgb(image, profile)
    if image.mode == "RGBA" and image.getchannel("A").getextrema()[0] == 255:
        image = image.convert("RGB")
    return image


def _in_srgb(image: Any, profile: bytes | None) -> Any:
    image = eight_bits(image)
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    if profile:
        try:
            own, srgb = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image, own, srgb, outputMode=mode)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a broken profile, or one for another mode
    return image.convert(mode)
