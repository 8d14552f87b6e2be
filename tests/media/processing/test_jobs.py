"""The results of processing: covers, renditions, states, and jobs that survive their workers."""

import asyncio
import hashlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest
from PIL import Image, ImageStat
from prometheus_client import REGISTRY

from protos.media.v1 import objects_pb2 as pb
from services.kit import background
from services.kit.roles import ADMIN
from services.media.maintenance.metrics import watch_media
from services.media.models import FAILED, PROCESSING, READY
from services.media.processing.jobs import processing
from services.media.processing.sandbox.formats import boxes
from tests.support.media import (
    Running,
    execute,
    find,
    media_settings,
    recording,
    refer,
    running_media_service,
    settled,
    status,
    upload,
    video,
)
from tests.support.servers import Servers
from tests.support.social import acting, new_user
from tests.support.user import environment, refusal


async def content(media: Running, path: str) -> bytes:
    file = path.partition("?")[0].rpartition("/")[2]
    return b"".join([chunk async for chunk in media.service.storage.read(f"{file[:2]}/{file}")])


async def test_a_real_video_gets_a_cover_and_starts_fast(media: Running, tmp_path: Path) -> None:
    user, data = new_user(), video(seconds=3, black=1.0, sound="aac")
    begun = await upload(media, user, data)
    assert (begun.kind, begun.media_type, begun.width, begun.height) == ("video", "video/mp4", 160, 120)
    assert begun.codec == "h264/aac"
    assert 2_900 <= begun.duration <= 3_200
    assert begun.state == PROCESSING
    done = await settled(media, user, begun.hash)
    assert (done.state, done.reason) == (READY, "")
    cover = Image.open(io.BytesIO(await content(media, done.cover_path)))
    assert cover.format == "JPEG"
    assert ImageStat.Stat(cover.convert("L")).mean[0] > 20, "a black frame"
    playback = tmp_path / "playback.mp4"
    playback.write_bytes(await content(media, done.playback_path))
    original = tmp_path / "original.mp4"
    original.write_bytes(data)
    assert not boxes.starts_fast(original)
    assert boxes.starts_fast(playback)
    with av.open(str(playback)) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]
        assert container.duration is not None
        assert container.duration > 2_900_000


async def test_what_plays_already_is_left_alone(media: Running) -> None:
    user = new_user()
    fast = await upload(media, user, video(movflags="+faststart"))
    webm = await upload(media, user, video("webm", "libvpx-vp9", sound="libopus"))
    for object in (fast, webm):
        done = await settled(media, user, object.hash)
        assert (done.state, done.playback_path) == (READY, "")
        assert done.cover_path


@pytest.mark.parametrize(
    ("format", "codec", "sound", "extension"),
    [("mov", "libx264", "aac", "mov"), ("matroska", "mpeg4", "libmp3lame", "mkv"), ("mp4", "mpeg4", "", "mp4")],
)
async def test_what_browsers_do_not_play_is_made_playable(
    media: Running, format: str, codec: str, sound: str, extension: str
) -> None:
    user = new_user()
    begun = await upload(media, user, video(format, codec, sound=sound))
    assert begun.file.endswith(f".{extension}")
    done = await settled(media, user, begun.hash)
    assert done.state == READY
    with av.open(io.BytesIO(await content(media, done.playback_path))) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert len(container.streams.audio) == bool(sound)


async def test_sound_is_ready_at_once(media: Running) -> None:
    object = await upload(media, new_user(), recording("mp3", "libmp3lame"))
    assert (object.state, object.kind, object.media_type) == (READY, "audio", "audio/mpeg")


async def test_what_is_made_is_as_private_as_the_video(media: Running) -> None:
    user = new_user()
    done = await settled(media, user, (await upload(media, user, video())).hash)
    made = [path.rpartition("/")[2].partition(".")[0] for path in (done.cover_path, done.playback_path)]
    assert not any(object.private for object in await find(media, *made))
    await refer(media, done.hash, user, 2)
    assert all(object.private for object in await find(media, done.hash, *made))
    own = await status(media, user, done.hash)
    assert all("sig=" in path for path in (own.path, own.cover_path, own.playback_path))
    await refer(media, done.hash, user, 0)
    assert not any(object.private for object in await find(media, done.hash, *made))


async def test_uploaders_are_told(media: Running) -> None:
    user, data = new_user(), video()
    hash = (await upload(media, user, data)).hash
    await settled(media, user, hash)
    query = "SELECT subject, data FROM outbox WHERE aggregate = :aggregate"
    rows = await execute(media, query, aggregate=f"object:{hash}")
    assert [(row.subject, row.data["user_ids"]) for row in rows] == [("events.media.object.ready", [str(user)])]
    await upload(media, user, data)
    assert len(await execute(media, query, aggregate=f"object:{hash}")) == 1


