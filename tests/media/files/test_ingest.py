"""Which files are accepted, which are refused and why; a refused file leaves nothing behind."""

import asyncio
import hashlib
import io
import json
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.files.streaming import send
from protos.media.v1 import objects_pb2 as pb
from services.media.files import ingest, probe
from services.media.files.children import children
from services.media.maintenance import sweeper
from tests.support.media import (
    CHUNK,
    Running,
    execute,
    find,
    image,
    media_settings,
    png,
    recording,
    running_media_service,
    status,
    stored_files,
    upload,
    video,
)
from tests.support.servers import Servers
from tests.support.social import acting, new_user, new_users
from tests.support.user import outcomes, refusal

MIB = 1_048_576


def archive(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


def document(part: str) -> bytes:
    files = {"[Content_Types].xml": b"<Types/>", part: os.urandom(20)}
    return archive(**files)


def pdf() -> bytes:
    return b"%PDF-1.7\n" + os.urandom(8).hex().encode() + b"\n%%EOF\n"


@pytest.mark.parametrize(
    ("data", "extension", "media_type"),
    [
        (lambda: image("JPEG"), "jpg", "image/jpeg"),
        (lambda: image("PNG"), "png", "image/png"),
        (lambda: image("GIF"), "gif", "image/gif"),
        (lambda: image("WEBP"), "webp", "image/webp"),
        (lambda: image("WEBP", lossless=True), "webp", "image/webp"),
        (lambda: image("AVIF"), "avif", "image/avif"),
        (lambda: video("mp4"), "mp4", "video/mp4"),
        (lambda: video("mov"), "mov", "video/quicktime"),
        (lambda: video("webm", "libvpx-vp9"), "webm", "video/webm"),
        (lambda: video("matroska"), "mkv", "video/x-matroska"),
        (lambda: video("avi", "mpeg4"), "avi", "video/x-msvideo"),
        (lambda: recording("mp3", "libmp3lame"), "mp3", "audio/mpeg"),
        (lambda: recording("ipod", "aac"), "m4a", "audio/mp4"),
        (lambda: recording("mp4", "aac"), "m4a", "audio/mp4"),
        (lambda: recording("adts", "aac"), "aac", "audio/aac"),
        (lambda: recording("ogg", "flac"), "ogg", "audio/ogg"),
        (lambda: recording("ogg", "libopus"), "opus", "audio/ogg"),
        (lambda: recording("webm", "libopus"), "weba", "audio/webm"),
        (lambda: recording("wav", "pcm_s16le"), "wav", "audio/wav"),
        (lambda: recording("flac", "flac"), "flac", "audio/flac"),
        (pdf, "pdf", "application/pdf"),
        (lambda: archive(a=os.urandom(9)), "zip", "application/zip"),
        (lambda: document("word/document.xml"), "docx", "application/vnd.openxml"),
        (lambda: document("xl/workbook.xml"), "xlsx", "application/vnd.openxml"),
        (lambda: document("ppt/presentation.xml"), "pptx", "application/vnd.openxml"),
        (lambda: "你好 ".encode() + os.urandom(8).hex().encode(), "txt", "text/plain; charset=utf-8"),
    ],
)
async def test_what_we_take(media: Running, data: object, extension: str, media_type: str) -> None:
    content: bytes = data()  # type: ignore[operator]
    user = new_user()
    stored = await upload(media, user, content)
    hash = hashlib.sha256(content).hexdigest()
    assert (stored.hash, stored.file, stored.path) == (hash, f"{hash}.{extension}", f"/media/{hash}.{extension}")
    assert stored.media_type.startswith(media_type)
    assert stored.size == len(content)
    assert f"{hash}.{extension}" in stored_files(media.settings)
    assert (await upload(media, user, content)).file == stored.file


def chunk_of_png(tag: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes and many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * ((width // 8 + 1) * 1_000), 9)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk_of_png(b"IHDR", header)
        + chunk_of_png(b"IDAT", pixels)
        + chunk_of_png(b"IEND", b"")
    )


def stretched_gif() -> bytes:
    """Thousands of frames of the largest screen there is."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return screen + frame * 3_000 + b";"


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def page() -> bytes:
    return b"<html><script>alert(1)</script></html>"


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "FILE_EMPTY"),
    "a page": (page, "FILE_TYPE_REFUSED"),
    "a page after blanks": (lambda: b"\xef\xbb\xbf \r\n" + page(), "FILE_TYPE_REFUSED"),
    "a page deep in a text": (lambda: b"words " * 2_000 + page(), "FILE_TYPE_REFUSED"),
    "an svg": (lambda: b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "FILE_PICTURE_UNSUPPORTED"),
    "a program": (lambda: b"\x7fELF" + os.urandom(500), "FILE_TYPE_REFUSED"),
    "noise": (lambda: b"\x01" + os.urandom(10_000), "FILE_TYPE_REFUSED"),
    "a heic's first bytes": (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + os.urandom(99), "FILE_BROKEN"),
    "half a png": (lambda: png(64, 64)[:-40] if len(png(64, 64)) > 100 else b"", "FILE_TRUNCATED"),
    "half a jpeg": (lambda: image("JPEG", (99, 99))[:-500], "FILE_TRUNCATED"),
    "half a gif": (lambda: image("GIF", (99, 99))[:-500], "FILE_TRUNCATED"),
    "half a webp": (lambda: image("WEBP", (99, 99))[:-500], "FILE_TRUNCATED"),
    "half an avif": (lambda: image("AVIF", (99, 99))[:-500], "FILE_TRUNCATED"),
    "half an mp4": (lambda: video()[:-500], "FILE_TRUNCATED"),
    "half a fast mp4": (lambda: half(video(movflags="+faststart")), "FILE_TRUNCATED"),
    "half a webm": (lambda: half(video("webm", "libvpx-vp9", 10)), "FILE_TRUNCATED"),
    "half an avi": (lambda: half(video("avi", "mpeg4")), "FILE_TRUNCATED"),
    "half a flac": (lambda: half(recording("flac", "flac", 20)), "FILE_TRUNCATED"),
    "half a zip": (lambda: archive(a=os.urandom(999))[:-30], "FILE_BROKEN"),
    "half a pdf": (lambda: pdf()[:-7], "FILE_BROKEN"),
    "a png's first bytes": (lambda: b"\x89PNG\r\n\x1a\n" + os.urandom(100), "FILE_BROKEN"),
    "an mp4's first bytes": (lambda: b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + os.urandom(500), "FILE_"),
    "a png and a zip": (lambda: png() + archive(a=b"x"), "FILE_TYPE_REFUSED"),
    "a png and a page": (lambda: png() + page(), "FILE_TYPE_REFUSED"),
    "a gif and a page": (lambda: image("GIF") + page(), "FILE_TYPE_REFUSED"),
    "a webp and more": (lambda: image("WEBP") + b"more", "FILE_TYPE_REFUSED"),
    "a gif that is a script": (lambda: b"GIF89a/*" + os.urandom(20) + b"*/=1;alert(1)", "FILE_"),
    "a jpeg with a page in it": (lambda: image("JPEG", comment=page()), "FILE_TYPE_REFUSED"),
    "a jpeg and a zip": (lambda: image("JPEG") + archive(a=b"x"), "FILE_TYPE_REFUSED"),
    "a pdf and a zip": (lambda: pdf() + archive(a=b"x"), "FILE_TYPE_REFUSED"),
    "a zip behind a program": (lambda: archive(a=b"x").replace(b"PK\x03\x04", b"PK\x03\x04", 1) + b"x" * 30, "FILE_"),
    "an mp4 and a zip": (lambda: video() + archive(a=b"x"), "FILE_TYPE_REFUSED"),
    "an avi and more": (lambda: video("avi", "mpeg4") + b"more" * 3, "FILE_TYPE_REFUSED"),
    "a playlist": (lambda: b"\xef\xbb\xbf#EXTM3U\nhttps://example.com/a.ts\n", "FILE_TYPE_REFUSED"),
    "a zip that climbs": (lambda: archive(**{"..__..__etc__passwd": b"x"}), "FILE_TYPE_REFUSED"),
    "a zip bomb": (lambda: archive(a=b"\0" * 400 * MIB), "FILE_TOO_LARGE"),
    "a document with macros": (
        lambda: archive(**{"[Content_Types].xml": b"", "word/document.xml": b"", "word/vbaProject.bin": b""}),
        "FILE_TYPE_REFUSED",
    ),
    "a pixel bomb": (lambda: bomb(30_000, 30_000), "FILE_TOO_LARGE"),
    "a gif of many frames": (stretched_gif, "FILE_TOO_LARGE"),
    "a video as audio": (lambda: video("ipod").replace(b"ftypM4V ", b"ftypM4A "), "FILE_TYPE_REFUSED"),
    "a text with a null": (lambda: b"text\0text", "FILE_TYPE_REFUSED"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_we_refuse(media: Running, name: str) -> None:
    make, reason = REFUSED[name]
    data = make()
    before = stored_files(media.settings)
    assert (await refusal(upload(media, new_user(), data))).startswith(reason)
    assert hashlib.sha256(data).hexdigest() not in "".join(set(stored_files(media.settings)) - set(before))
    assert not await find(media, hashlib.sha256(data).hexdigest())


@pytest.fixture(scope="module")
async def small(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A service with low limits."""
    limits = {
        "HITOK_MAX_IMAGE_BYTES": "20000",
        "HITOK_MAX_DOCUMENT_BYTES": "1000",
        "HITOK_MAX_PIXELS": "1000000",
        "HITOK_MAX_DURATION_SECONDS": "3",
        "HITOK_DAILY_BYTES": "50000",
        "HITOK_TOTAL_BYTES": "100000",
        "HITOK_SWEEP_GRACE_SECONDS": "1",
    }
    folder = tmp_path_factory.mktemp("small")
    settings = media_settings(servers.create_database("media_small"), servers, folder, **limits)
    async with running_media_service(settings, background=False) as running:
        yield running


class TestLimits:
    async def test_bytes_by_kind(self, small: Running) -> None:
        assert not await refusal(upload(small, new_user(), b"x" * 999))
        assert await refusal(upload(small, new_user(), b"x" * 1_001)) == "FILE_TOO_LARGE"
        assert await refusal(upload(small, new_user(), b"x" * 100_000)) == "FILE_TOO_LARGE"
        assert await refusal(upload(small, new_user(), image("PNG", (99, 99)))) == "FILE_TOO_LARGE"

    async def test_what_is_too_large_is_not_waited_for(self, small: Running) -> None:
        sent = 0

        def endless() -> object:
            nonlocal sent
            yield image("PNG", (99, 99))
            while sent < 500 * MIB:
                sent += CHUNK
                yield bytes(CHUNK)

        assert await refusal(upload(small, new_user(), endless())) == "FILE_TOO_LARGE"  # type: ignore[arg-type]
        assert sent < 20 * MIB

    async def test_pixels(self, small: Running) -> None:
        assert await refusal(upload(small, new_user(), bomb(2_000, 2_000))) == "FILE_TOO_LARGE"
        assert await refusal(upload(small, new_user(), video(size=(1_280, 960), seconds=0.2))) == "FILE_TOO_LARGE"

    async def test_duration(self, small: Running) -> None:
        assert await refusal(upload(small, new_user(), recording("mp3", "libmp3lame", 4))) == "FILE_TOO_LARGE"
        assert await refusal(upload(small, new_user(), recording("adts", "aac", 4))) == "FILE_TOO_LARGE"

    async def test_bytes_a_day(self, small: Running) -> None:
        user = new_user()
        data = [image("PNG", (70, 70)) for _ in range(5)]
        assert all(14_000 < len(one) < 20_000 for one in data)
        results = await outcomes(*(upload(small, user, one) for one in data))
        assert results == {"": 50_000 // len(data[0]), "QUOTA_EXCEEDED": 5 - 50_000 // len(data[0])}
        await upload(small, new_user(), data[0])  # another's

    async def test_bytes_in_total(self, small: Running) -> None:
        user, data = new_user(), image("PNG", (70, 70))
        await upload(small, user, data)
        fill = "UPDATE upload SET size = 99000, created_at = now() - interval '2 days' WHERE user_id = :user"
        await execute(small, fill, user=user)
        assert await refusal(upload(small, user, image("PNG", (70, 70)))) == "STORAGE_EXCEEDED"
        await upload(small, user, data)  # what they have already

    async def test_the_same_file_again_counts_once(self, small: Running) -> None:
        user, data = new_user(), image("PNG", (70, 70))
        for _ in range(5):
            await upload(small, user, data)


async def test_the_same_file_at_once_is_one_object(media: Running) -> None:
    data, users = video(), [new_user() for _ in range(6)]
    stored = await asyncio.gather(*(upload(media, user, data) for user in users))
    assert len({object.path for object in stored}) == 1
    assert stored_files(media.settings).count(stored[0].file) == 1
    rows = await execute(media, "SELECT user_id FROM upload WHERE object_hash = :hash", hash=stored[0].hash)
    assert {row.user_id for row in rows} == set(users)
    for user in users:
        assert (await status(media, user, stored[0].hash)).file == stored[0].file


async def test_broken_off_half_way_nothing_is_left(small: Running) -> None:
    data, arrived = image("PNG", (70, 70)), asyncio.Event()
    before = stored_files(small.settings)

    async def requests() -> AsyncIterator[pb.UploadRequest]:
        yield pb.UploadRequest(header=pb.UploadHeader())
        yield pb.UploadRequest(chunk=data[:9_000])
        arrived.set()
        await asyncio.sleep(60)

    with acting(new_user()):
        call = small.objects.Upload(requests(), timeout=30)
        await arrived.wait()
        await asyncio.sleep(0.2)
        assert len(stored_files(small.settings)) == len(before) + 1
        call.cancel()
    for _ in range(50):
        if stored_files(small.settings) == before:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(stored_files(small.settings))


async def test_what_a_killed_service_left_is_swept(small: Running) -> None:
    folder = small.service.storage.new_folder()
    left = folder / "file"
    left.write_bytes(b"half a file")
    os.utime(left, (0, 0))
    await sweeper.sweep(small.service)
    assert not left.exists()
    os.utime(folder, (0, 0))
    await sweeper.sweep(small.service)
    assert not folder.exists()


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [pb.UploadRequest()],
        [pb.UploadRequest(chunk=b"x")],
        [pb.UploadRequest(header=pb.UploadHeader()), pb.UploadRequest(header=pb.UploadHeader())],
        [pb.UploadRequest(header=pb.UploadHeader()), pb.UploadRequest(chunk=bytes(CHUNK * 5))],
    ],
)
async def test_streams_that_are_none(media: Running, requests: list[pb.UploadRequest]) -> None:
    with acting(new_user()):
        assert await refusal(media.objects.Upload(iter(requests), timeout=5)) == "CHUNK_INVALID"


async def test_only_so_many_uploads_of_a_user_are_under_way(small: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A further one is refused before anything is done for it; other users do not notice."""
    monkeypatch.setattr(ingest, "AT_ONCE", 1)
    user, data, begun, going_on = new_user(), image("PNG"), asyncio.Event(), asyncio.Event()

    async def requests() -> AsyncIterator[pb.UploadRequest]:
        yield pb.UploadRequest(header=pb.UploadHeader())
        yield pb.UploadRequest(chunk=data[:20])
        begun.set()
        await going_on.wait()
        yield pb.UploadRequest(chunk=data[20:])

    with acting(user):
        first = asyncio.create_task(send(small.objects.Upload, requests(), 60))
    await begun.wait()
    async with asyncio.timeout(10):
        while not ingest._uploads:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await refusal(upload(small, user, data)) == "PROBE_OVERLOADED"
    assert (await upload(small, new_user(), image("PNG", (9, 9)))).file
    going_on.set()
    assert (await first).file
    assert (await upload(small, user, data)).file
    assert not ingest._uploads


WAITING = """
import os, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])
"""


async def test_a_file_that_takes_long_goes_behind_and_makes_its_user_slow(
    small: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The inspection waits until it has gone behind, so that it cannot end before, however quick the machine is."""
    behind, go_behind, seen = list[int](), children.Child.go_behind, tmp_path / "seen"

    def noting(child: children.Child) -> None:
        go_behind(child)
        behind.append(os.getpriority(os.PRIO_PROCESS, child._process.pid))
        seen.touch()

    async def waiting(name: str, request: dict[str, Any], nothing: int, output: int) -> asyncio.subprocess.Process:
        program = (f"services.media.processing.sandbox.{name}", json.dumps(request))
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WAITING, str(seen), *program), cwd=children.ROOT, stdin=nothing, stdout=output
        )

    monkeypatch.setattr(children.Child, "go_behind", noting)
    quick, slow = new_users(2)
    monkeypatch.setattr(probe, "SHORT", 60)
    await upload(small, quick, image("PNG", (21, 20)))
    assert (behind, probe._turns._is_slow(quick)) == ([], False)
    monkeypatch.setattr(probe, "SHORT", 0)
    monkeypatch.setattr(children, "_servers", [])
    monkeypatch.setattr(children, "_start_program", waiting)
    await upload(small, slow, image("PNG", (22, 20)))
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert (behind, probe._turns._is_slow(slow)) == ([max(children.BEHIND, own)], True)


