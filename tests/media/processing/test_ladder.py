"""A video in several sizes: the lowest is to be watched at once, the others follow, and no address ceases to work."""

import asyncio
import io
import os
import re
import signal
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from services.media.files import probe
from services.media.models import PROCESSING, READY
from services.media.processing import derivatives
from services.media.processing.jobs import processing
from services.media.processing.playlists import master, with_hdr
from services.media.processing.sandbox.hls import rungs
from services.media.processing.sandbox.sources import Shape
from tests.media.processing.test_jobs import idle  # noqa: F401
from tests.support.media import Running, execute, settled, status, upload, video
from tests.support.social import new_user


async def content(media: Running, path: str) -> bytes:
    file = path.partition("?")[0].rpartition("/")[2]
    return b"".join([chunk async for chunk in media.service.storage.read(f"{file[:2]}/{file}")])


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        ((3_840, 2_160), [360, 480, 720, 1_080]),
        ((1_080, 1_920), [360, 480, 720, 1_080]),
        ((1_280, 720), [360, 480, 720]),
        ((1_000, 1_000), [360, 480, 720, 1_000]),
        ((160, 90), [90]),
    ],
)
def test_there_is_no_rung_larger_than_the_source(size: tuple[int, int], sides: list[int]) -> None:
    assert rungs.sides_of(Shape(*size, Fraction(1), ())) == sides


def test_what_a_master_playlist_says() -> None:
    rung = {
        "peak": 900_000,
        "mean": 700_000,
        "codecs": "avc1.64001e,mp4a.40.2",
        "width": 640,
        "height": 360,
        "rate": 30,
    }
    assert master([("a.m3u8", rung)]).splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-STREAM-INF:BANDWIDTH=900000,AVERAGE-BANDWIDTH=700000,CODECS="avc1.64001e,mp4a.40.2",'
        "RESOLUTION=640x360,FRAME-RATE=30.000",
        "a.m3u8",
    ]


def test_sound_that_is_longer_than_the_picture_changes_no_frame_rate(tmp_path: Path) -> None:
    path = tmp_path / "rung.mp4"
    path.write_bytes(video(seconds=1, sound="aac"))
    assert rungs.describe(path, [(0, 1_000, 1.2)])["rate"] == 10


def test_bandwidths_follow_the_sizes() -> None:
    """Though the larger one needs less at its worst moment."""
    rung = {"mean": 500, "codecs": "avc1.64001e", "width": 640, "height": 360, "rate": 30}
    begun = master([("a.m3u8", rung | {"peak": 1_000})])
    sound = ("s.m3u8", {"peak": 130, "mean": 128, "codecs": "mp4a.40.2"})
    text = master([("b.m3u8", rung | {"peak": 900}), ("c.m3u8", rung | {"peak": 3_000})], begun, sound)
    assert re.findall(r":BANDWIDTH=(\d+)", text) == ["1000", "1001", "3000", "130"]
    assert text.endswith('#EXT-X-STREAM-INF:BANDWIDTH=130,AVERAGE-BANDWIDTH=128,CODECS="mp4a.40.2"\ns.m3u8\n')


def test_the_mean_is_told_as_it_is() -> None:
    """Though that of the larger one is lower: it has to be true to a tenth (RFC 8216bis, 4.4.6.2)."""
    rung = {"codecs": "avc1.64001e", "width": 640, "height": 360, "rate": 30}
    text = master([("a.m3u8", rung | {"peak": 900, "mean": 800}), ("b.m3u8", rung | {"peak": 1_000, "mean": 700})])
    assert re.findall(r"AVERAGE-BANDWIDTH=(\d+)", text) == ["800", "700"]


