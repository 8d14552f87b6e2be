"""Storyboards: small pictures of the whole recording in one sheet, and an index by time, as private as their video."""

import io
import re
from pathlib import Path

import av
import pytest
from PIL import Image

from services.media.processing.sandbox.stills import storyboard
from services.media.processing.storyboards import index, timestamp
from tests.media.processing.test_playlists import PRIVATE
from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.media import Running, execute, refer, settled, status, upload, video
from tests.support.people import Person


def grey(path: Path, seconds: int, gop: int) -> None:
    """A recording that grows lighter each second, by a step of 10."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=5, options={"g": str(gop), "sc_threshold": "0", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number in range(seconds * 5):
            level = 10 + number // 5 % 24 * 10
            picture = Image.new("RGB", (320, 180), (level, level, level))
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))  # type: ignore[no-untyped-call]
        container.mux(stream.encode(None))


def levels(path: Path, made: dict[str, int]) -> list[int]:
    """The brightness of each tile."""
    with Image.open(path) as picture:
        sheet = picture.convert("L")
    width, height = made["width"], made["height"]
    places = [(n % storyboard.COLUMNS, n // storyboard.COLUMNS) for n in range(made["tiles"])]
    return [sheet.getpixel((x * width + width // 2, y * height + height // 2)) for x, y in places]  # type: ignore[misc]


def test_each_tile_shows_its_second(tmp_path: Path) -> None:
    grey(tmp_path / "source.mp4", 12, gop=30)
    made = storyboard.make(tmp_path / "source.mp4", "mp4", tmp_path / "sheet.jpg", tmp_path / "cuts")
    assert (made["tiles"], made["seconds"], made["width"], made["height"]) == (12, 1.0, 160, 90)
    assert levels(tmp_path / "sheet.jpg", made) == pytest.approx([10 + 10 * n for n in range(12)], abs=4)
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.size == (1_600, 180)


def test_of_a_long_one_the_key_frames_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storyboard, "EXACT_SECONDS", 5)
    monkeypatch.setattr(storyboard, "MOST", 6)
    grey(tmp_path / "source.mp4", 12, gop=5)
    made = storyboard.make(tmp_path / "source.mp4", "mp4", tmp_path / "sheet.jpg", tmp_path / "cuts")
    assert (made["tiles"], made["seconds"]) == (6, 2.0)
    assert levels(tmp_path / "sheet.jpg", made) == pytest.approx([10 + 20 * n for n in range(6)], abs=4)


def test_what_the_index_says() -> None:
    made = {"tiles": 2, "seconds": 1.5, "duration": 2.25, "width": 160, "height": 90}
    assert index("a.jpg", made).split("\n\n") == [
        "WEBVTT",
        "00:00:00.000 --> 00:00:01.500\na.jpg#xywh=0,0,160,90",
        "00:00:01.500 --> 00:00:02.250\na.jpg#xywh=160,0,160,90",
        "",
    ]
    assert timestamp(3_723.0045) == "01:02:03.004"


async def test_it_is_as_private_as_the_video(
    gateway: RunningGateway, visitor: FrontEnd, media: Running, alice: Person
) -> None:
    hash = (await upload(media, alice.id, video(seconds=3, movflags="+faststart"))).hash
    await settled(media, alice.id, hash)
    while not (path := (await status(media, alice.id, hash)).storyboard_path):
        assert not await execute(media, "SELECT FROM job WHERE object_hash = :hash AND reason <> ''", hash=hash)
    answer = await visitor.call("GET", path)
    assert answer.headers["content-type"].startswith("text/vtt")
    (sheet,) = set(re.findall(r"([0-9a-f]{64}\.jpg)#xywh=", answer.text))
    picture = await visitor.call("GET", f"/media/{sheet}")
    assert Image.open(io.BytesIO(picture.content)).size == (480, 120)
    await refer(media, hash, alice.id, PRIVATE)
    gateway.container.files.clear()
    path = (await status(media, alice.id, hash)).storyboard_path
    await visitor.refused("GET", path.partition("?")[0], 404, 10054)
    await visitor.refused("GET", f"/media/{sheet}", 404, 10054)
    answer = await visitor.call("GET", path)
    signed = set(re.findall(r"(\S+)#xywh=0,0,160,120", answer.text))
    assert (await visitor.call("GET", f"/media/{signed.pop()}")).content == picture.content