async def test_needs_a_user(media: Running) -> None:
    with acting(0):
        stream = iter([pb.UploadRequest(header=pb.UploadHeader())])
        assert await refusal(media.objects.Upload(stream, timeout=5)) == "CALLER_MISSING"


async def test_hashes(media: Running) -> None:
    assert await find(media, "0" * 64) == []
    for hash in ("", "x", "A" * 64, "0" * 63, "../" + "0" * 61, "0" * 64 + "\n"):
        assert await refusal(find(media, hash)) == "HASH_INVALID"
    assert await refusal(find(media, *["0" * 64] * 501)) == "BATCH_TOO_LARGE"


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_memory_does_not_grow_with_the_file(media: Running) -> None:
    """300 MiB through the service in this process, which sends them, too."""
    size, seed = 300 * MIB, os.urandom(CHUNK)
    most = 0
    head = (
        b"RIFF" + struct.pack("<I", size - 8) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 2, 48_000, 192_000, 4, 16)
    )
    head += b"data" + struct.pack("<I", size - 44)

    def pieces() -> object:
        nonlocal most
        yield head + seed[: CHUNK - 44]
        for _ in range(size // CHUNK - 1):
            yield seed
            most = max(most, resident_bytes())

    before = resident_bytes()
    reason = await refusal(upload(media, new_user(), pieces(), timeout=120))  # type: ignore[arg-type]
    assert reason == "FILE_TOO_LARGE"  # for sound, once 200 MiB of it have come
    assert most - before < 64 * MIB