def test_an_hdr_rendition_follows_the_sizes() -> None:
    rung = {"peak": 2_000, "mean": 500, "codecs": "avc1.64001e", "width": 640, "height": 360, "rate": 30}
    text = master([("a.m3u8", rung)], "", ("s.m3u8", {"peak": 130, "mean": 128, "codecs": "mp4a.40.2"}))
    hdr = rung | {"codecs": "hvc1.2.4.L90.90", "range": "HLG"}
    first = with_hdr(text, ("h.m3u8", hdr | {"peak": 900}))
    assert [line for line in first.splitlines() if not line.startswith("#")] == ["a.m3u8", "h.m3u8", "s.m3u8"]
    assert first.count(",VIDEO-RANGE=HLG\nh.m3u8\n") == 1
    again = with_hdr(first, ("h.m3u8", hdr))
    assert again == with_hdr(text, ("h.m3u8", hdr)), "there is one"


async def finish(media: Running, hash: str) -> None:
    """Waits until the ladder is made."""
    query = "SELECT due_at, reason FROM job WHERE object_hash = :hash AND profile = 'ladder'"
    async with asyncio.timeout(60):
        while (await execute(media, query, hash=hash))[0].due_at:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert not (await execute(media, query, hash=hash))[0].reason


async def rungs_of(media: Running, hls_path: str) -> list[tuple[str, dict[str, Any]]]:
    """Each playlist with pictures of a master playlist, and what that says of it."""
    text = (await content(media, hls_path)).decode()
    found = re.findall(r"#EXT-X-STREAM-INF:(\S+RESOLUTION\S+)\n(\S+)", text)
    return [
        ((await content(media, file)).decode(), dict(re.findall(r'([A-Z-]+)=("[^"]*"|[^,]*)', attributes)))
        for attributes, file in found
    ]


async def test_the_lowest_rung_comes_first_and_the_others_follow(idle: Running) -> None:  # noqa: F811
    user = new_user()
    data = video("matroska", "mpeg4", seconds=6, size=(854, 480), sound="libmp3lame")
    hash = (await upload(idle, user, data)).hash
    async with processing(idle.service):
        first = await settled(idle, user, hash, 60)
        await finish(idle, hash)
    done = await status(idle, user, hash)
    assert (first.state, done.state) == (READY, READY)
    shown = await rungs_of(idle, done.hls_path)
    assert [rung["RESOLUTION"] for _, rung in shown] == ["640x360", "854x480"]
    durations = [re.findall(r"#EXTINF:([\d.]+)", text) for text, _ in shown]
    assert durations[0] == durations[1], "segments begin at the same times"
    assert float(durations[0][0]) <= 1.0
    assert [rung["CODECS"][:6] for _, rung in shown] == ['"avc1.'] * 2
    assert (await rungs_of(idle, first.hls_path))[0] == shown[0], "the lowest is not made twice"
    profiles = await execute(idle, "SELECT profile FROM derivative WHERE source_hash = :hash", hash=hash)
    assert "segments-360" not in {row.profile for row in profiles}
    with av.open(io.BytesIO(await content(idle, done.playback_path))) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (854, 480)
    for path in (first.hls_path, first.playback_path, first.cover_path):
        assert await content(idle, path), "what was shown before is still there"


async def test_a_ladder_that_cannot_be_made_leaves_the_video_as_it_is(idle: Running) -> None:  # noqa: F811
    user = new_user()
    hash = (await upload(idle, user, video(size=(640, 480), movflags="+faststart"))).hash
    async with processing(idle.service):
        await settled(idle, user, hash)
        await execute(idle, "UPDATE job SET attempts = 3 WHERE object_hash = :hash AND profile = 'ladder'", hash=hash)
    rows = await execute(idle, "SELECT due_at FROM job WHERE object_hash = :hash AND profile = 'ladder'", hash=hash)
    assert len(rows) == 1
    await execute(idle, "UPDATE job SET due_at = now(), attempts = 3 WHERE profile = 'ladder'")
    async with processing(idle.service):
        query = "SELECT reason FROM job WHERE object_hash = :hash AND profile = 'ladder'"
        async with asyncio.timeout(60):
            while not (await execute(idle, query, hash=hash))[0].reason:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    done = await status(idle, user, hash)
    assert (done.state, done.reason) == (READY, "")


