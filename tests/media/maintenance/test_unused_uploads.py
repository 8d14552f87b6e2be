"""Uploads that nothing shows are deleted after 30 days: docs/contract/api.md, "Files"."""

import asyncio

import pytest

from protos.media.v1 import objects_pb2 as pb
from protos.media.v1.videos_pb2 import PUBLIC
from services.media.maintenance.unused_uploads import sweep_unused
from services.objectstore.store import key_of
from tests.support.media import Running, execute, find, keys_of, png, refer, upload
from tests.support.social import act, new_user, new_users, refusal

DAYS = 30


async def sweep(media: Running) -> int:
    return await sweep_unused(media.service.database, DAYS)


async def age(media: Running, hash: str, days: int = DAYS + 1) -> None:
    statement = "UPDATE upload SET renewed_at = now() - make_interval(days => :days) WHERE object_hash = :hash"
    await execute(media, statement, days=days, hash=hash)


async def use(media: Running, user: int, hash: str, kind: str = "image") -> pb.Object:
    answer: pb.Object = await act(user, media.objects.UseObject, pb.UseObjectRequest(hash=hash, kind=kind))
    return answer


async def test_an_old_upload_that_nothing_shows_is_deleted(local: Running) -> None:
    user = new_user()
    old, fresh = await upload(local, user, png()), await upload(local, user, png())
    await age(local, old.hash)
    await age(local, fresh.hash, DAYS - 1)
    assert await sweep(local) == 1
    assert [object.hash for object in await find(local, old.hash, fresh.hash)] == [fresh.hash]
    queued = await execute(local, "SELECT FROM deletion WHERE key = :key", key=key_of(old.file))
    assert queued and key_of(fresh.file) in await keys_of(local)


async def test_what_something_shows_is_kept(local: Running) -> None:
    user, sender = new_users(2)
    shown, avatar, sent = [await upload(local, user, png()) for _ in range(3)]
    await refer(local, shown.hash, user, PUBLIC)
    await use(local, user, avatar.hash)
    await act(sender, local.objects.BatchGetObjects, pb.BatchGetObjectsRequest(hashes=[sent.hash], hold=True))
    for object in (shown, avatar, sent):
        await age(local, object.hash)
    assert await sweep(local) == 0
    assert len(await find(local, shown.hash, avatar.hash, sent.hash)) == 3


async def test_anothers_video_does_not_keep_ones_upload_but_its_file(local: Running) -> None:
    user, other = new_users(2)
    data = png()
    object = await upload(local, user, data)
    await upload(local, other, data)
    await refer(local, object.hash, other, PUBLIC)
    await age(local, object.hash)
    assert await sweep(local) == 1
    assert len(await find(local, object.hash)) == 1
    rows = await execute(local, "SELECT user_id FROM upload WHERE object_hash = :hash", hash=object.hash)
    assert [row.user_id for row in rows] == [other]


async def test_uploading_it_again_keeps_it_and_costs_no_quota(local: Running) -> None:
    user, data = new_user(), png()
    object = await upload(local, user, data)
    await age(local, object.hash)
    await upload(local, user, data)
    assert await sweep(local) == 0
    rows = await execute(local, "SELECT size FROM upload WHERE user_id = :user", user=user)
    assert [row.size for row in rows] == [len(data)]


async def test_whoever_uses_one_while_it_is_swept_has_it_or_is_told(local: Running) -> None:
    user = new_user()
    for _ in range(10):
        object = await upload(local, user, png())
        await age(local, object.hash)
        answer, _ = await asyncio.gather(refusal(use(local, user, object.hash)), sweep(local))
        assert bool(await find(local, object.hash)) is (answer == "")
        assert answer in ("", "OBJECT_NOT_FOUND")


@pytest.mark.parametrize("hash", ["x", "0" * 64])
async def test_only_ones_own_upload_can_be_used(local: Running, hash: str) -> None:
    user, other = new_users(2)
    object = await upload(local, user, png())
    assert (await use(local, user, object.hash)).hash == object.hash
    assert await refusal(use(local, other, object.hash)) == "OBJECT_NOT_FOUND"
    assert await refusal(use(local, user, object.hash, "video")) == "OBJECT_KIND_INVALID"
    assert await refusal(use(local, user, hash)) in ("HASH_INVALID", "OBJECT_NOT_FOUND")
