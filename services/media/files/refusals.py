"""Refused files count against a quota: each was received and looked at. Valkey remembers them for a day."""

from typing import NamedTuple

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.media.errors import (
    FileBroken,
    FileCodecUnsupported,
    FileEncrypted,
    FilePictureUnsupported,
    FileSoundUnsupported,
    FileTooLarge,
    FileTruncated,
    FileTypeRefused,
)

DAY = 86_400  # seconds
COUNTED = (
    *(FileBroken, FileCodecUnsupported, FileEncrypted, FileTooLarge, FileTruncated),
    *(FileTypeRefused, FileSoundUnsupported, FilePictureUnsupported),
)
log = structlog.get_logger("refusals")


class Refused(NamedTuple):
    files: int = 0
    bytes: int = 0


async def refused_today(redis: Redis, user_id: int) -> Refused:
    """Returns the user's refused files of the 24 hours that began with their first; none while Valkey is away."""
    try:
        files, size = await redis.hmget(_key(user_id), "files", "bytes")
    except (RedisError, OSError, TimeoutError) as error:
        log.warning("refusals unknown", error=repr(error)[:200])
        return Refused()
    return Refused(int(files or 0), int(size or 0))


async def count_refusal(redis: Redis, user_id: int, size: int) -> None:
    try:
        async with redis.pipeline() as pipeline:
            pipeline.hincrby(_key(user_id), "files", 1)
            pipeline.hincrby(_key(user_id), "bytes", size)
            pipeline.expire(_key(user_id), DAY, nx=True)
            await pipeline.execute()
    except (RedisError, OSError, TimeoutError) as error:
        log.warning("refusal not counted", error=repr(error)[:200])


def _key(user_id: int) -> str:
    return f"refused:{user_id}"
