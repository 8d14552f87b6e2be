"""Drills: whatever fails in the middle of each stage, the video ends ready, and no file is left over."""

import asyncio
import errno
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from services.media import spools
from services.media.errors import StoreUnavailable
from services.media.files import deletions, probe
from services.media.files.children import children
from services.media.maintenance import sweeper
from services.media.models import FAILED, READY
from services.media.processing import derivatives
from services.media.processing.jobs import processing
from services.media.processing.sandbox.failures import failure_of
from services.media.processing.sandbox.limits import Refused
from services.media.resources import Resources
from services.media.storage import Storage
from services.objectstore.store import key_of
from tests.deploy.people import AS_ROOT
from tests.media.processing.corpus import BT2020, FFMPEG, X265, Kind
from tests.media.processing.corpus import make as make_kind
from tests.media.processing.test_ladder import child_of, forked_child, rungs_of, spooled
from tests.support.media import (
    Running,
    execute,
    image,
    keys_of,
    media_settings,
    running_media_service,
    settled,
    upload,
    video,
)
from tests.support.servers import Servers
from tests.support.social import new_user
from tests.support.user import environment, refusal

STAGES = ("cover", "playback", "ladder")
EVERY = (*STAGES, "storyboard", "hdr")  # of `long_clip`
IN_FULL = "HITOK_CHAOS_ROUNDS" in os.environ  # `make chaos` sets it: all stages in all drills, which takes a minute
PATIENCE = 300 if IN_FULL else 60  # seconds
CLIPS = ("sizes", "all stages") if IN_FULL else ("sizes",)
# The objects of `clip`: itself, its cover, the lowest rung (whole, in segments, their playlist, the master playlist),
# the highest rung (likewise; its master playlist names both), the sound alone and its playlist.
MADE = 12
# Of `long_clip`, by the stage that stores them: there are a storyboard's sheet and index, too, and the segments and the
# playlist of HDR and the master playlist with it.
OBJECTS = {"upload": 1, "cover": 1, "playback": 4, "ladder": 6, "storyboard": 2, "hdr": 3}
MADE_LONG = sum(OBJECTS.values())


def clip(seconds: float = 1) -> bytes:
    """Of two rungs."""
    return video("matroska", "mpeg4", seconds, (480, 480), sound="libmp3lame")


def long_clip(folder: Path) -> bytes:
    """Of two rungs, a storyboard, and an HDR rendition."""
    if FFMPEG is None:
        pytest.skip("this machine has no ffmpeg to make it with")
    options = f"{X265} -pix_fmt yuv420p10le -tag:v hvc1 {BT2020.format('arib-std-b67')} -c:a aac"
    tone = f"sine=f={random.uniform(200, 2_000)}:d=2"  # that no other is like
    pictures = f"testsrc2=s=480x480:r=10:d=2,hue=h={random.uniform(0, 360)}"
    make_kind(Kind("mov", options, pictures, tone), folder / "long.mov")
    return (folder / "long.mov").read_bytes()


def of_kind(kind: str, folder: Path) -> tuple[bytes, Sequence[str], int]:
    """A clip, the stages of its processing, and how many objects there are in the end."""
    return (clip(1.9), STAGES, MADE) if kind == "sizes" else (long_clip(folder), EVERY, MADE_LONG)


