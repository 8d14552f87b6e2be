"""Videos are published when they can be played: docs/contract/api.md, "Files"."""

import asyncio

import pytest

from protos.media.v1 import objects_pb2
from protos.media.v1 import videos_pb2 as pb
from services.media.models import FAILED, PROCESSING
from tests.support import videos as v
from tests.support.social import act, new_user, new_users, refusal
from tests.support.videos import (
    Videos,
    a_file,
    change,
    delete,
    end_processing,
    execute,
    feed,
    get,
    publish,
    references,
    verbs_of,
)

State = objects_pb2.State


async def listed(videos: Videos, viewer: int, owner: int) -> list[int]:
    request = pb.ListUserVideosRequest(user_id=owner, limit=50)
    return [video.video_id for video in (await act(viewer, videos.videos.ListUserVideos, request)).videos]


async def test_until_it_plays_only_its_owner_sees_it(videos: Videos) -> None:
    owner, other = new_users(2)
    file = await a_file(videos, owner, state=PROCESSING)
    total = (await feed(videos, other)).total
    made = await publish(videos, owner, video_url=file)
    assert (made.status, made.visibility, made.playback_url) == (State.PROCESSING, pb.PUBLIC, "")
    assert await get(videos, owner, made.video_id) == made
    assert await listed(videos, owner, owner) == [made.video_id]
    assert await get(videos, other, made.video_id) is None
    assert await listed(videos, other, owner) == []
    assert not await v.like(videos, other, made.video_id)
    assert (await feed(videos, other)).total == total
    assert await verbs_of(videos, made.video_id) == []
    assert await references(videos, made.video_id) == {file[7:71]: pb.PRIVATE}

    await end_processing(videos, file)
    seen = await get(videos, other, made.video_id)
    assert seen
    assert (seen.status, seen.visibility, seen.playback_url) == (State.READY, pb.PUBLIC, file)
    assert (seen.width, seen.height, seen.duration, seen.blurhash) == (640, 360, 5_000, "LKO2")
    assert await listed(videos, other, owner) == [made.video_id]
    assert (await feed(videos, other)).total == total + 1
    assert await verbs_of(videos, made.video_id) == ["video.published", "video.ready"]
    assert await references(videos, made.video_id) == {file[7:71]: pb.PUBLIC}


async def test_what_plays_already_is_published_at_once(videos: Videos) -> None:
    owner = new_user()
    for url in (await a_file(videos, owner), v.URL):
        made = await publish(videos, owner, video_url=url)
        assert (made.status, made.playback_url) == (State.READY, url)
        assert await verbs_of(videos, made.video_id) == ["video.published"]


async def test_one_that_fails_stays_with_its_owner_who_is_told_why(videos: Videos) -> None:
    owner, other = new_users(2)
    file = await a_file(videos, owner, state=PROCESSING)
    made = await publish(videos, owner, video_url=file)
    await end_processing(videos, file, "FILE_BROKEN")
    seen = await get(videos, owner, made.video_id)
    assert seen
    assert (seen.status, seen.reason, seen.playback_url) == (State.FAILED, "FILE_BROKEN", "")
    assert await get(videos, other, made.video_id) is None
    assert await verbs_of(videos, made.video_id) == ["video.failed"]
    (told,) = await execute(
        videos, "SELECT data FROM outbox WHERE subject = 'events.media.video.failed' ORDER BY id DESC LIMIT 1"
    )
    assert (told.data["owner_id"], told.data["reason"]) == (str(owner), "FILE_BROKEN")


async def test_a_retry_publishes_what_had_failed(videos: Videos) -> None:
    owner, other = new_users(2)
    file = await a_file(videos, owner, state=PROCESSING)
    made = await publish(videos, owner, video_url=file)
    await end_processing(videos, file, "FILE_BROKEN")
    objects = objects_pb2.RetryRequest(hash=file[7:71])
    await act(owner, videos.objects.Retry, objects)
    seen = await get(videos, owner, made.video_id)
    assert seen and (seen.status, seen.reason) == (State.PROCESSING, "")
    await end_processing(videos, file)
    assert await get(videos, other, made.video_id)


@pytest.mark.parametrize(("kind", "state"), [("image", 2), ("audio", 2), ("document", 2), ("video", FAILED)])
async def test_what_is_no_video_or_failed_is_not_published(videos: Videos, kind: str, state: int) -> None:
    owner = new_user()
    file = await a_file(videos, owner, kind=kind, state=state)
    assert await refusal(publish(videos, owner, video_url=file)) == "FILE_UNPLAYABLE"


async def test_what_its_owner_changes_while_it_waits(videos: Videos) -> None:
    owner, friend, other = new_users(3)
    await v.befriend(videos, owner, friend)
    file = await a_file(videos, owner, state=PROCESSING)
    made = await publish(videos, owner, video_url=file)
    changed = await change(videos, owner, made.video_id, visibility=pb.FRIENDS, title="新")
    assert (changed.visibility, changed.title, changed.status) == (pb.FRIENDS, "新", State.PROCESSING)
    assert await get(videos, friend, made.video_id) is None
    assert (await change(videos, owner, made.video_id, private=True)).visibility == pb.PRIVATE
    assert (await change(videos, owner, made.video_id, visibility=pb.FRIENDS)).visibility == pb.FRIENDS
    await end_processing(videos, file)
    assert await get(videos, friend, made.video_id)
    assert await get(videos, other, made.video_id) is None


async def test_one_that_was_deleted_while_it_waited_stays_deleted(videos: Videos) -> None:
    owner = new_user()
    file = await a_file(videos, owner, state=PROCESSING)
    kept = await publish(videos, owner, video_url=file)
    gone = await publish(videos, owner, video_url=file)
    await delete(videos, owner, gone.video_id)
    await end_processing(videos, file)
    assert await listed(videos, new_user(), owner) == [kept.video_id]
    assert await verbs_of(videos, gone.video_id) == ["video.deleted"]


async def test_none_is_missed_that_is_published_while_its_file_becomes_ready(videos: Videos) -> None:
    for _ in range(5):
        owner, other = new_users(2)
        file = await a_file(videos, owner, state=PROCESSING)
        first = await publish(videos, owner, video_url=file)
        made, *_ = await asyncio.gather(
            asyncio.gather(*(publish(videos, owner, video_url=file) for _ in range(6))),
            end_processing(videos, file),
            change(videos, owner, first.video_id, visibility=pb.PRIVATE),
        )
        expected = {video.video_id for video in made}
        assert set(await listed(videos, other, owner)) == expected
        assert set(await listed(videos, owner, owner)) == expected | {first.video_id}


async def test_a_cover_may_be_named_by_the_video_it_was_made_of(videos: Videos) -> None:
    """docs/contract/compat.md."""
    owner, other = new_users(2)
    file, cover = await a_file(videos, owner), await a_file(videos, other, "jpg", "image")
    derivative = "INSERT INTO derivative VALUES (:source, 'cover', :made)"
    await execute(videos, derivative, source=file[7:71], made=cover[7:71])
    for named in (file, cover):
        assert (await publish(videos, owner, video_url=v.URL, cover_url=named)).cover_url == cover
    waiting = await a_file(videos, owner, state=PROCESSING)
    assert (await publish(videos, owner, video_url=file, cover_url=waiting)).cover_url == cover
    sound = await a_file(videos, owner, "mp3", "audio")
    assert await refusal(publish(videos, owner, cover_url=sound)) == "VIDEO_INVALID"