class TestFailures:
    async def test_a_failed_one_says_why_and_can_be_tried_again(self, media: Running) -> None:
        user, data = new_user(), video()
        hash = (await upload(media, user, data)).hash
        await settled(media, user, hash)
        await execute(media, "UPDATE object SET state = 3, reason = 'FILE_BROKEN' WHERE hash = :hash", hash=hash)
        await execute(media, "UPDATE job SET reason = 'FILE_BROKEN' WHERE object_hash = :hash", hash=hash)
        failed = await status(media, user, hash)
        assert (failed.state, failed.reason) == (FAILED, "FILE_BROKEN")
        with acting(user):
            again = await media.objects.Retry(pb.RetryRequest(hash=hash))
            assert again.state == PROCESSING
        assert (await settled(media, user, hash)).state == READY
        with acting(user):
            assert await refusal(media.objects.Retry(pb.RetryRequest(hash=hash))) == "NOT_FAILED"

    async def test_status_and_retry_are_for_the_uploader(self, media: Running) -> None:
        hash = (await upload(media, new_user(), video())).hash
        with acting(new_user()):
            assert await refusal(media.objects.GetStatus(pb.GetStatusRequest(hash=hash))) == "OBJECT_NOT_FOUND"
            assert await refusal(media.objects.Retry(pb.RetryRequest(hash=hash))) == "OBJECT_NOT_FOUND"
        with acting(new_user(), role=3):
            assert (await media.objects.GetStatus(pb.GetStatusRequest(hash=hash))).hash == hash

    async def test_a_job_that_kills_its_workers_is_given_up(self, idle: Running) -> None:
        user = new_user()
        hash = (await upload(idle, user, video())).hash
        await execute(idle, "UPDATE job SET attempts = 3 WHERE object_hash = :hash", hash=hash)
        async with processing(idle.service):
            done = await settled(idle, user, hash)
        assert (done.state, done.reason) == (FAILED, "FILE_BROKEN")