@pytest.fixture(scope="module")
async def service_to_drill(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A service without workers of its own, with leases of a second and no patience with orphans."""
    more = {"HITOK_LEASE_SECONDS": "1", "HITOK_SWEEP_GRACE_SECONDS": "1"}
    settings = media_settings(servers.create_database("faults"), servers, tmp_path_factory.mktemp("faults"), **more)
    async with running_media_service(settings, background=False) as running:
        yield running


@pytest.fixture
async def drilled(service_to_drill: Running) -> AsyncIterator[Running]:
    """Without jobs of other tests, which would meet the faults of this one."""
    yield service_to_drill
    await execute(service_to_drill, "UPDATE job SET due_at = NULL WHERE due_at IS NOT NULL")


@asynccontextmanager
async def impatient(media: Running) -> AsyncIterator[None]:
    """A worker, and a clock by which each job that was given back is due soon."""

    async def hurry() -> None:
        while True:
            await execute(media, "UPDATE job SET due_at = now() WHERE due_at > now() + interval '1.2 seconds'")
            media.service.job_ready.set()
            await asyncio.sleep(0.1)

    async with processing(media.service):
        hurrying = asyncio.create_task(hurry())
        try:
            yield
        finally:
            hurrying.cancel()


async def check_whole(media: Running, user: int, hash: str, made: int = MADE) -> None:
    """That the video is ready with all that is made of it, and nothing else is there."""
    done = await settled(media, user, hash, PATIENCE)
    assert (done.state, done.reason) == (READY, "")
    left = "SELECT FROM job WHERE object_hash = :hash AND due_at IS NOT NULL"
    async with asyncio.timeout(PATIENCE):
        while await execute(media, left, hash=hash):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    rows = await execute(media, "SELECT object_hash FROM derivative WHERE source_hash = :hash", hash=hash)
    assert len({row.object_hash for row in rows} | {hash}) == made
    (shown,) = await execute(
        media, "SELECT object_hash FROM derivative WHERE source_hash = :hash AND profile = 'hls'", hash=hash
    )
    assert [rung["RESOLUTION"] for _, rung in await rungs_of(media, f"{shown.object_hash}.m3u8")] == [
        "360x360",
        *["480x480"] * (1 + (made == MADE_LONG)),
    ]
    assert not spooled(media)
    await check_no_orphans(media)


async def check_no_orphans(media: Running) -> None:
    """That the store holds what the rows name, once the sweeper has seen what an interrupted attempt left."""
    folder = Path(media.settings.var, "media")
    for path in await asyncio.to_thread(files_in, folder):
        os.utime(path, (0, 0))
    rows = await execute(media, "SELECT hash || '.' || extension AS file FROM object")
    async with asyncio.timeout(PATIENCE):
        while True:
            await sweeper.sweep(media.service)
            await deletions.drain(media.service.database, media.service.storage)
            if await keys_of(media) == {key_of(row.file) for row in rows}:
                break
            await asyncio.sleep(0.2)  # what a bucket has is not older than the sweeper's grace yet
    assert not [path.name for path in await asyncio.to_thread(files_in, folder) if "#" in path.name]


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


# One whose ladder was broken off is made with fewer sizes and without HDR, so two clips are needed for all stages.
KILLS = {"sizes": STAGES, "a storyboard and hdr": ("storyboard", "hdr")}


@pytest.mark.parametrize("kind", KILLS)
async def test_a_killed_child(drilled: Running, tmp_path: Path, kind: str) -> None:
    user, is_long = new_user(), "hdr" in KILLS[kind]
    hash = (await upload(drilled, user, long_clip(tmp_path) if is_long else clip())).hash
    async with processing(drilled.service):
        for stage in KILLS[kind]:
            if child := await the_child(drilled, hash, stage):
                os.kill(child, signal.SIGKILL)
        await check_whole(drilled, user, hash, MADE_LONG if is_long else MADE)


async def the_child(media: Running, hash: str, stage: str) -> int:
    """The id of the process; 0 if it ended before it was seen, which a busy machine allows."""
    over = "SELECT FROM job WHERE object_hash = :hash AND profile = :stage AND due_at IS NULL"
    async with asyncio.timeout(PATIENCE):
        while not (child := child_of(hash, f'"profile": "{stage}"') or forked_child(stage)):
            if await execute(media, over, hash=hash, stage=stage):
                return 0
            await asyncio.sleep(0.005)
    return child


async def test_a_killed_service(drilled: Running) -> None:
    """kill -9 while the cover's transaction waits, and in the ladder. test_jobs.py does it in the stage between."""
    user = new_user()
    hash = (await upload(drilled, user, clip())).hash
    await kill_before_commit(drilled, hash)
    await kill_in(drilled, hash, "ladder")
    async with processing(drilled.service):
        await check_whole(drilled, user, hash)


@pytest.mark.skipif(not IN_FULL, reason="takes long: make chaos")
async def test_a_service_killed_in_later_stages(drilled: Running, tmp_path: Path) -> None:
    user = new_user()
    hash = (await upload(drilled, user, long_clip(tmp_path))).hash
    for stage in ("storyboard", "hdr"):
        await kill_in(drilled, hash, stage)
    async with processing(drilled.service):
        await check_whole(drilled, user, hash, MADE_LONG)


async def kill_in(media: Running, hash: str, stage: str) -> None:
    async with a_service(media) as process:
        await the_child(media, hash, stage)
        process.kill()


@asynccontextmanager
async def a_service(media: Running) -> AsyncIterator[asyncio.subprocess.Process]:
    environ = environment(media.settings) | {"HITOK_GRPC_PORT": "0", "HITOK_METRICS_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.media", env=environ, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def kill_before_commit(media: Running, hash: str) -> None:
    """The row to which the cover is tied is locked until the service is dead."""
    waiting = """SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%object%'"""
    async with locking(media, f"SELECT FROM object WHERE hash = '{hash}' FOR UPDATE"):
        async with a_service(media) as process, asyncio.timeout(60):
            while not await execute(media, waiting):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            process.kill()


@asynccontextmanager
async def locking(media: Running, statement: str) -> AsyncIterator[None]:
    """Holds what the statement locks while the block runs, however long a busy machine takes."""
    async with media.service.database.transaction() as connection:
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text(statement))
        yield


@pytest.fixture
def small_disk(drilled: Running) -> Iterator[Path]:
    """The spool of the service, on a disk of 8 MB."""
    spool = drilled.service.storage.spool
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(spool)]
    if not AS_ROOT or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs root with the right to mount a disk")
    yield spool
    subprocess.run(["umount", "--lazy", str(spool)], check=True)