async def test_a_killed_child_is_tried_again_with_less(idle: Running, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    user, asked, run_child = new_user(), [], probe.run_child

    async def dies_at_first(name: str, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        if name != "conversion":
            return await run_child(name, request, seconds)
        asked.append((request["profile"], request["frugal"]))
        return {"refused": "DIED", "detail": ""} if not request["frugal"] else await run_child(name, request, seconds)

    monkeypatch.setattr(probe, "run_child", dies_at_first)
    hash = (await upload(idle, user, video("matroska", "mpeg4", seconds=0.5))).hash
    async with processing(idle.service):
        done = await settled(idle, user, hash, 60)
    assert done.state == READY
    assert asked == [("cover", False), ("cover", True), ("playback", False), ("playback", True)]


async def test_a_child_without_memory_is_tried_again_with_less(
    idle: Running,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user, asked, run_child = new_user(), [], probe.run_child

    async def has_little_at_first(name: str, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        if name == "conversion" and not request["frugal"]:
            request = request | {"memory_megabytes": 64}
        answer = await run_child(name, request, seconds)
        asked.append((name, answer.get("refused", "")))
        return answer

    monkeypatch.setattr(probe, "run_child", has_little_at_first)
    hash = (await upload(idle, user, video("matroska", "mpeg4", seconds=0.5))).hash
    async with processing(idle.service):
        done = await settled(idle, user, hash, 60)
    assert done.state == READY
    short = [name for name, refused in asked if refused in derivatives.KILLED]  # KILLED if it cannot even say so
    assert short == ["conversion"] * 2, "the cover's and the playback's"


async def test_a_child_that_was_killed_is_tried_again(idle: Running) -> None:  # noqa: F811
    user = new_user()
    hash = (await upload(idle, user, video("matroska", "mpeg4", seconds=0.5))).hash
    async with processing(idle.service):
        async with asyncio.timeout(60):
            while not (child := child_of(hash, '"profile": "playback"')):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        os.kill(child, signal.SIGKILL)
        done = await settled(idle, user, hash, 60)
    assert done.state == READY
    assert not spooled(idle), "the files of the killed child are gone"


def spooled(media: Running) -> list[str]:
    return [path.name for path in media.service.storage.spool.iterdir()]


def child_of(hash: str, word: str) -> int:
    """The id of a process that converts the file, with that in its request; 0 for none."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (folder / "cmdline").read_bytes().decode()
            if "sandbox.conversion" in line and hash in line and word in line:
                return int(folder.name)
    return 0


def forked_child(name: str) -> int:
    """The id of a forked child of this process's service, or of a service that it started; 0 for none."""
    parents, named = dict[int, int](), list[int]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            head, _, tail = stat.read_text().rpartition(")")
            parents[int(stat.parent.name)] = int(tail.split()[1])
            if head.endswith(f"({name}"):
                named.append(int(stat.parent.name))
    services = {os.getpid(), *(process for process, parent in parents.items() if parent == os.getpid())}
    return next((process for process in named if parents.get(parents[process]) in services), 0)


async def test_one_user_s_many_uploads_delay_another_s_by_one_job(idle: Running) -> None:  # noqa: F811
    busy, other = new_user(), new_user()
    many = [(await upload(idle, busy, video("matroska", "mpeg4", seconds=0.5))).hash for _ in range(5)]
    one = (await upload(idle, other, video("matroska", "mpeg4", seconds=0.5))).hash
    async with processing(idle.service):
        await settled(idle, other, one, 60)
    query = "SELECT state FROM object WHERE hash = ANY(:hashes)"
    states = [row.state for row in await execute(idle, query, hashes=many)]
    assert states.count(PROCESSING) >= 3
    async with processing(idle.service):
        for hash in many:
            await settled(idle, busy, hash, 60)
