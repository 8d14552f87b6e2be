"""A user's own uploads: the list of them, and deleting one (file/mine and file/delete)."""

import asyncio

from protos.media.v1 import objects_pb2 as pb
from protos.media.v1.videos_pb2 import PRIVATE, PUBLIC
from services.media.files import deletions
from services.media.processing.jobs import processing
from services.objectstore.store import key_of
from tests.support import videos as v
from tests.support.media import Running, find, keys_of, png, refer, settled, upload, video
from tests.support.social import act, new_user, new_users, outcomes, refusal
from tests.support.videos import Videos, a_file, publish


async def mine(media: Running, user: int, limit: int = 50, cursor: str = "") -> pb.ListUploadsResponse:
    request = pb.ListUploadsRequest(limit=limit, cursor=cursor)
    answer: pb.ListUploadsResponse = await act(user, media.objects.ListUploads, request)
    return answer


async def delete(media: Running | Videos, user: int, hash: str) -> None:
    await act(user, media.objects.DeleteObject, pb.DeleteObjectRequest(hash=hash))


async def test_the_list_has_ones_own_the_last_first_on_pages(local: Running) -> None:
    user, other = new_users(2)
    hashes = [(await upload(local, user, png())).hash for _ in range(5)]
    await upload(local, other, png())
    seen, cursor = [], ""
    while True:
        page = await mine(local, user, limit=2, cursor=cursor)
        seen += [it.object.hash for it in page.uploads]
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == hashes[::-1]
    assert await refusal(act(user, local.objects.ListUploads, pb.ListUploadsRequest(cursor="x"))) == "CURSOR_INVALID"


async def test_an_entry_says_what_it_is_and_whether_a_video_shows_it(local: Running) -> None:
    user, data = new_user(), png(3, 2)
    object = await upload(local, user, data)
    (entry,) = (await mine(local, user)).uploads
    assert (entry.object.size, entry.object.kind, entry.object.state) == (len(data), "image", pb.State.READY)
    assert entry.uploaded_at > 1_700_000_000_000 and not entry.in_use
    await refer(local, object.hash, user, PRIVATE)
    (entry,) = (await mine(local, user)).uploads
    assert entry.in_use and "sig=" in entry.object.path, "private, and signed for its owner"


async def test_a_deleted_file_is_gone_with_its_bytes_and_what_was_made_of_it(local: Running) -> None:
    user = new_user()
    hash = (await upload(local, user, video("matroska", "mpeg4"))).hash
    async with processing(local.service):
        done = await settled(local, user, hash)
    files = [done.file, *(path.rpartition("/")[2] for path in (done.cover_path, done.playback_path, done.hls_path))]
    assert {key_of(file) for file in files} <= await keys_of(local)
    await delete(local, user, hash)
    await deletions.drain(local.service.database, local.service.storage)
    assert not {key_of(file) for file in files} & await keys_of(local)
    assert not (await mine(local, user)).uploads and not await find(local, hash)
    assert await refusal(delete(local, user, hash)) == "OBJECT_NOT_FOUND", "a second time"


async def test_what_a_message_or_profile_shows_can_be_deleted(local: Running) -> None:
    user = new_user()
    hash = (await upload(local, user, png())).hash
    await act(user, local.objects.UseObject, pb.UseObjectRequest(hash=hash))
    await delete(local, user, hash)
    assert not await find(local, hash)


async def test_it_stays_for_another_who_uploaded_it_too(local: Running) -> None:
    user, other = new_users(2)
    data = png()
    hash = (await upload(local, user, data)).hash
    await upload(local, other, data)
    await delete(local, user, hash)
    assert await find(local, hash)
    assert not (await mine(local, user)).uploads and len((await mine(local, other)).uploads) == 1


async def test_it_stays_while_anothers_video_shows_it(local: Running) -> None:
    user, other = new_users(2)
    hash = (await upload(local, user, png())).hash
    await refer(local, hash, other, PUBLIC)
    await delete(local, user, hash)
    assert await find(local, hash) and not (await mine(local, user)).uploads


async def test_it_is_refused_to_others_for_no_file_and_while_ones_video_shows_it(local: Running) -> None:
    user, other = new_users(2)
    hash = (await upload(local, user, png())).hash
    assert await refusal(delete(local, other, hash)) == "OBJECT_NOT_FOUND"
    assert await refusal(delete(local, user, "0" * 64)) == "OBJECT_NOT_FOUND"
    assert await refusal(delete(local, user, "x")) == "HASH_INVALID"
    assert await refusal(delete(local, 0, hash)) == "CALLER_MISSING"
    await refer(local, hash, user, PUBLIC)
    assert await refusal(delete(local, user, hash)) == "FILE_IN_USE"
    assert await find(local, hash)


async def test_deleted_twice_at_once_it_goes_once(local: Running) -> None:
    user = new_user()
    for _ in range(5):
        hash = (await upload(local, user, png())).hash
        results = await outcomes(*(delete(local, user, hash) for _ in range(3)))
        assert results == {"": 1, "OBJECT_NOT_FOUND": 2}


async def test_uploaded_again_while_it_is_deleted_it_is_whole_or_gone(local: Running) -> None:
    user, data = new_user(), png()

    done: list[bool] = []

    async def drain() -> None:
        while not done:
            await deletions.drain(local.service.database, local.service.storage)
            await asyncio.sleep(0.01)

    draining = asyncio.create_task(drain())
    for _ in range(5):
        hash = (await upload(local, user, data)).hash
        await asyncio.gather(delete(local, user, hash), upload(local, user, data))
        listed = [it.object for it in (await mine(local, user)).uploads]
        assert all([key_of(object.file) in await keys_of(local) for object in listed])
    done.append(True)
    await draining


async def test_published_while_it_is_deleted_it_is_a_video_or_gone(videos: Videos) -> None:
    owner = new_user()
    for _ in range(10):
        path = await a_file(videos, owner)
        made, deleted = await asyncio.gather(
            refusal(publish(videos, owner, video_url=path)), refusal(delete(videos, owner, path[7:71]))
        )
        assert (made, deleted) in (("", "FILE_IN_USE"), ("OBJECT_NOT_FOUND", ""))
        exists = await v.execute(videos, "SELECT FROM object WHERE hash = :hash", hash=path[7:71])
        assert bool(exists) is (made == "")