@pytest.mark.parametrize("kind", CLIPS)
@pytest.mark.parametrize("left", [0, 80_000])
async def test_a_full_disk(
    drilled: Running, small_disk: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, left: int, kind: str
) -> None:
    """Each stage finds it nearly full at its first attempt: there is no room for its files, or for some of them."""
    ballast, met, make = small_disk / "ballast", set[str](), derivatives.make

    async def meets_it_first(service: Resources, job: Any) -> Sequence[str]:
        if job.profile not in met:
            met.add(job.profile)
            fill(ballast, left)
        try:
            return await make(service, job)
        finally:
            ballast.unlink(missing_ok=True)

    user = new_user()
    data, stages, made = of_kind(kind, tmp_path)
    hash = (await upload(drilled, user, data)).hash
    monkeypatch.setattr(derivatives, "make", meets_it_first)
    async with impatient(drilled):
        await check_whole(drilled, user, hash, made)
    assert met == set(stages)


async def test_a_full_disk_while_a_file_is_taken_in(
    drilled: Running, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is received, and while the inspection puts it into another container: refused, and taken later."""
    ballast, user, data, inspect = small_disk / "ballast", new_user(), video("nut", "mpeg4"), probe.probe

    async def meets_it(*asked: Any) -> probe.Facts:
        fill(ballast, 0)
        return await inspect(*asked)

    for stage in ("receive", "inspect"):
        with monkeypatch.context() as patch:
            if stage == "receive":
                fill(ballast, 1_000)
            else:
                patch.setattr(probe, "probe", meets_it)
            assert await refusal(upload(drilled, user, data)) == "STORE_UNAVAILABLE"
        assert spooled(drilled) == ["ballast"]
        ballast.unlink()
    stored = await upload(drilled, user, data)
    assert stored.file.endswith(".mov")
    assert not spooled(drilled)


def fill(path: Path, left: int) -> None:
    """Takes all of the disk but so many bytes."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4_096))
    os.truncate(path, path.stat().st_size - left)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "full"), "AWAY"),
        (OSError(errno.EIO, "FFmpeg says so of broken files, too"), "BROKEN"),
        (MemoryError(), "DIED"),
        (Refused("TRUNCATED", "cut short"), "TRUNCATED"),
        (ValueError("of a library"), "BROKEN"),
    ],
)
def test_what_the_machine_lacks_is_no_fault_of_the_file(error: Exception, code: str, tmp_path: Path) -> None:
    assert failure_of(error, tmp_path).code == code
    assert failure_of(ValueError(), tmp_path / "gone").code == "AWAY"


