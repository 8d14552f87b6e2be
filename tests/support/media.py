"""The media service in this process, behind a real port, and what tests need to talk to it."""

import asyncio
import io
import os
import secrets
import struct
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
from PIL import Image
from sqlalchemy import text

from gateway.files.streaming import send
from protos.media.v1 import objects_pb2 as pb
from protos.media.v1.objects_pb2_grpc import ObjectsStub, UploadsStub
from services.kit import schema
from services.media.config import SERVICE, MediaSettings
from services.media.maintenance.sweeper import sweeping
from services.media.processing.jobs import processing
from services.media.resources import Resources
from services.media.service import MIGRATIONS, open_service
from services.media.servicers import PROTOS, register
from tests.support.processes import service_settings, serving
from tests.support.servers import Servers
from tests.support.social import acting

CHUNK = 65_536
PIXELS = {"mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}  # of encoders that do not take yuv420p


@dataclass(frozen=True, slots=True)
class Running:
    settings: MediaSettings
    service: Resources
    target: str
    objects: ObjectsStub
    uploads: UploadsStub


def media_settings(postgres_url: str, servers: Servers, folder: Path, **more: str) -> MediaSettings:
    return service_settings(MediaSettings, SERVICE, postgres_url, servers, folder, **more)


@asynccontextmanager
async def running_media_service(settings: MediaSettings, background: bool = True) -> AsyncIterator[Running]:
    """`background`: with its sweeper and its workers."""
    schema.upgrade(settings.postgres_url, MIGRATIONS)
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(open_service(settings))
        if background:
            await stack.enter_async_context(processing(service))
            await stack.enter_async_context(sweeping(service))
        target, channel = await stack.enter_async_context(serving(settings, PROTOS, partial(register, service)))
        yield Running(settings, service, target, ObjectsStub(channel), UploadsStub(channel))


async def upload(media: Running, user_id: int, data: bytes | Iterable[bytes], timeout: float = 60) -> pb.Object:
    """In chunks, as the gateway does it."""
    pieces = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)] if isinstance(data, bytes) else data

    async def requests() -> AsyncIterator[pb.UploadRequest]:
        yield pb.UploadRequest(header=pb.UploadHeader())
        for piece in pieces:
            yield pb.UploadRequest(chunk=piece)

    with acting(user_id):
        object: pb.Object = await send(media.objects.Upload, requests(), timeout)
        return object


async def status(media: Running, user_id: int, hash: str) -> pb.Object:
    with acting(user_id):
        return await media.objects.GetStatus(pb.GetStatusRequest(hash=hash))


async def find(media: Running, *hashes: str) -> list[pb.Object]:
    return list((await media.objects.BatchGetObjects(pb.BatchGetObjectsRequest(hashes=hashes))).objects)


async def execute(media: Running, statement: str, **values: Any) -> list[Any]:
    """Of the service's own database; the rows, if there are any."""
    async with media.service.database.transaction() as connection:
        result = await connection.execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []


async def refer(media: Running, hash: str, owner_id: int, visibility: int) -> int:
    """A video of that visibility that shows the object."""
    video_id = secrets.randbits(50)
    query = "INSERT INTO object_reference VALUES (:hash, :video_id, :visibility, :owner_id)"
    await execute(media, query, hash=hash, video_id=video_id, visibility=visibility, owner_id=owner_id)
    return video_id


async def settled(media: Running, user_id: int, hash: str, seconds: float = 20) -> pb.Object:
    """The object once its processing has ended."""
    for _ in range(round(seconds * 20)):
        object = await status(media, user_id, hash)
        if object.state != pb.State.PROCESSING:
            return object
        await asyncio.sleep(0.05)
    raise AssertionError("still processing")


async def keys_of(media: Running) -> set[str]:
    """All that is in the store."""
    return {key async for batch in media.service.storage.list() for key, _ in batch}


def stored_files(settings: MediaSettings) -> list[str]:
    """The names of all files in the local store and the spool."""
    folders = (Path(settings.var, "media"), Path(settings.var, "spool"))
    return sorted(path.name for folder in folders for path in folder.rglob("*") if path.is_file())


def png(width: int = 1, height: int = 1) -> bytes:
    """A new one each time."""
    row = b"\0" + os.urandom(3) * width

    def chunk(tag: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(row * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def image(format: str, size: tuple[int, int] = (16, 16), **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.frombytes("RGB", size, os.urandom(size[0] * size[1] * 3)).save(buffer, format, **options)
    return buffer.getvalue()


def video(
    format: str = "mp4",
    codec: str = "libx264",
    seconds: float = 1.0,
    size: tuple[int, int] = (160, 120),
    black: float = 0.0,
    sound: str = "",
    **options: str,
) -> bytes:
    """That no other is like: `black` seconds of darkness, then a turning pattern. `sound` is its codec, "" for none."""
    rate = 10
    with tempfile.NamedTemporaryFile() as file:  # FFmpeg opens it again by its name, to move the index
        with av.open(file.name, "w", format=format, options=options) as container:
            pictures = container.add_stream(codec, rate=rate)
            sounds = container.add_stream(sound, rate=48_000) if sound else None
            _add_pictures(container, pictures, round(seconds * rate), size, round(black * rate))
            if sounds:
                _add_noise(container, sounds, seconds)
        return Path(file.name).read_bytes()


def _add_pictures(container: Any, stream: Any, count: int, size: tuple[int, int], black: int) -> None:
    stream.width, stream.height, stream.pix_fmt = *size, PIXELS.get(stream.codec_context.name, "yuv420p")
    pattern = Image.frombytes("RGB", (8, 8), os.urandom(192)).resize(size)
    for number in range(count):
        picture = Image.new("RGB", size) if number < black else pattern.rotate(number * 5)
        container.mux(stream.encode(av.VideoFrame.from_image(picture)))  # type: ignore[no-untyped-call]
    container.mux(stream.encode(None))


def recording(format: str, codec: str, seconds: float = 1.0) -> bytes:
    """Noise that no other file has."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=format) as container:
        _add_noise(container, container.add_stream(codec, rate=48_000), seconds)
    return buffer.getvalue()


def _add_noise(container: Any, stream: Any, seconds: float) -> None:
    resampler = av.AudioResampler(stream.format, stream.layout, 48_000, frame_size=stream.codec_context.frame_size)
    for number in range(round(seconds * 50)):
        frame = av.AudioFrame("s16", "mono", 960)
        frame.planes[0].update(os.urandom(1_920))
        frame.sample_rate, frame.pts = 48_000, number * 960
        for resampled in resampler.resample(frame):
            container.mux(stream.encode(resampled))
    for resampled in resampler.resample(None):
        container.mux(stream.encode(resampled))
    container.mux(stream.encode(None))
