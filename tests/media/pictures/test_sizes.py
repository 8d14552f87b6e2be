"""The pixels of pictures that were made in another size and format."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageCms

from services.media.processing.sandbox.pictures import variants


def make(picture: Image.Image, tmp_path: Path, format: str = "basic", stored: str = "PNG", **options: Any) -> Any:
    """At most 64 pixels wide."""
    source, target = tmp_path / "source", tmp_path / "target"
    picture.save(source, stored, **options)
    extension = {"JPEG": "jpg"}.get(stored, stored.lower())
    facts = variants.make(source, extension, target, Path(), 64, format)
    made = Image.open(io.BytesIO(target.read_bytes()))
    made.load()
    assert made.size == (facts["width"], facts["height"])
    assert facts["extension"] == {"JPEG": "jpg"}.get(str(made.format), str(made.format).lower())
    return made


def corner(size: tuple[int, int] = (400, 200)) -> Image.Image:
    """Blue, with its upper left quarter red."""
    picture = Image.new("RGB", size, (0, 0, 255))
    picture.paste((255, 0, 0), (0, 0, size[0] // 2, size[1] // 2))
    return picture


@pytest.mark.parametrize("format", ["avif", "webp", "basic"])
def test_transparency_stays(format: str, tmp_path: Path) -> None:
    picture = Image.new("RGBA", (400, 200), (0, 200, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 200, 200))
    made = make(picture, tmp_path, format)
    assert made.format == ("PNG" if format == "basic" else format.upper())
    assert made.size == (64, 32)
    assert [made.convert("RGBA").getpixel(place)[3] for place in ((5, 15), (60, 15))] == [0, 255]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK"])
def test_an_opaque_picture_of_any_mode_becomes_a_jpeg(mode: str, tmp_path: Path) -> None:
    picture = corner().convert("L").convert("I").convert("I;16") if mode == "I;16" else corner().convert(mode)
    made = make(picture, tmp_path, stored="JPEG" if mode == "CMYK" else "PNG")
    assert (made.format, made.mode, made.size) == ("JPEG", "RGB", (64, 32))


def test_colours_become_srgb(tmp_path: Path) -> None:
    """A profile that exchanges red and blue shows that it is applied, not dropped."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    columns = {tag: profile.index(tag, 128) for tag in (b"rXYZ", b"bXYZ")}
    swapped = bytearray(profile)
    swapped[columns[b"rXYZ"] : columns[b"rXYZ"] + 4], swapped[columns[b"bXYZ"] : columns[b"bXYZ"] + 4] = (
        b"bXYZ",
        b"rXYZ",
    )
    made = make(corner(), tmp_path, icc_profile=bytes(swapped))
    assert "icc_profile" not in made.info
    red, _, blue = made.getpixel((10, 8))
    assert blue > 200 > 60 > red


def test_a_broken_profile_is_passed_over(tmp_path: Path) -> None:
    assert make(corner(), tmp_path, stored="JPEG", icc_profile=b"x" * 200).getpixel((10, 8))[0] > 200


def test_pictures_stand_upright_and_tell_nothing(tmp_path: Path) -> None:
    """As old uploads do not, which were stored before pictures were turned."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # a quarter turn clockwise
    for format in ("avif", "webp", "basic"):
        made = make(corner(), tmp_path, format, stored="JPEG", exif=exif)
        assert made.size == (64, 128)
        assert made.convert("RGB").getpixel((50, 30))[0] > 200
        assert not made.getexif()


def test_the_first_frame_stands_for_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (200, 100), colour) for colour in ("red", "blue")]
    made = make(frames[0], tmp_path, stored="GIF", save_all=True, append_images=frames[1:], duration=50)
    assert getattr(made, "n_frames", 1) == 1
    assert made.getpixel((30, 15))[0] > 200


@pytest.mark.parametrize(("size", "made"), [((64, 10), (64, 10)), ((63, 200), (63, 200)), ((9_000, 1), (64, 1))])
def test_sizes(size: tuple[int, int], made: tuple[int, int], tmp_path: Path) -> None:
    assert make(corner(size), tmp_path, "webp").size == made