@pytest.mark.parametrize("kind", CLIPS)
async def test_a_store_that_goes_away(
    drilled: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    """It refuses the file, and then the first and the last object of each stage, once."""
    seen: set[str] = set()
    counts = dict.fromkeys(OBJECTS, 0)
    stage, make = "upload", derivatives.make

    async def makes(service: Resources, job: Any) -> Sequence[str]:
        nonlocal stage
        stage = job.profile
        return await make(service, job)

    async def refuses_at_first(self: Storage, key: str, *more: Any) -> None:
        if key not in seen:
            seen.add(key)
            counts[stage] += 1
            if counts[stage] in (1, OBJECTS[stage]):
                raise StoreUnavailable("away")
        await put(self, key, *more)

    data, stages, made = of_kind(kind, tmp_path)
    put, user = Storage.put, new_user()
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "put", refuses_at_first)
        patch.setattr(derivatives, "make", makes)
        assert await refusal(upload(drilled, user, data)) == "STORE_UNAVAILABLE"
        hash = (await upload(drilled, user, data)).hash
        async with impatient(drilled):
            await check_whole(drilled, user, hash, made)
    assert counts == {stage: OBJECTS[stage] * (stage in ("upload", *stages)) for stage in OBJECTS}


async def test_a_store_without_its_source(drilled: Running) -> None:
    """Its folder is on a disk that is not mounted for a moment."""
    user = new_user()
    stored = await upload(drilled, user, clip())
    path = Path(drilled.settings.var, "media", key_of(stored.file))
    away = path.rename(path.with_name("away"))  # noqa: ASYNC240
    async with impatient(drilled):
        query = "SELECT FROM job WHERE object_hash = :hash AND started_at IS NOT NULL AND attempts = 0"
        async with asyncio.timeout(30):
            while not await execute(drilled, query, hash=stored.hash):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        away.rename(path)
        await check_whole(drilled, user, stored.hash)


async def test_one_that_kills_every_child_is_given_up(drilled: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    run_child, user, tries = probe.run_child, new_user(), []

    async def dies(name: str, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        if name != "conversion" or request["profile"] != "playback":
            return await run_child(name, request, seconds)
        tries.append(request["frugal"])
        return {"refused": "KILLED", "detail": ""}

    monkeypatch.setattr(probe, "run_child", dies)
    hash = (await upload(drilled, user, video("matroska", "mpeg4", seconds=0.5))).hash
    async with impatient(drilled):
        done = await settled(drilled, user, hash, 60)
    assert (done.state, done.reason) == (FAILED, "FILE_BROKEN")
    assert tries == [False, True, False, True, True, True], "three times, each with a second try, the last with less"


async def test_an_inspection_that_is_killed_is_done_again(drilled: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    start_child, killed = children.start_child, list[str]()

    async def killed_once(name: str, request: dict[str, Any]) -> children.Child:
        child = await start_child(name, request)
        if not killed:
            killed.append(name)
            child._process.kill()
        return child

    monkeypatch.setattr(children, "start_child", killed_once)
    assert (await upload(drilled, new_user(), image("PNG"))).state == READY
    assert killed == ["inspection"]


HOLD = """
import sys, time
from pathlib import Path
from services.media.spools import own_folder
with own_folder(Path(sys.argv[1])) as folder:
    (folder / "half a file").write_bytes(b"x")
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Another process with a spool in that folder; call it to kill the process."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as process:

        def kill() -> None:
            process.kill()
            process.wait()

        try:
            assert process.stdout
            assert process.stdout.readline() == b"held\n"
            yield kill
        finally:
            kill()


def test_what_a_killed_process_left_is_deleted_and_what_another_uses_is_not(
    tmp_path: Path, holder: Callable[[], None]
) -> None:
    with spools.own_folder(tmp_path) as own:
        (own / "mine").touch()
        assert spools.delete_abandoned(tmp_path) == 0
        assert len(list(tmp_path.rglob("*"))) == 4
        holder()
        assert spools.delete_abandoned(tmp_path) == 1
        assert [path.name for path in tmp_path.rglob("*")] == [own.name, "mine"]
    assert not list(tmp_path.iterdir())
