"""What moderators hide is gone for everybody and comes back as it was; what they remove is gone for good."""

import itertools
from typing import Any

import pytest

from protos.media.v1 import objects_pb2, videos_pb2
from services.kit.context import ANONYMOUS
from services.kit.nats import Event
from services.media.models import PROCESSING, READY
from services.media.videos import account_erasure, moderation
from tests.support import videos as v
from tests.support.social import act, new_user, new_users, refusal
from tests.support.videos import Videos, execute, publish

ADMIN = 3
VISIBILITIES = [videos_pb2.PUBLIC, videos_pb2.FRIENDS, videos_pb2.PRIVATE]
_events = itertools.count(1_000)


async def decide(videos: Videos, verb: str, kind: str, subject_id: int, event_id: int = 0) -> None:
    """As the user service announces it."""
    data = {"kind": kind, "subject_id": str(subject_id), "user_id": "1"}
    subject = f"events.user.moderation.{verb}"
    async with videos.service.database.transaction() as connection:
        await moderation.apply_event(connection, Event(event_id or next(_events), subject, "", "", data))


async def ids_in_lists(videos: Videos, viewer: int, owner: int, role: int = 1) -> set[int]:
    """Of that owner's videos, all that any list or search shows the viewer."""
    user_videos = videos_pb2.ListUserVideosRequest(user_id=owner, limit=50)
    found = [
        await v.feed(videos, viewer, order, role)
        for order in (videos_pb2.LATEST, videos_pb2.POPULAR, videos_pb2.RANDOM)
    ]
    found.append(await act(viewer, videos.videos.ListUserVideos, user_videos, role))
    found.append(await act(viewer, videos.videos.ListLikedVideos, videos_pb2.ListLikedVideosRequest(limit=50), role))
    query = videos_pb2.SearchVideosRequest(query="视频", limit=50)
    found.append(await act(viewer, videos.videos.SearchVideos, query, role))
    return {video.video_id for page in found for video in page.videos if video.owner_id == owner}


@pytest.mark.parametrize("visibility", VISIBILITIES)
async def test_a_hidden_video_is_gone_for_all_but_moderators_and_comes_back(videos: Videos, visibility: int) -> None:
    owner, friend, stranger, admin = new_users(4)
    await v.befriend(videos, owner, friend)
    video_id = (await publish(videos, owner, visibility)).video_id
    await v.like(videos, friend, video_id)
    viewers = (owner, friend, stranger)
    before = [await ids_in_lists(videos, viewer, owner) for viewer in viewers]
    total = (await act(owner, videos.videos.ListUserVideos, videos_pb2.ListUserVideosRequest(user_id=owner))).total
    await decide(videos, "hidden", "video", video_id)
    for viewer in (*viewers, ANONYMOUS.user_id):
        if viewer:
            assert await ids_in_lists(videos, viewer, owner) == set()
        assert await v.get(videos, viewer, video_id) is None
    for write in (v.like(videos, friend, video_id),):
        assert not await write
    assert await refusal(v.comment(videos, owner, video_id)) == "VIDEO_NOT_FOUND"
    assert await refusal(v.change(videos, owner, video_id, title="x")) == "VIDEO_NOT_FOUND"
    assert await ids_in_lists(videos, admin, owner, ADMIN) == set()
    seen = await v.get(videos, admin, video_id, ADMIN)
    assert seen is not None and seen.hidden and seen.visibility == visibility
    assert (await act(owner, videos.videos.ListUserVideos, videos_pb2.ListUserVideosRequest(user_id=owner))).total == 0
    assert not await v.faults(videos)
    await decide(videos, "restored", "video", video_id)
    assert [await ids_in_lists(videos, viewer, owner) for viewer in viewers] == before
    shown = await v.get(videos, owner, video_id)
    assert shown is not None and not shown.hidden and shown.visibility == visibility
    again = (await act(owner, videos.videos.ListUserVideos, videos_pb2.ListUserVideosRequest(user_id=owner))).total
    assert again == total == 1
    assert (await v.verbs_of(videos, video_id))[-2:] == ["video.hidden", "video.restored"]


async def test_the_files_of_a_hidden_video_need_a_signature_that_only_moderators_get(videos: Videos) -> None:
    owner, friend, other, admin = new_users(4)
    await v.befriend(videos, owner, friend)
    for visibility in (videos_pb2.PUBLIC, videos_pb2.FRIENDS):
        file = await v.a_file(videos, owner)
        video_id = (await publish(videos, owner, visibility, video_url=file)).video_id
        given = (await v.get(videos, friend, video_id)).video_url  # type: ignore[union-attr]
        await decide(videos, "hidden", "video", video_id)
        found = await files_of(videos, file)
        assert found.hidden and found.private
        theirs = await v.get(videos, admin, video_id, ADMIN)
        assert theirs is not None and "sig=" in theirs.video_url and theirs.video_url != given
        again = publish(videos, owner, video_url=file)
        assert await refusal(again) == "OBJECT_NOT_FOUND", "published again, it would be served"
        await execute(
            videos, "INSERT INTO upload (object_hash, user_id, size) VALUES (:h, :u, 1)", h=file[7:71], u=other
        )
        assert await refusal(publish(videos, other, video_url=file)) == "OBJECT_NOT_FOUND"
        await decide(videos, "restored", "video", video_id)
        found = await files_of(videos, file)
        assert (found.hidden, found.private) == (False, False)


async def files_of(videos: Videos, file: str) -> objects_pb2.Object:
    request = objects_pb2.BatchGetObjectsRequest(hashes=[file[7:71]])
    return (await videos.objects.BatchGetObjects(request)).objects[0]


