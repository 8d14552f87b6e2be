"""Drills: kill -9 while a file is taken in, and while its video is published. Others are in test_faults.py."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from protos.media.v1 import videos_pb2 as pb
from protos.media.v1.videos_pb2_grpc import VideosStub
from services.kit.rpc.channel import open_channel
from services.media.maintenance import sweeper
from services.media.models import PROCESSING
from services.media.processing.jobs import processing
from services.media.servicers import PROTOS
from tests.media.processing.test_faults import (  # noqa: F401
    a_service,
    check_no_orphans,
    check_whole,
    clip,
    drilled,
    locking,
    service_to_drill,
)
from tests.media.processing.test_ladder import forked_child, spooled
from tests.support.media import Running, execute, find, status, upload
from tests.support.social import act, new_user
from tests.support.user import environment

# A process of the service that takes a file in; half of it only, if that is asked for.
TAKES_IN = """
import asyncio, sys
from pathlib import Path
from services.kit.config import load
from services.kit.context import Caller
from services.media.config import MediaSettings
from services.media.files import ingest
from services.media.service import open_service

async def chunks(data):
    yield data[: len(data) // 2]
    print("half", flush=True)
    if sys.argv[3] == "half of it is there":
        await asyncio.sleep(60)
    yield data[len(data) // 2 :]

async def main():
    async with open_service(load(MediaSettings, "media")) as service:
        await ingest.upload(service, Caller(int(sys.argv[2])), chunks(Path(sys.argv[1]).read_bytes()))

asyncio.run(main())
"""


@asynccontextmanager
async def taking_in(media: Running, file: Path, user: int, stage: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Yields when half of the file is there. Kills the process in the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", TAKES_IN, str(file), str(user), stage),
        env=environment(media.settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout
        async with asyncio.timeout(60):
            while b"half" not in (line := await process.stdout.readline()):
                assert line, "it ended"
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def at_once(media: Running, user: int) -> None:
    pass


async def in_the_inspection(media: Running, user: int) -> None:
    """While the child decodes; or later, if it ended before it was seen, which a busy machine allows."""
    async with asyncio.timeout(60):
        while not forked_child("inspection") and not stored(media):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def stored(media: Running) -> list[Path]:
    return list(Path(media.settings.var, "media").rglob("*.mkv"))


async def before_the_commit(media: Running, user: int) -> None:
    """The lock of the user is held, for which the transaction waits that writes the row of the stored file."""
    waiting = """SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND objid = CAST(CAST(:user AS bigint) & 4294967295 AS bigint)"""
    async with asyncio.timeout(60):
        while not await execute(media, waiting, user=user):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert stored(media)


INGEST: dict[str, Callable[[Running, int], Awaitable[None]]] = {
    "half of it is there": at_once,
    "it is inspected": in_the_inspection,
    "it is stored": before_the_commit,
}


@pytest.mark.parametrize("stage", INGEST)
async def test_killed_while_it_takes_a_file_in(drilled: Running, tmp_path: Path, stage: str) -> None:  # noqa: F811
    """Nothing is left, and the next upload of the file is processed as if it were the first."""
    user, file = new_user(), tmp_path / "clip"
    file.write_bytes(clip())
    async with locking(drilled, f"SELECT pg_advisory_xact_lock({user})"):
        async with taking_in(drilled, file, user, stage):
            await INGEST[stage](drilled, user)
    assert not await execute(drilled, "SELECT FROM upload WHERE user_id = :user", user=user)
    sweeper.sweep_spool(drilled.service)
    assert [path for path in drilled.service.storage.spool.parent.iterdir()] == [drilled.service.storage.spool]  # noqa: C416
    assert not spooled(drilled)
    await check_no_orphans(drilled)
    if stage == "it is stored":
        hash = (await upload(drilled, user, file.read_bytes())).hash
        async with processing(drilled.service):
            await check_whole(drilled, user, hash)


async def test_killed_while_it_publishes(drilled: Running) -> None:  # noqa: F811
    """While the transaction waits that makes the file ready and its video public: both happen once, later."""
    owner = new_user()
    stored = await upload(drilled, owner, clip())
    async with open_channel(drilled.target, drilled.settings, PROTOS) as channel:
        videos = VideosStub(channel)
        request = pb.CreateVideoRequest(video_url=stored.path, title="a clip", type="video", visibility=pb.PUBLIC)
        video = await act(owner, videos.CreateVideo, request)
        await kill_before_publishing(drilled, stored.hash, video.video_id)
        assert (await status(drilled, owner, stored.hash)).state == PROCESSING
        async with processing(drilled.service):
            await check_whole(drilled, owner, stored.hash)
        seen = await act(new_user(), videos.BatchGetVideos, pb.BatchGetVideosRequest(video_ids=[video.video_id]))
        assert [shown.video_id for shown in seen.videos] == [video.video_id]
    assert await find(drilled, stored.hash)
    told = "SELECT subject FROM outbox WHERE aggregate = :video ORDER BY id"
    rows = await execute(drilled, told, video=f"video:{video.video_id}")
    assert [row.subject.rpartition(".")[2] for row in rows] == ["published", "ready"]


async def kill_before_publishing(media: Running, hash: str, video_id: int) -> None:
    """Holds the last job back until the cover is there, and then the row of the video, until the service is dead."""
    cover = "SELECT FROM job WHERE object_hash = :hash AND profile = 'cover' AND due_at IS NULL"
    waiting = """SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%publish_as%'"""
    of_job = f"SELECT FROM job WHERE object_hash = '{hash}' AND profile = 'playback' FOR UPDATE"
    async with a_service(media) as process, AsyncExitStack() as of_video:
        async with locking(media, of_job):
            await until(media, cover, hash)
            await of_video.enter_async_context(locking(media, f"SELECT FROM video WHERE id = {video_id} FOR UPDATE"))
        await until(media, waiting, hash)
        process.kill()
        await process.wait()


async def until(media: Running, query: str, hash: str) -> None:
    """It has rows."""
    values = {"hash": hash} if ":hash" in query else {}
    async with asyncio.timeout(60):
        while not await execute(media, query, **values):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
