"""The object store: a folder or a real S3 server, the same to everyone; and the sweeper's view of it."""

import asyncio
import hashlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import obstore
import pytest

from protos.media.v1 import objects_pb2 as pb
from services.kit.config import ConfigError
from services.kit.process.commands import count_faults
from services.media import admin, local_store
from services.media.files import deletions, ingest
from services.media.maintenance import sweeper
from services.media.models import READY
from services.media.processing.jobs import processing
from services.media.storage import Storage
from services.objectstore.store import key_of, open_store
from tests.deploy.people import AS_ROOT
from tests.support.buckets import CREDENTIALS, running_bucket
from tests.support.gateway import FrontEnd, gateway_settings, running_gateway
from tests.support.media import (
    Running,
    execute,
    find,
    image,
    keys_of,
    media_settings,
    png,
    refer,
    running_media_service,
    status,
    stored_files,
    upload,
    video,
)
from tests.support.proxy import proxy_to
from tests.support.servers import Servers
from tests.support.social import acting, new_user
from tests.support.user import Running as RunningUser
from tests.support.user import environment, refusal


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        with running_bucket(tmp_path_factory.mktemp("bucket")) as url:
            yield url


@pytest.fixture(scope="module")
async def remote(servers: Servers, bucket: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A service on the bucket."""
    more = {"HITOK_MEDIA_URL": bucket, "HITOK_SWEEP_GRACE_SECONDS": "1", "HITOK_LEASE_SECONDS": "2"}
    settings = media_settings(servers.create_database("media_s3"), servers, tmp_path_factory.mktemp("s3"), **more)
    async with running_media_service(settings, background=False) as running:
        yield running


async def read(media: Running, key: str) -> bytes:
    return b"".join([chunk async for chunk in media.service.storage.read(key)])


class TestS3:
    async def test_a_video_from_upload_to_cover(self, remote: Running) -> None:
        user, data = new_user(), video(seconds=2)
        stored = await upload(remote, user, data)
        assert await read(remote, key_of(stored.file)) == data
        async with processing(remote.service):
            for _ in range(200):
                done = await status(remote, user, stored.hash)
                if done.state == READY:
                    break
                await asyncio.sleep(0.05)
        assert done.cover_path
        assert done.playback_path
        assert len(list(remote.service.storage.spool.iterdir())) == 0

    async def test_a_file_of_many_parts(self, remote: Running) -> None:
        """Larger than one part of a multipart upload."""
        data = image("PNG", (2_500, 2_500))
        assert len(data) > 17_000_000
        stored = await upload(remote, new_user(), data)
        assert hashlib.sha256(await read(remote, key_of(stored.file))).hexdigest() == stored.hash

    async def test_a_server_that_is_away_is_told_and_used_again_as_soon_as_it_is_back(
        self, servers: Servers, remote: Running, bucket: str, tmp_path: Path
    ) -> None:
        """Uploads and jobs meanwhile are refused or wait; nothing is lost, and nothing is started anew."""
        port = urlsplit(parse_qs(urlsplit(bucket).query)["endpoint"][0]).port or 0
        async with proxy_to(port, random.Random(1)) as proxy:
            url = bucket.replace(f":{port}", f":{proxy.port}")
            settings = media_settings(remote.settings.postgres_url, servers, tmp_path, HITOK_MEDIA_URL=url)
            async with running_media_service(settings, background=False) as running:
                user, data, kept = new_user(), png(), video(seconds=1)
                stored = await upload(running, user, kept)
                proxy.away = True
                proxy.cut()
                began = time.monotonic()
                assert await refusal(upload(running, user, data)) == "STORE_UNAVAILABLE"
                assert time.monotonic() - began < 30
                async with processing(running.service):
                    await asyncio.sleep(0.5)
                    proxy.away = False
                    assert (await upload(running, user, data)).hash == hashlib.sha256(data).hexdigest()
                    await execute(running, "UPDATE job SET due_at = now() WHERE due_at IS NOT NULL")
                    async with asyncio.timeout(60):
                        while (await status(running, user, stored.hash)).state != READY:  # noqa: ASYNC110
                            await asyncio.sleep(0.05)
                assert await read(running, key_of(stored.file)) == kept
                assert list(running.service.storage.spool.iterdir()) == []

    async def test_is_served_from_there(
        self, servers: Servers, remote: Running, bucket: str, user: RunningUser
    ) -> None:
        stored = await upload(remote, new_user(), data := image("PNG", (600, 600)))
        more = {"HITOK_USER_TARGET": user.target, "HITOK_MEDIA_TARGET": remote.target, "HITOK_MEDIA_URL": bucket}
        async with running_gateway(gateway_settings(servers, **more)) as running:
            visitor = FrontEnd(running.http)
            assert (await visitor.call("GET", stored.path)).content == data
            part = await visitor.call("GET", stored.path, headers={"Range": "bytes=600000-600009"})
            assert (part.status_code, part.content) == (206, data[600_000:600_010])
            sized = await visitor.call("GET", f"{stored.path}?w=64", headers={"Accept": "image/webp"})
            assert (sized.headers["content-type"], sized.content[8:12]) == ("image/webp", b"WEBP")

    async def test_clients_are_sent_there_by_setting(
        self, servers: Servers, remote: Running, bucket: str, user: RunningUser
    ) -> None:
        owner, data = new_user(), png()
        stored = await upload(remote, owner, data)
        more = {"HITOK_USER_TARGET": user.target, "HITOK_MEDIA_TARGET": remote.target, "HITOK_MEDIA_URL": bucket}
        async with running_gateway(gateway_settings(servers, **more, HITOK_MEDIA_REDIRECT="bucket")) as running:
            answer = await FrontEnd(running.http).call("GET", stored.path)
            assert answer.status_code == 302
        cdn = more | {"HITOK_MEDIA_REDIRECT": "https://cdn.example/m/"}
        async with httpx.AsyncClient() as http, running_gateway(gateway_settings(servers, **cdn)) as running:
            direct = await http.get(answer.headers["location"])
            assert (direct.content, direct.headers["content-type"]) == (data, "image/png")
            visitor = FrontEnd(running.http)
            public = await visitor.call("GET", stored.path)
            assert public.headers["location"] == f"https://cdn.example/m/{key_of(stored.file)}"
            sized = await visitor.call("GET", f"{stored.path}?w=64", headers={"Accept": "image/webp"})
            assert sized.headers["location"].startswith("https://cdn.example/m/")
            variant = sized.headers["location"].rpartition("/")[2]
            assert (variant.partition(".")[0] != stored.hash, variant.partition(".")[2]) == (True, "webp")
            await refer(remote, stored.hash, owner, 2)
            running.container.files.drop(stored.hash)
            assert (await visitor.call("GET", stored.path)).status_code == 404
            signed = await visitor.call("GET", (await status(remote, owner, stored.hash)).path)
            assert "X-Amz-Signature" in signed.headers["location"]
            assert (await http.get(signed.headers["location"])).content == data

    async def test_resumable_uploads(self, remote: Running) -> None:
        user, data = new_user(), png()
        with acting(user):
            created = await remote.uploads.CreateUpload(pb.CreateUploadRequest(size=len(data)))

            async def half(start: int, end: int) -> AsyncIterator[pb.AppendUploadRequest]:
                header = pb.AppendHeader(upload_id=created.upload_id, offset=start)
                yield pb.AppendUploadRequest(header=header)
                yield pb.AppendUploadRequest(chunk=data[start:end])

            await remote.uploads.AppendUpload(half(0, 30), timeout=10)
            done = await remote.uploads.AppendUpload(half(30, len(data)), timeout=10)
        assert done.object.hash == hashlib.sha256(data).hexdigest()
        await deletions.drain(remote.service.database, remote.service.storage)
        assert not [key for key in await keys_of(remote) if key.startswith("partial/")]

    async def test_is_swept(self, remote: Running) -> None:
        stored = await upload(remote, new_user(), png())
        await remote.service.storage.put("ab/" + "ab" * 32 + ".png", b"orphan")
        await asyncio.sleep(1.1)
        await sweeper.sweep(remote.service)
        await deletions.drain(remote.service.database, remote.service.storage)
        keys = await keys_of(remote)
        assert key_of(stored.file) in keys
        assert "ab/" + "ab" * 32 + ".png" not in keys

    async def test_a_service_that_it_refuses_does_not_start(
        self, servers: Servers, bucket: str, tmp_path: Path
    ) -> None:
        url = f"{bucket}&access_key_id=another&secret_access_key=another"
        settings = media_settings(servers.create_database("media_refused"), servers, tmp_path, HITOK_MEDIA_URL=url)
        with pytest.raises(ConfigError, match=r"^HITOK_MEDIA_URL: cannot write there: .*privileges"):
            async with running_media_service(settings, background=False):
                pass

    async def test_away_it_says_so(self, servers: Servers, tmp_path: Path) -> None:
        url = "s3://bucket?endpoint=http://127.0.0.1:9&region=x&access_key_id=x&secret_access_key=x"
        database = servers.create_database("media_away")
        settings = media_settings(database, servers, tmp_path, HITOK_MEDIA_URL=url)
        async with running_media_service(settings, background=False) as running:
            assert await refusal(upload(running, new_user(), png())) == "STORE_UNAVAILABLE"
            assert not await execute(running, "SELECT FROM object")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Of 2 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)]
    if not AS_ROOT or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs root with the right to mount a disk")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


async def test_a_full_disk_is_told_and_nothing_is_damaged(servers: Servers, small_disk: Path) -> None:
    settings = media_settings(servers.create_database("media_full"), servers, small_disk)
    async with running_media_service(settings, background=False) as running:
        user, before = new_user(), png()
        known = await upload(running, user, before)
        large = before + bytes(4 << 20)  # zeros may follow a picture
        assert await refusal(upload(running, user, large)) == "STORE_UNAVAILABLE"
        assert stored_files(settings) == [f"{known.hash}.png"]
        assert [row.hash for row in await execute(running, "SELECT hash FROM object")] == [known.hash]
        assert (await upload(running, user, png())).state == READY
        assert await read(running, key_of(f"{known.hash}.png")) == before


def leave_half_written(media: Running, name: str) -> None:
    """As a process that was killed while obstore wrote."""
    path = Path(media.settings.var, "media", name)
    path.write_bytes(b"x")
    os.utime(path, (time.time() - 60,) * 2)


class TestSweeping:
    async def old(self, media: Running, key: str, data: bytes = b"x") -> str:
        await media.service.storage.put(key, data)
        os.utime(Path(media.settings.var, "media", key), (time.time() - 60,) * 2)
        return key

    async def sweep(self, media: Running) -> set[str]:
        """What is left in the store."""
        await sweeper.sweep(media.service)
        await deletions.drain(media.service.database, media.service.storage)
        return await keys_of(media)

    async def test_files_without_rows_go_but_not_the_new(self, local: Running) -> None:
        old = await self.old(local, "cd/" + "cd" * 32 + ".png")
        part = await self.old(local, "partial/1/0-x")
        stored = await upload(local, new_user(), data := png())
        await self.old(local, key_of(stored.file), data)
        new = "ef/" + "ef" * 32 + ".png"
        await local.service.storage.put(new, b"x")
        left = await self.sweep(local)
        assert {new, key_of(stored.file)} <= left
        assert not {old, part} & left

    async def test_the_folders_are_walked_through_beside_the_event_loop(
        self, local: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Those of a large store take seconds."""
        walked, sweep_spool = list[threading.Thread](), sweeper.sweep_spool

        def watched(service: Any) -> None:
            walked.append(threading.current_thread())
            sweep_spool(service)

        monkeypatch.setattr(sweeper, "sweep_spool", watched)
        left = await self.old(local, f"ab/{'ab' * 32}.png")
        leave_half_written(local, f"{left}#1")
        assert left not in await self.sweep(local)
        assert not any("#" in name for name in stored_files(local.settings))
        assert walked and threading.main_thread() not in walked

    async def test_a_file_uploaded_while_it_is_swept_is_there_in_the_end(self, local: Running) -> None:
        """The sweeper has queued the file that nobody knew, and the upload waits until it is gone."""
        data = png()
        hash = hashlib.sha256(data).hexdigest()
        key = await self.old(local, key_of(f"{hash}.png"), data)
        assert await sweeper._delete_unknown(local.service.database, key)
        uploading = asyncio.create_task(upload(local, new_user(), data))
        await asyncio.sleep(0.5)
        assert not uploading.done()
        await deletions.drain(local.service.database, local.service.storage)
        stored = await uploading
        assert await read(local, key_of(stored.file)) == data
        assert not await sweeper._delete_unknown(local.service.database, key)

    async def test_uploads_left_lying_go_with_their_parts(self, local: Running) -> None:
        with acting(new_user()):
            created = await local.uploads.CreateUpload(pb.CreateUploadRequest(size=100))

            async def some() -> AsyncIterator[pb.AppendUploadRequest]:
                yield pb.AppendUploadRequest(header=pb.AppendHeader(upload_id=created.upload_id))
                yield pb.AppendUploadRequest(chunk=b"x" * 50)

            await local.uploads.AppendUpload(some(), timeout=10)
        prefix = f"partial/{created.upload_id}/"
        assert [key for key in await keys_of(local) if key.startswith(prefix)]
        await execute(local, "UPDATE partial_upload SET expires_at = now()")
        assert not [key for key in await self.sweep(local) if key.startswith(prefix)]
        assert not await execute(local, "SELECT FROM partial_upload WHERE id = :id", id=created.upload_id)

    async def test_what_a_killed_write_left_behind(self, local: Running) -> None:
        await upload(local, new_user(), png())
        half = Path(local.settings.var, "media", "cd.png#1")
        await asyncio.to_thread(half.write_bytes, b"x")
        os.utime(half, (0, 0))
        await self.sweep(local)
        assert half.name not in stored_files(local.settings)

    async def test_rows_without_files_are_told(self, local: Running) -> None:
        stored = await upload(local, new_user(), png())
        assert await sweeper.count_missing(local.service.database, local.service.storage) == 0
        await local.service.storage.delete([key_of(stored.file)])
        assert await sweeper.count_missing(local.service.database, local.service.storage) == 1
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.media", "check"),
            env=environment(local.settings),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert process.returncode == 1
        assert b"1 objects whose file is not in the store" in output
        await execute(local, "DELETE FROM upload WHERE object_hash = :hash", hash=stored.hash)
        await execute(local, "DELETE FROM object WHERE hash = :hash", hash=stored.hash)
        async with local.service.database.transaction() as connection:
            assert not any((await count_faults(connection, admin.FAULTS)).values())

    async def test_one_process_sweeps_at_a_time(self, local: Running) -> None:
        async with sweeper.sweeping(local.service), sweeper.sweeping(local.service):
            await asyncio.sleep(0.5)
            query = """SELECT count(*) AS held FROM pg_locks JOIN pg_database ON oid = database
            WHERE datname = current_database() AND locktype = 'advisory' AND granted AND objid = :id"""
            objid = sweeper.LEADER & 0xFFFFFFFF
            assert (await execute(local, query, id=objid))[0].held == 1


async def test_the_object_goes_before_the_row(local: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """And none is written while a transaction is open."""
    steps = []
    put, record = Storage.put, ingest._record

    async def noted_put(self: Storage, key: str, *more: object) -> None:
        steps.append("object")
        assert local.service.database.pool.in_use == 0
        await put(self, key, *more)  # type: ignore[arg-type]

    async def noted_record(*arguments: object) -> object:
        view = await record(*arguments)  # type: ignore[arg-type]
        steps.append("row" if view else "none")
        return view

    monkeypatch.setattr(Storage, "put", noted_put)
    monkeypatch.setattr(ingest, "_record", noted_record)
    await upload(local, new_user(), png())
    assert steps == ["none", "object", "row"]


async def test_what_is_acknowledged_is_on_the_disk(local: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file and each folder on the way to it are synced before the row is written: a power failure takes neither."""
    synced: set[int] = set()
    before_row: list[set[int]] = []
    fsync, create = os.fsync, ingest._create

    def noted_fsync(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    async def noted_create(*arguments: object) -> None:
        before_row.append(set(synced))
        await create(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(ingest, "_create", noted_create)
    stored = await upload(local, new_user(), png())
    folder = Path(local.settings.var, "media")
    path = folder / key_of(stored.file)
    assert len(before_row) == 1
    assert before_row[0] >= {each.stat().st_ino for each in (path, path.parent, folder)}


async def test_the_disk_gets_no_small_file_before_it_is_known_to_be_kept(
    local: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused one is gone before the kernel would write it. Of a large one, the beginning is written meanwhile."""
    begun = list[int]()
    monkeypatch.setattr(local_store, "begin_writing", lambda descriptor, start, size: begun.append(start))
    await upload(local, new_user(), b"a few words")
    assert begun == []
    await upload(local, new_user(), b"many words " * 300_000)
    assert begun[0] == 0
    assert len(begun) > 2


def test_stores_by_url(tmp_path: Path) -> None:
    store = open_store("", str(tmp_path))
    obstore.put(store, "a/b", b"x")
    assert (tmp_path / "media/a/b").read_bytes() == b"x"
    obstore.put(open_store((tmp_path / "other").as_uri(), ""), "c", b"y")
    assert (tmp_path / "other/c").exists()
    for url in ("ftp://x/y", "s3://", "nothing", "s3://bucket?nonsense=1"):
        with pytest.raises(ConfigError, match="HITOK_MEDIA_URL"):
            open_store(url, str(tmp_path))


async def test_private_is_asked_in_batches(local: Running) -> None:
    user = new_user()
    hashes = [(await upload(local, user, png())).hash for _ in range(3)]
    await refer(local, hashes[1], user, 2)
    assert {object.hash: object.private for object in await find(local, *hashes)} == {
        hashes[0]: False,
        hashes[1]: True,
        hashes[2]: False,
    }
