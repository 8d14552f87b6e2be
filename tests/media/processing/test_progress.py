"""How far the processing of a video is: it grows, and never tells more than is done."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.msg import Msg

from services.media.models import READY
from services.media.processing import progress
from services.media.processing.jobs import processing
from services.media.processing.sandbox import progress as told
from services.media.processing.sandbox import renditions
from tests.media.processing.test_jobs import idle  # noqa: F401
from tests.support import asyncapi
from tests.support.media import Running, execute, image, settled, status, upload, video
from tests.support.social import new_user


def test_an_encoder_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, path, seen = tmp_path / "source.mkv", tmp_path / "progress", []
    source.write_bytes(video("matroska", "mpeg4", seconds=3))
    reporter = told.Reporter()
    reporter.begin(path)
    monkeypatch.setattr(told, "EVERY", 0.0)
    monkeypatch.setattr(told, "reporter", reporter)
    tell = reporter.tell

    def noted(done: float) -> None:
        tell(done)
        seen.append(progress.read(path))

    monkeypatch.setattr(reporter, "tell", noted)
    renditions.make(source, "mkv", tmp_path / "target.mp4", tmp_path / "cuts")
    assert seen == sorted(seen)
    assert seen[0] < 20
    assert 80 < seen[-1] < 100
    assert len(seen) > 20


@pytest.mark.parametrize(("text", "percent"), [("0.5", 50), ("1.000", 99), ("7", 99), ("-3", 0), ("x", 0), ("nan", 0)])
def test_what_a_child_wrote_is_bounded(tmp_path: Path, text: str, percent: int) -> None:
    path = tmp_path / "progress"
    assert progress.read(path) == 0
    path.write_text(text)
    assert progress.read(path) == percent
    (tmp_path / "link").symlink_to(path)
    assert progress.read(tmp_path / "link") == 0


async def test_the_uploader_is_told(idle: Running, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    user = new_user()
    hash = (await upload(idle, user, video("matroska", "mpeg4", seconds=0.5))).hash
    assert await seen(idle, user, hash) == (0, "waiting")
    change = "UPDATE job SET started_at = now(), progress = :n WHERE object_hash = :hash AND profile = :profile"
    await execute(idle, change, n=40, hash=hash, profile="cover")
    assert await seen(idle, user, hash) == (2, "cover")
    await execute(idle, change, n=40, hash=hash, profile="playback")
    assert await seen(idle, user, hash) == (40, "encoding")
    async with processing(idle.service):
        assert (await settled(idle, user, hash)).state == READY
    assert await seen(idle, user, hash) == (100, "ready")
    picture = await upload(idle, user, image("PNG"))
    assert (picture.progress, picture.stage) == (100, "ready")


async def seen(media: Running, user: int, hash: str) -> tuple[int, str]:
    found = await status(media, user, hash)
    return found.progress, found.stage


async def test_it_only_grows(idle: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    hash = (await upload(idle, new_user(), video(seconds=0.5))).hash
    query = "SELECT job.profile, object.* FROM job JOIN object ON hash = object_hash WHERE hash = :hash"
    (job, _) = await execute(idle, query, hash=hash)
    monkeypatch.setattr(progress, "EVERY", 0.01)
    path = tmp_path / "progress"
    for text in ("0.4", "0.2", "0.6"):
        path.write_text(text)
        async with progress.following(idle.service, job, path):
            await until(idle, hash, job.profile, 60 if text == "0.6" else 40)
    await execute(idle, "DELETE FROM job WHERE object_hash = :hash", hash=hash)


async def until(media: Running, hash: str, profile: str, percent: int) -> None:
    query = "SELECT progress FROM job WHERE object_hash = :hash AND profile = :profile"
    rows: list[Any] = []
    for _ in range(1_000):
        rows = await execute(media, query, hash=hash, profile=profile)
        if rows[0].progress == percent:
            return
    raise AssertionError(rows)


async def test_the_uploaders_sockets_are_told(idle: Running) -> None:  # noqa: F811
    user, other = new_user(), new_user()
    frames: list[tuple[str, dict[str, str], Any]] = []

    async def take(message: Msg) -> None:
        frames.append((message.subject, dict(message.headers or {}), msgspec.json.decode(message.data)))

    await idle.service.nats.subscribe(f"push.user.{user}", cb=take)
    await idle.service.nats.subscribe(f"push.user.{other}", cb=take)
    hash = (await upload(idle, user, video("matroska", "mpeg4", seconds=0.5))).hash
    async with processing(idle.service):
        await settled(idle, user, hash)
        async with asyncio.timeout(20):
            while not frames or frames[-1][2]["data"]["status"] != "ready":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    for subject, headers, frame in frames:
        asyncapi.check(frame)
        assert (subject, headers, frame["data"]["id"]) == (f"push.user.{user}", {"key": f"file:{hash}"}, hash)
    told = [(frame["data"]["progress"], frame["data"]["stage"]) for _, _, frame in frames]
    assert [percent for percent, _ in told] == sorted(percent for percent, _ in told)
    assert {stage for _, stage in told} >= {"cover", "encoding"}
