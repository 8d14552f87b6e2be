"""Animated pictures are shown at once, and get an MP4 beside them."""

import asyncio
import io
import secrets
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from services.media.files import deletions, references
from services.media.files.filetypes import sniff
from services.media.processing import jobs
from services.media.processing.sandbox import animations
from services.media.processing.sandbox.pictures import pictures
from services.objectstore.store import key_of
from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.media import Running, execute, find, keys_of, png, refer, status, upload
from tests.support.people import Person
from tests.support.social import new_user

DURATIONS = [50, 200, 400]  # milliseconds of the three frames
PRIVATE = 2
LIMITS = {"pixels": 50_000_000}  # Pillow keeps it for the whole process


def animation(format: str = "GIF", size: tuple[int, int] = (63, 41), durations: Any = DURATIONS) -> bytes:
    """Red, lime, blue; its right half is transparent."""
    frames = []
    for colour in ("red", "lime", "blue"):
        frame = Image.new("RGBA", size, colour)
        frame.paste((0, 0, 0, 0), (size[0] // 2, 0, *size))
        frames.append(frame)
    buffer = io.BytesIO()
    options: dict[str, Any] = {"GIF": {"disposal": 2}, "PNG": {"disposal": 1}}.get(format, {})
    frames[0].save(buffer, format, save_all=True, append_images=frames[1:], duration=durations, loop=0, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("format", "extension"), [("GIF", "gif"), ("PNG", "png"), ("WEBP", "webp"), ("AVIF", "avif")])
def test_the_video_shows_the_same(format: str, extension: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(animation(format))
    facts = pictures.inspect(source, "image", format, LIMITS)
    assert (facts["duration"], facts["width"], facts["height"]) == (650, 63, 41)
    assert animations.make(source, extension, target, tmp_path / "cuts") == {"extension": "mp4"}
    data = target.read_bytes()
    assert sniff(data[:4_096]).extension == "mp4"  # type: ignore[union-attr]
    assert data.index(b"moov") < data.index(b"mdat")  # it starts before all of it has come
    with av.open(io.BytesIO(data), "r") as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.duration == 650_000
        frames = list(container.decode(video=0))
    assert [round((frame.time or 0) * 1_000) for frame in frames] == [0, 50, 250]
    for frame, colour in zip(frames, ((255, 0, 0), (0, 255, 0), (0, 0, 255)), strict=True):
        picture = frame.to_image()  # type: ignore[no-untyped-call]
        assert (frame.width, frame.height, frame.colorspace) == (64, 40, 1)
        ground = (0, 0, 0) if format == "WEBP" else (255, 255, 255)  # Pillow writes no WebP animation with transparency
        for place, expected in (((10, 20), colour), ((55, 20), ground)):
            found: Any = picture.getpixel(place)
            assert all(abs(a - b) < 40 for a, b in zip(found, expected, strict=True)), (found, expected)


def test_frames_without_a_time_take_what_browsers_give_them(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(animation(durations=0))
    assert pictures.inspect(path, "image", "GIF", LIMITS)["duration"] == 300
    path.write_bytes(png())
    assert pictures.inspect(path, "image", "PNG", LIMITS)["duration"] == 0


def unique(data: bytes) -> bytes:
    """The same GIF with a comment, which is taken out: so the ground of the first colour table changes, too."""
    return data[:13] + secrets.token_bytes(3) + data[16:]


async def work(media: Running) -> None:
    while job := await jobs._take(media.service):
        await jobs._do(media.service, job)


async def test_it_can_be_shown_at_once_and_its_video_goes_with_it(local: Running) -> None:
    user = new_user()
    data = unique(animation(size=(40, 40)))
    stored = await upload(local, user, data)
    assert (stored.kind, stored.state, stored.duration, stored.playback_path) == ("image", 2, 650, "")
    await work(local)
    made = (await status(local, user, stored.hash)).playback_path.rpartition("/")[2]
    (video,) = await find(local, made.partition(".")[0])
    assert (video.media_type, video.width, video.height, video.duration) == ("video/mp4", 40, 40, 650)
    await upload(local, user, data)
    assert not await execute(
        local, "SELECT FROM job WHERE object_hash = :hash AND due_at IS NOT NULL", hash=stored.hash
    )
    async with local.service.database.transaction() as connection:
        await references.release_objects(connection, user, [stored.hash], private=True)
    await deletions.drain(local.service.database, local.service.storage)
    assert not {key_of(stored.file), key_of(made)} & await keys_of(local)


async def test_as_mp4(visitor: FrontEnd, gateway: RunningGateway, media: Running, alice: Person) -> None:
    stored, still = (
        await upload(media, alice.id, unique(animation(size=(40, 40)))),
        await upload(media, alice.id, png()),
    )
    await visitor.refused("GET", f"{still.path}?as=mp4", 404, 10054)
    answer = await visitor.refused("GET", f"{stored.path}?as=webm", 400, 10001)
    assert answer.headers["x-error"] == "PARAMETER_INVALID as"
    for _ in range(400):
        gateway.container.files.drop(stored.hash)
        answer = await visitor.call("GET", f"{stored.path}?as=mp4", headers={"Range": "bytes=4-7"})
        if answer.status_code != 404:
            break
        await asyncio.sleep(0.05)
    assert (answer.status_code, answer.content) == (206, b"ftyp")
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("video/mp4", "public, max-age=300")
    await refer(media, stored.hash, alice.id, PRIVATE)
    gateway.container.files.drop(stored.hash)
    await visitor.refused("GET", f"{stored.path}?as=mp4", 404, 10054)
    signed = (await status(media, alice.id, stored.hash)).path
    answer = await visitor.call("GET", f"{signed}&as=mp4")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, max-age=60")


async def test_many_other_parameters_change_nothing(visitor: FrontEnd, media: Running, alice: Person) -> None:
    path = (await upload(media, alice.id, png())).path
    query = "&".join(f"p{number}=1" for number in range(40))
    assert (await visitor.call("GET", f"{path}?{query}")).status_code == 200
