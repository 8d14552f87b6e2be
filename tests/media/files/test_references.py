"""What happens to files when the videos that showed them are deleted."""

from services.media.files import deletions, references
from services.media.processing.jobs import processing
from services.objectstore.store import key_of
from tests.support.media import Running, execute, find, keys_of, png, refer, settled, upload, video
from tests.support.social import new_user

PUBLIC, FRIENDS, PRIVATE = range(3)


async def release(media: Running, owner: int, video_id: int, private: bool) -> None:
    """As the deletion of a video does it."""
    query = "DELETE FROM object_reference WHERE video_id = :id RETURNING object_hash"
    hashes = [row.object_hash for row in await execute(media, query, id=video_id)]
    async with media.service.database.transaction() as connection:
        await references.release_objects(connection, owner, hashes, private)
    await deletions.drain(media.service.database, media.service.storage)


async def test_a_video_goes_with_all_that_was_made_of_it(local: Running) -> None:
    user = new_user()
    hash = (await upload(local, user, video("matroska", "mpeg4"))).hash
    async with processing(local.service):
        done = await settled(local, user, hash)
    query = "SELECT object_hash, extension FROM derivative JOIN object ON hash = object_hash WHERE source_hash = :hash"
    made = {f"{row.object_hash}.{row.extension}" for row in await execute(local, query, hash=hash)}
    assert {file.rpartition(".")[2] for file in made} == {"jpg", "mp4", "m3u8"}
    files = {done.file, *made}
    assert len(files) == 6  # with the cover, the playback, its fragments, their list and the master playlist
    assert {key_of(file) for file in files} <= await keys_of(local)
    await release(local, user, await refer(local, hash, user, PUBLIC), private=False)
    assert not {key_of(file) for file in files} & await keys_of(local)
    assert not await find(local, *(file.partition(".")[0] for file in files))


async def test_one_that_another_video_shows_stays(local: Running) -> None:
    user = new_user()
    hash = (await upload(local, user, video())).hash
    first, _ = [await refer(local, hash, user, PRIVATE) for _ in range(2)]
    await release(local, user, first, private=True)
    assert [object.private for object in await find(local, hash)] == [True]


async def test_a_file_that_another_user_uploaded_too_stays(local: Running) -> None:
    user, other, data = new_user(), new_user(), video()
    hash = (await upload(local, user, data)).hash
    await upload(local, other, data)
    await release(local, user, await refer(local, hash, user, PRIVATE), private=True)
    rows = await execute(local, "SELECT user_id FROM upload WHERE object_hash = :hash", hash=hash)
    assert [row.user_id for row in rows] == [other]
    assert await find(local, hash)


async def test_a_public_picture_stays_and_a_private_one_goes(local: Running) -> None:
    user = new_user()
    for visibility, private in ((PUBLIC, False), (PRIVATE, True)):
        hash = (await upload(local, user, png())).hash
        await release(local, user, await refer(local, hash, user, visibility), private)
        assert bool(await find(local, hash)) is not private


async def test_uploaded_again_it_is_there_again(local: Running) -> None:
    user, data = new_user(), png()
    hash = (await upload(local, user, data)).hash
    await release(local, user, await refer(local, hash, user, PRIVATE), private=True)
    stored = await upload(local, user, data)
    assert key_of(stored.file) in await keys_of(local)
    assert not stored.private
