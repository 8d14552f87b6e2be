"""Pictures as they are stored: upright, without what they tell of places, devices and people, shown by browsers."""

import io
import struct
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from services.media.files.filetypes import sniff
from services.media.processing.sandbox.limits import Refused
from services.media.processing.sandbox.pictures import blurhash, pictures

import_module("pillow_heif").register_heif_opener()
import_module("pillow_jxl")
SECRET = b"+12.3456-065.4321/"
LIMITS = {"pixels": 50_000_000}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + SECRET + b"</x:xmpmeta>"


def corner(size: tuple[int, int] = (64, 32)) -> Image.Image:
    """Blue, with its upper left quarter red."""
    image = Image.new("RGB", size, (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, size[0] // 2, size[1] // 2))
    return image


def exif(orientation: int = 1) -> Image.Exif:
    found = Image.Exif()
    found[ExifTags.Base.Orientation] = orientation
    found[ExifTags.Base.Make] = SECRET.decode()
    found.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    return found


def encoded(format: str, image: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or corner()).save(buffer, format, **options)
    return buffer.getvalue()


def inspect(data: bytes, tmp_path: Path) -> tuple[dict[str, Any], bytes, Image.Image]:
    path = tmp_path / "picture"
    path.write_bytes(data)
    type = sniff(data[:4_096])
    assert type
    facts = pictures.inspect(path, "image", type.format, LIMITS)
    stored = path.read_bytes()
    image = Image.open(io.BytesIO(stored))
    image.load()
    assert image.size == (facts["width"], facts["height"])
    return facts, stored, image


OTHERS: dict[str, tuple[bytes, str]] = {
    "jpeg 2000": (encoded("JPEG2000"), "jpg"),
    "jpeg 2000 without a container": (encoded("JPEG2000", no_jp2=True), "jpg"),
    "transparent jpeg 2000": (encoded("JPEG2000", corner().convert("RGBA").point(lambda value: value // 2)), "png"),
    "an icon": (encoded("ICO", corner((64, 64)), sizes=[(16, 16), (64, 64)]), "jpg"),
    "an icon of bitmaps": (encoded("ICO", corner((64, 64)), sizes=[(32, 32)], bitmap_format="bmp"), "png"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_browsers_do_not_show_is_converted(kind: str, tmp_path: Path) -> None:
    data, extension = OTHERS[kind]
    facts, _, image = inspect(data, tmp_path)
    assert facts["extension"] == extension
    assert image.width == {"an icon": 64, "an icon of bitmaps": 32}.get(kind, 64)
    red, _, blue = image.convert("RGB").getpixel((3, 3))  # type: ignore[misc]
    assert red > 4 * blue
    with pytest.raises(Refused) as refusal:
        inspect(data[: len(data) * 2 // 3], tmp_path)
    assert refusal.value.code == "TRUNCATED"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_one_that_tells_nothing_stays_as_it_is(format: str, tmp_path: Path) -> None:
    profile: dict[str, Any] = {} if format == "GIF" else {"icc_profile": PROFILE}
    data = encoded(format, **profile)
    facts, stored, _ = inspect(data, tmp_path)
    assert stored == data
    assert not facts["changed"]
    assert len(facts["blurhash"]) == 28


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF"])
def test_exif_and_xmp_are_taken_out_and_the_pixels_stay(format: str, tmp_path: Path) -> None:
    data = encoded(format, exif=exif(), xmp=XMP, icc_profile=PROFILE)
    assert SECRET in data
    facts, stored, image = inspect(data, tmp_path)
    assert facts["changed"]
    assert SECRET not in stored
    assert image.info["icc_profile"] == PROFILE
    assert image.tobytes() == Image.open(io.BytesIO(data)).tobytes()


def test_a_png_loses_its_words(tmp_path: Path) -> None:
    words = PngImagePlugin.PngInfo()
    words.add_text("Author", SECRET.decode())
    words.add_itxt("Place", SECRET.decode(), zip=True)
    data = encoded("PNG", pnginfo=words, exif=exif(), icc_profile=PROFILE)
    _, stored, image = inspect(data, tmp_path)
    assert SECRET not in stored
    assert b"iTXt" not in stored
    assert b"eXIf" not in stored
    assert image.info["icc_profile"] == PROFILE


def test_a_gif_loses_its_comment_and_goes_on_moving(tmp_path: Path) -> None:
    frames = [Image.new("P", (8, 8), n) for n in range(3)]
    data = encoded("GIF", frames[0], save_all=True, append_images=frames[1:], comment=SECRET, loop=0)
    assert SECRET in data
    _, stored, image = inspect(data, tmp_path)
    assert SECRET not in stored
    assert image.info["loop"] == 0


def test_a_motion_photo_loses_its_film(tmp_path: Path) -> None:
    data = encoded("JPEG") + struct.pack(">I4s", 24, b"ftyp") + SECRET
    _, stored, _ = inspect(data, tmp_path)
    assert stored == encoded("JPEG")


def test_a_progressive_jpeg_stays_whole(tmp_path: Path) -> None:
    noise = Image.effect_noise((200, 150), 80).convert("RGB")
    data = encoded("JPEG", noise, progressive=True, restart_marker_blocks=4, exif=exif())
    _, stored, image = inspect(data, tmp_path)
    assert SECRET not in stored
    assert image.tobytes() == Image.open(io.BytesIO(data)).tobytes()


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("format", ["JPEG", "WEBP", "TIFF"])
def test_it_is_turned_the_right_way_up(format: str, orientation: int, tmp_path: Path) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    data = encoded(format, corner().transpose(undo[orientation]), exif=exif(orientation))
    _, stored, image = inspect(data, tmp_path)
    assert image.size == (64, 32)
    red, blue = image.convert("RGB").getpixel((8, 8)), image.convert("RGB").getpixel((56, 24))
    assert red[0] > 200 > 60 > red[2]  # type: ignore[index]
    assert blue[2] > 200 > 60 > blue[0]  # type: ignore[index]
    assert SECRET not in stored
    assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1


@pytest.mark.parametrize("format", ["HEIF", "JXL", "TIFF", "BMP"])
def test_what_browsers_do_not_show_becomes_a_jpeg(format: str, tmp_path: Path) -> None:
    told: dict[str, Any] = {} if format == "BMP" else {"exif": exif().tobytes(), "icc_profile": PROFILE}
    facts, stored, image = inspect(encoded(format, **told), tmp_path)
    assert (image.format, facts["extension"], facts["changed"]) == ("JPEG", "jpg", True)
    assert SECRET not in stored
    assert bool(image.info.get("icc_profile")) == ("icc_profile" in told)
    red = image.getpixel((8, 8))
    assert red[0] > 200 > 60 > red[2]  # type: ignore[index]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_tiffs_of_every_depth_are_shown(mode: str, tmp_path: Path) -> None:
    image = Image.new("I;16", (20, 10), 30_000) if mode == "I;16" else corner().convert("RGB").convert(mode)
    facts, _, shown = inspect(encoded("TIFF", image), tmp_path)
    assert shown.size == (64, 32) if mode != "I;16" else (20, 10)
    assert facts["extension"] == ("png" if "A" in mode else "jpg")


def test_a_blurhash_tells_the_mean_colour_and_the_waves() -> None:
    grey, gradient = Image.new("RGB", (50, 40), (128, 128, 128)), Image.linear_gradient("L")
    assert blurhash.encode(Image.new("RGB", (9, 9), (255, 0, 0)))[2:6] == "TI:j", "red in the reference, too"
    assert blurhash.encode(gradient)[0] == "L", "4 waves by 3"
    assert len(blurhash.encode(gradient)) == 28
    assert blurhash.encode(gradient) != blurhash.encode(grey)


def test_a_jpeg_of_several_pictures_is_no_animation(tmp_path: Path) -> None:
    """Cameras keep a preview, or the other eye's picture, behind the first one (CIPA DC-007)."""
    data = encoded("MPO", save_all=True, append_images=[corner((16, 16))], exif=exif(6))
    facts, stored, image = inspect(data, tmp_path)
    assert (facts["extension"], facts.get("duration", 0), image.size) == ("jpg", 0, (32, 64))
    assert b"GPS" not in stored


CUT = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF", "TIFF", "BMP")


@pytest.mark.parametrize("format", CUT)
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_one_that_was_cut_short_is_told_as_such(format: str, part: float, tmp_path: Path) -> None:
    data = encoded(format, Image.effect_noise((64, 32), 90).convert("RGB"))
    with pytest.raises(Refused) as refusal:
        inspect(data[: int(len(data) * part)], tmp_path)
    assert refusal.value.code == "TRUNCATED"