async def test_a_video_hidden_while_it_is_processed(videos: Videos) -> None:
    owner = new_user()
    first, second = [await v.a_file(videos, owner, state=PROCESSING) for _ in range(2)]
    ended = (await publish(videos, owner, video_url=first)).video_id
    waits = (await publish(videos, owner, video_url=second)).video_id
    for video_id in (ended, waits):
        await decide(videos, "hidden", "video", video_id)
    await v.end_processing(videos, first)
    assert await v.get(videos, owner, ended) is None
    for video_id in (ended, waits):
        await decide(videos, "restored", "video", video_id)
    stranger = new_user()
    assert await v.get(videos, stranger, ended) is not None and await v.get(videos, stranger, waits) is None
    await v.end_processing(videos, second)
    assert await v.get(videos, stranger, waits) is not None
    assert (await files_of(videos, second)).state == READY


async def test_an_older_event_changes_nothing(videos: Videos) -> None:
    owner = new_user()
    video_id = (await publish(videos, owner)).video_id
    comment_id = (await v.comment(videos, owner, video_id)).comment_id
    for kind, id in (("comment", comment_id), ("video", video_id)):
        await decide(videos, "restored", kind, id, 8)
        await decide(videos, "hidden", kind, id, 7)
        assert await is_shown(videos, kind, owner, id)
        await decide(videos, "hidden", kind, id, 9)
        await decide(videos, "restored", kind, id, 8)
        await decide(videos, "hidden", kind, id, 9)
        assert not await is_shown(videos, kind, owner, id)
        await decide(videos, "restored", kind, id, 10)


async def is_shown(videos: Videos, kind: str, viewer: int, id: int) -> bool:
    if kind == "video":
        return await v.get(videos, viewer, id) is not None
    return await refusal(v.get_comment(videos, viewer, id)) == ""


async def test_a_removed_video_and_what_its_owner_may_do_with_a_hidden_one(videos: Videos) -> None:
    owner = new_user()
    file = await v.a_file(videos, owner)
    one, two = [(await publish(videos, owner, video_url=url)).video_id for url in (file, v.URL)]
    await decide(videos, "hidden", "video", one)
    await decide(videos, "removed", "video", one)
    await decide(videos, "restored", "video", one)
    assert await v.get(videos, owner, one, ADMIN) is None
    assert not (await videos.objects.BatchGetObjects(objects_pb2.BatchGetObjectsRequest(hashes=[file[7:71]]))).objects
    await decide(videos, "hidden", "video", two)
    assert await refusal(v.delete(videos, new_user(), two)) == "VIDEO_NOT_FOUND"
    await v.delete(videos, owner, two)
    assert await v.get(videos, owner, two, ADMIN) is None


async def shown_counts(videos: Videos, owner: int, video_id: int) -> tuple[int, list[int]]:
    card = await v.get(videos, owner, video_id)
    assert card is not None
    page = await v.comments_of(videos, owner, video_id)
    return card.comment_count, [comment.reply_count for comment in page.comments]


async def test_a_hidden_comment_counts_nowhere_and_comes_back_with_its_replies(videos: Videos) -> None:
    owner = new_user()
    video_id = (await publish(videos, owner)).video_id
    top = (await v.comment(videos, owner, video_id, b'"words"')).comment_id
    replies = [(await v.reply(videos, owner, top)).comment_id for _ in range(3)]
    assert await shown_counts(videos, owner, video_id) == (4, [3])
    steps: list[tuple[str, int, Any]] = [
        ("hidden", replies[0], (3, [2])),
        ("hidden", top, (0, [])),
        ("hidden", replies[1], (0, [])),
        ("restored", replies[0], (0, [])),
        ("restored", top, (3, [2])),
        ("restored", replies[1], (4, [3])),
        ("hidden", replies[2], (3, [2])),
        ("removed", replies[2], (3, [2])),
        ("restored", replies[2], (3, [2])),
        ("removed", replies[1], (2, [1])),
    ]
    for verb, comment_id, counts in steps:
        await decide(videos, verb, "comment", comment_id)
        assert await shown_counts(videos, owner, video_id) == counts, (verb, comment_id)
        assert not await v.faults(videos)
    assert (await v.get_comment(videos, owner, top)).content == b'"words"'
    left = await execute(videos, "SELECT content FROM comment WHERE id = ANY(:ids)", ids=replies[1:])
    assert {row.content for row in left} == {"null"}


async def test_an_erased_account_leaves_no_hidden_video_or_comment(videos: Videos) -> None:
    owner, leaver = new_users(2)
    video_id = (await publish(videos, owner)).video_id
    top = (await v.comment(videos, owner, video_id)).comment_id
    mine = (await v.comment(videos, leaver, video_id, b'"mine"')).comment_id
    answer = (await v.reply(videos, leaver, top, b'"mine"')).comment_id
    film = (await publish(videos, leaver, title="mine")).video_id
    for kind, id in (("comment", mine), ("comment", top), ("video", film)):
        await decide(videos, "hidden", kind, id)
    async with videos.service.database.transaction() as connection:
        await account_erasure.schedule(connection, leaver)
    while await account_erasure.erase_batch(videos.service):
        pass
    await decide(videos, "restored", "comment", mine)
    await decide(videos, "restored", "comment", top)
    assert await shown_counts(videos, owner, video_id) == (1, [0])
    rows = await execute(videos, "SELECT content FROM comment WHERE id = ANY(:ids)", ids=[mine, answer])
    assert {row.content for row in rows} == {"null"}
    assert [row.title for row in await execute(videos, "SELECT title FROM video WHERE id = :id", id=film)] == [""]
