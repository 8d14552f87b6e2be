"""Pictures: every pixel is decoded once, and the file must end where the picture ends.

Personal metadata is removed, pictures are turned upright, and formats that browsers do not show are converted to JPEG,
or to PNG if they have transparency.
"""

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, ImageOps

from services.media.processing.sandbox.formats import picture_endings, picture_metadata
from services.media.processing.sandbox.formats.picture_metadata import scans_of_jpeg
from services.media.processing.sandbox.limits import Refused, allow_cpu
from services.media.processing.sandbox.pictures import blurhash

SECONDS, SECONDS_PER_MEGAPIXEL = 1.2, 0.1  # of CPU for a picture
MAX_FRAMES = 2_000
FRAMES_PIXELS = 40  # all frames of an animation may have this many times the pixels of one picture
DECODED_PIXELS = 100_000_000  # of an animation; the frames after that are left to processing
SCANS_PIXELS = 20  # all scans of a progressive JPEG may have this many times the pixels of one picture
SHOWN = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "AVIF": "avif"}  # formats that browsers show
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")  # a JPEG of several pictures, as cameras make them, is shown as its first one
QUALITY = 92  # of turned or converted pictures
SHORTEST, UNSTATED = 10, 100  # milliseconds
TURNED_ALREADY = ("HEIF", "AVIF")  # formats whose readers turn pictures upright


def inspect(path: Path, kind: str, format: str, limits: dict[str, int]) -> dict[str, Any]:
    """Returns the facts of the picture. Raises Refused, and what Pillow raises for a broken picture."""
    Image.MAX_IMAGE_PIXELS = max_pixels = limits["pixels"]
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    _register(format)
    try:
        with Image.open(path, formats=[format]) as image:
            if format == "JPEG":
                _check_scans(image, path, max_pixels)
            milliseconds = _load_frames(image, max_pixels)
            duration = milliseconds if format in ANIMATED else 0
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9) and format not in TURNED_ALREADY
        with Image.open(path, formats=[format]) as image:
            image.verify()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refused("LARGE", "too many pixels") from None
    except (OSError, ValueError, TypeError, SyntaxError) as error:
        if picture_endings.is_cut_short(error, path.read_bytes(), format):
            raise Refused("TRUNCATED", "cut short") from None
        raise
    data = path.read_bytes()
    picture_endings.check(data, format)
    if format not in SHOWN or (turned and not duration):
        return _convert(path, format) | {"changed": True}
    stripped = picture_metadata.strip(data, format)
    if stripped != data:
        path.write_bytes(stripped)
    with Image.open(path, formats=[format]) as image:
        return _facts(image, format) | {"changed": stripped != data, "duration": duration}


def _register(format: str) -> None:
    """Loads the package with Pillow's reader of this format."""
    if format == "HEIF":
        import_module("pillow_heif").register_heif_opener()
    elif format == "JXL":
        import_module("pillow_jxl")


def _facts(image: Any, format: str) -> dict[str, Any]:
    image.seek(0)
    facts = {"width": image.width, "height": image.height, "codec": format.lower(), "blurhash": blurhash.encode(image)}
    return facts | {"extension": SHOWN[format]}


def _convert(path: Path, format: str) -> dict[str, Any]:
    """Turns the picture upright, in a format that browsers show, keeping only the pixels and the colour profile."""
    with Image.open(path, formats=[format]) as image:
        profile = image.info.get("icc_profile")
        upright = ImageOps.exif_transpose(image) if format not in TURNED_ALREADY else image
        upright.load()
    clear = upright.has_transparency_data
    target = format if format in ("PNG", "WEBP", "AVIF") else "PNG" if clear else "JPEG"
    if target == "JPEG":
        upright = eight_bits(upright)
    upright.info = {}
    options: dict[str, Any] = {"icc_profile": profile} if profile else {}
    options |= {"exif": b""} if target != "PNG" else {}
    upright.save(path, target, quality=QUALITY, **options)
    return _facts(upright, target)


def eight_bits(image: Any) -> Any:
    """Reduces any other depth to eight bits per channel, and leaves RGB(A), grey and CMYK as they are."""
    if image.mode in ("RGB", "RGBA", "L", "CMYK"):
        return image
    if image.mode.startswith("I"):
        image = image.point(lambda value: value / 256).convert("L")
    return image.convert("RGB")


def _check_scans(image: Any, path: Path, max_pixels: int) -> None:
    """A scan of a few bytes may cost as much as the whole picture."""
    if scans_of_jpeg(path.read_bytes()) * image.width * image.height > SCANS_PIXELS * max_pixels:
        raise Refused("LARGE", "too many scans")


def _load_frames(image: Any, max_pixels: int) -> int:
    """Returns the milliseconds of an animation, estimated if not all of it is decoded; 0 for a single picture."""
    frames = getattr(image, "n_frames", 1)
    if image.width * image.height > max_pixels:
        raise Refused("LARGE", "too many pixels")
    if frames > MAX_FRAMES or frames * image.width * image.height > FRAMES_PIXELS * max_pixels:
        raise Refused("LARGE", "too many frames")
    allow_cpu(SECONDS + SECONDS_PER_MEGAPIXEL * image.width * image.height / 1_000_000)
    decoded = min(frames, DECODED_PIXELS // (image.width * image.height) + 1)
    milliseconds = 0
    for frame in range(decoded):
        image.seek(frame)
        image.load()
        milliseconds += milliseconds_of(image)
    return milliseconds * frames // decoded if frames > 1 else 0


def milliseconds_of(image: Any) -> int:
    """How long browsers show the frame of an animation: a tenth of a second if it says next to nothing."""
    stated = int(image.info.get("duration") or 0)
    return stated if stated > SHORTEST else UNSTATED