@pytest.fixture(scope="module")
async def idle(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A service without workers of its own, and leases of a second."""
    folder = tmp_path_factory.mktemp("idle")
    more = {"HITOK_LEASE_SECONDS": "1"}
    settings = media_settings(servers.create_database("media_idle"), servers, folder, **more)
    async with running_media_service(settings, background=False) as running:
        yield running


async def test_what_waits_is_shown(idle: Running) -> None:
    hash = (await upload(idle, new_user(), video(seconds=0.5))).hash
    for profile, due in (("cover", "-1 hour"), ("playback", "1 hour")):
        move = "UPDATE job SET due_at = now() + CAST(:due AS interval) WHERE object_hash = :hash AND profile = :profile"
        await execute(idle, move, due=due, hash=hash, profile=profile)
    count = "SELECT count(*) FILTER (WHERE due_at <= now()), count(*) FILTER (WHERE due_at > now()) FROM job"
    ((due_jobs, held_jobs),) = await execute(idle, count)

    def is_shown() -> bool:
        free, size = shown("hitok_media_disk_free_bytes"), shown("hitok_media_disk_size_bytes")
        jobs = shown("hitok_media_jobs_open", state="due"), shown("hitok_media_jobs_open", state="held")
        wait = shown("hitok_media_job_wait_seconds")
        return jobs == (due_jobs, held_jobs) and 3_600 <= wait < 3_700 and 0 < free < size

    async with (
        asyncio.timeout(15),
        background.run(watch_media=lambda: watch_media(idle.service.database, idle.service.storage)),
    ):
        while not is_shown():  # other services in this process show theirs in the same place  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await execute(idle, "DELETE FROM job WHERE object_hash = :hash", hash=hash)
    await execute(idle, "UPDATE object SET state = :ready WHERE hash = :hash", ready=READY, hash=hash)


def shown(metric: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(metric, labels) or 0.0


async def test_admins_see_the_jobs_of_each_kind(idle: Running) -> None:
    """Due, held by a worker or postponed, and failed; those of covers at chosen times are one kind."""
    hash = (await upload(idle, new_user(), video(seconds=0.5))).hash
    with acting(new_user()):
        assert await refusal(idle.objects.CountJobs(pb.CountJobsRequest())) == "NOT_PERMITTED"
    before = await queues_of(idle)
    await execute(
        idle,
        """INSERT INTO job (object_hash, profile, due_at, started_at, reason) VALUES
        (:hash, 'cover-at-1', now() - interval '90 s', NULL, ''), (:hash, 'cover-at-2', now(), NULL, ''),
        (:hash, 'cover-at-3', now() + interval '60 s', now(), ''), (:hash, 'cover-at-4', NULL, now(), 'FILE_BROKEN'),
        (:hash, 'cover-at-5', NULL, now(), ''), (:hash, 'cover-at-6', NULL, now() - interval '2 d', 'FILE_BROKEN')""",
        hash=hash,
    )
    after = await queues_of(idle)
    await execute(idle, "DELETE FROM job WHERE object_hash = :hash", hash=hash)
    await execute(idle, "UPDATE object SET state = :ready WHERE hash = :hash", ready=READY, hash=hash)
    was, now = before.pop("cover-at", pb.JobQueue()), after.pop("cover-at")
    assert (now.due - was.due, now.held - was.held, now.failed - was.failed) == (2, 1, 1)
    assert now.wait_seconds >= 90
    assert {"cover", "playback"} <= after.keys() == before.keys()


async def queues_of(media: Running) -> dict[str, pb.JobQueue]:
    with acting(new_user(), role=ADMIN):
        return {queue.kind: queue for queue in (await media.objects.CountJobs(pb.CountJobsRequest())).queues}


async def test_many_workers_make_each_thing_once(idle: Running) -> None:
    user = new_user()
    hashes = [(await upload(idle, user, video(seconds=0.5))).hash for _ in range(4)]
    async with processing(idle.service), processing(idle.service), processing(idle.service):
        for hash in hashes:
            assert (await settled(idle, user, hash)).state == READY
    attempts = await execute(idle, "SELECT attempts FROM job WHERE object_hash = ANY(:hashes)", hashes=hashes)
    assert [row.attempts for row in attempts] == [1] * 8


async def test_made_again_it_is_the_same(idle: Running) -> None:
    user = new_user()
    hash = (await upload(idle, user, video(seconds=0.5))).hash
    async with processing(idle.service):
        first = await settled(idle, user, hash)
        await execute(idle, "UPDATE job SET due_at = now() WHERE object_hash = :hash", hash=hash)
        await execute(idle, "UPDATE object SET state = 1 WHERE hash = :hash", hash=hash)
        second = await settled(idle, user, hash)
    assert (first.cover_path, first.playback_path) == (second.cover_path, second.playback_path)


async def test_made_otherwise_it_takes_the_place_of_what_was_made_before(idle: Running) -> None:
    """An attempt that was broken off had another encoder, say."""
    user = new_user()
    hash = (await upload(idle, user, video("matroska", "mpeg4", seconds=0.5))).hash
    other = (await upload(idle, user, video(seconds=0.5))).hash
    await execute(idle, "DELETE FROM upload WHERE object_hash = :other", other=other)
    await execute(idle, "DELETE FROM job WHERE object_hash = :other", other=other)
    for profile in ("playback", "segments"):
        query = "INSERT INTO derivative VALUES (:hash, :profile, :other)"
        await execute(idle, query, hash=hash, profile=profile, other=other)
    async with processing(idle.service):
        done = await settled(idle, user, hash)
    assert other not in done.playback_path
    playlist = (await content(idle, done.hls_path)).decode()
    rows = await execute(idle, "SELECT object_hash FROM derivative WHERE source_hash = :hash", hash=hash)
    assert len(rows) == 5
    (first,) = (line for line in playlist.splitlines() if not line.startswith("#"))
    playlist = (await content(idle, f"/media/{first}")).decode()
    assert other not in playlist
    assert any(f"{row.object_hash}.mp4" in playlist for row in rows)
    assert not await find(idle, other)


async def test_a_killed_worker_s_job_is_done_by_another(idle: Running) -> None:
    """kill -9 of a whole service in the middle of a long encoding."""
    user = new_user()
    ports = {"HITOK_GRPC_PORT": "0", "HITOK_METRICS_PORT": "0"}
    environ = environment(idle.settings) | ports
    hash = (await upload(idle, user, video("matroska", "mpeg4", seconds=25, size=(640, 480)))).hash
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.media", env=environ, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            rows = await execute(
                idle, "SELECT attempts FROM job WHERE object_hash = :hash AND profile = 'playback'", hash=hash
            )
            if rows[0].attempts:
                break
            await asyncio.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    assert (await status(idle, user, hash)).state == PROCESSING
    async with processing(idle.service):
        done = await settled(idle, user, hash, 40)
    assert done.state == READY
    rows = await execute(idle, "SELECT attempts FROM job WHERE object_hash = :hash AND profile = 'playback'", hash=hash)
    assert rows[0].attempts == 2
    assert hashlib.sha256(await content(idle, done.playback_path)).hexdigest() in done.playback_path
