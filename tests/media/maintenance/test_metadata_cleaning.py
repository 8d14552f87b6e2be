"""Files of earlier releases lose their metadata, and nothing else changes for who shows them."""

import io

from PIL import Image

from services.media.maintenance.metadata_cleaning import clean_metadata
from services.objectstore.store import key_of
from tests.support.media import Running, execute, find, png, upload
from tests.support.social import new_user

PLACE = b"somewhere"


def telling(orientation: int = 1) -> bytes:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112], exif[0x010E] = orientation, PLACE.decode()
    Image.effect_noise((32, 16), 50).convert("RGB").save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


async def stored_before(media: Running, data: bytes) -> str:
    """The hash of a picture that is stored with its metadata."""
    made = await upload(media, new_user(), telling())
    await media.service.storage.put(key_of(made.file), data)
    await execute(media, "UPDATE object SET size = :size WHERE hash = :hash", size=len(data), hash=made.hash)
    return made.hash


async def served(media: Running, hash: str) -> bytes:
    (object,) = await find(media, hash)
    data = b"".join([chunk async for chunk in media.service.storage.read(key_of(object.file))])
    assert object.size == len(data)
    return data


async def test_old_files_are_cleaned_at_their_addresses(local: Running) -> None:
    clean = (await upload(local, new_user(), png())).hash
    untouched = await served(local, clean)
    straight, turned = await stored_before(local, telling()), await stored_before(local, telling(6))
    broken = await stored_before(local, b"\xff\xd8\xff no picture")
    service = local.service
    done = await clean_metadata(service.database, service.settings, service.storage)
    assert (done.changed, done.left) == (2, 1)
    for hash in (straight, turned):
        assert PLACE not in await served(local, hash)
    (object,) = await find(local, turned)
    assert (object.width, object.height) == (16, 32)
    assert await served(local, clean) == untouched
    assert await served(local, broken) == b"\xff\xd8\xff no picture"
    assert (await clean_metadata(service.database, service.settings, service.storage)).changed == 0
    last = await clean_metadata(service.database, service.settings, service.storage, after="f" * 64)
    assert last.looked_at == 0
