"""What files of earlier releases lack is made, once, without changing what is stored."""

import io

from PIL import Image

from services.media.maintenance.filling import Filled, fill
from tests.support.media import Running, execute, find, png, upload, video
from tests.support.social import new_user


def animation() -> bytes:
    first, second = (Image.effect_noise((32, 16), 90) for _ in range(2))
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=[second], duration=200)
    return buffer.getvalue()


async def stored_before(media: Running, data: bytes) -> str:
    """The hash of a file of which nothing is known but its type, and of a video its size and length."""
    hash = (await upload(media, new_user(), data)).hash
    await execute(media, "DELETE FROM job WHERE object_hash = :hash", hash=hash)
    await execute(
        media,
        """UPDATE object SET blurhash = '', state = 2, width = CASE kind WHEN 'image' THEN 0 ELSE width END,
        duration = CASE kind WHEN 'image' THEN 0 ELSE duration END WHERE hash = :hash""",
        hash=hash,
    )
    return hash


async def jobs_of(media: Running, hash: str) -> set[str]:
    rows = await execute(media, "SELECT profile FROM job WHERE object_hash = :hash AND due_at IS NOT NULL", hash=hash)
    return {row.profile for row in rows}


async def test_what_older_files_lack_is_made(local: Running) -> None:
    service = local.service
    await fill(service.database, service.settings, service.storage)  # what other tests left
    still, moving = await stored_before(local, png(8, 4)), await stored_before(local, animation())
    film = await stored_before(local, video("matroska", "mpeg4", 2.2, (640, 480)))
    short = await stored_before(local, video(seconds=0.4))

    done = await fill(service.database, service.settings, service.storage)
    assert (done.described, done.left) == (2, 0)
    of_still, of_moving = [(await find(local, hash))[0] for hash in (still, moving)]
    assert of_still.blurhash
    assert (of_still.width, of_still.height, of_still.duration) == (8, 4, 0)
    assert (of_moving.width, of_moving.height, of_moving.duration) == (32, 16, 400)
    assert await jobs_of(local, still) == set()
    assert await jobs_of(local, moving) == {"animation"}
    assert await jobs_of(local, film) == {"cover", "storyboard", "ladder"}
    assert await jobs_of(local, short) == {"cover"}

    assert await fill(service.database, service.settings, service.storage) == Filled(), "the jobs wait"
    await execute(local, "UPDATE job SET due_at = NULL, reason = 'FILE_BROKEN'")
    assert await fill(service.database, service.settings, service.storage) == Filled(), "what failed is left alone"


async def test_it_adds_no_more_jobs_than_it_is_told(local: Running) -> None:
    service = local.service
    await fill(service.database, service.settings, service.storage)
    hashes = [await stored_before(local, video(seconds=0.4)) for _ in range(3)]
    assert (await fill(service.database, service.settings, service.storage, most=2)).jobs == 2
    assert (await fill(service.database, service.settings, service.storage, most=2)).jobs == 1
    assert [await jobs_of(local, hash) for hash in hashes] == [{"cover"}] * 3
    await execute(local, "UPDATE job SET due_at = NULL")
