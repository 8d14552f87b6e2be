"""What owners pin: videos in the list of theirs, and a comment under each."""

import asyncio
from typing import Any

import pytest

from protos.media.v1 import comments_pb2
from protos.media.v1 import videos_pb2 as pb
from services.kit import telemetry
from services.kit.nats import Event
from services.media.videos import moderation
from tests.support import videos as v
from tests.support.social import act, new_user, new_users, refusal
from tests.support.videos import Videos, all_pages, block, comment, comments_of, delete, execute, publish, reply


async def pin(videos: Videos, user: int, video_id: int, pinned: bool = True) -> pb.Video:
    answer: pb.Video = await act(user, videos.videos.PinVideo, pb.PinVideoRequest(video_id=video_id, pinned=pinned))
    return answer


async def pin_comment(videos: Videos, user: int, comment_id: int, pinned: bool = True) -> None:
    request = comments_pb2.PinCommentRequest(comment_id=comment_id, pinned=pinned)
    await act(user, videos.comments.PinComment, request)


async def page_of(videos: Videos, viewer: int, owner: int, limit: int = 50, **part: Any) -> pb.VideoPage:
    request = pb.ListUserVideosRequest(user_id=owner, limit=limit, **part)
    answer: pb.VideoPage = await act(viewer, videos.videos.ListUserVideos, request)
    return answer


async def ids_of(videos: Videos, viewer: int, owner: int, limit: int = 50) -> list[int]:
    async def read(cursor: str) -> pb.VideoPage:
        return await page_of(videos, viewer, owner, limit, cursor=cursor)

    return [video.video_id for video in await all_pages(read)]


async def tops(videos: Videos, viewer: int, video_id: int, **part: Any) -> list[int]:
    return [each.comment_id for each in (await comments_of(videos, viewer, video_id, **part)).comments]


async def test_pinned_videos_come_first_on_any_page(videos: Videos) -> None:
    owner, fan = new_users(2)
    ids = [(await publish(videos, owner)).video_id for _ in range(7)]
    for id in (ids[1], ids[4], ids[0], ids[0]):
        assert (await pin(videos, owner, id)).pinned
    expected = [ids[0], ids[4], ids[1], ids[6], ids[5], ids[3], ids[2]]
    for limit in (1, 2, 3, 4, 5, 50):
        assert await ids_of(videos, fan, owner, limit) == expected, limit
    by_number = [(await page_of(videos, fan, owner, 2, offset=offset)).videos for offset in (0, 2, 4, 6)]
    assert [video.video_id for page in by_number for video in page] == expected
    assert (await page_of(videos, fan, owner, 2)).total == 7
    first = await page_of(videos, fan, owner, 4)
    await pin(videos, owner, ids[4], pinned=False)
    await pin(videos, owner, ids[2])  # while the list is read: nothing is missed or repeated
    rest = await page_of(videos, fan, owner, 4, cursor=first.next_cursor)
    assert [video.video_id for video in (*first.videos, *rest.videos)] == expected


async def test_who_pins_which_videos(videos: Videos) -> None:
    owner, other = new_users(2)
    ids = [(await publish(videos, owner)).video_id for _ in range(2)]
    hidden = (await publish(videos, owner, pb.PRIVATE)).video_id
    assert await refusal(pin(videos, other, ids[0])) == "NOT_PERMITTED"
    assert await refusal(pin(videos, other, hidden)) == "VIDEO_NOT_FOUND"
    for id in (hidden, ids[0]):
        await pin(videos, owner, id)
    assert await ids_of(videos, other, owner) == ids
    assert await ids_of(videos, owner, owner) == [ids[0], hidden, ids[1]]
    await delete(videos, owner, ids[0])
    assert await ids_of(videos, owner, owner) == [hidden, ids[1]]


async def test_fifty_pin_at_once(videos: Videos) -> None:
    owner = new_user()
    ids = [(await publish(videos, owner)).video_id for _ in range(10)]
    outcome = await asyncio.gather(*(refusal(pin(videos, owner, id)) for id in ids * 5))
    assert set(outcome) == {"", "PINNED_VIDEOS_FULL"}
    assert len([video for video in (await page_of(videos, owner, owner)).videos if video.pinned]) == 3


@pytest.mark.parametrize("order", [comments_pb2.NEWEST, comments_pb2.MOST_LIKED])
async def test_the_pinned_comment_comes_first_on_any_page(videos: Videos, order: int) -> None:
    owner, fan = new_users(2)
    video = (await publish(videos, owner)).video_id
    ids = [(await comment(videos, fan, video)).comment_id for _ in range(5)]
    await pin_comment(videos, owner, ids[1])
    await pin_comment(videos, owner, ids[2])
    expected = [ids[2], ids[4], ids[3], ids[1], ids[0]]
    for limit in (1, 2, 3, 50):

        async def read(cursor: str, limit: int = limit) -> comments_pb2.CommentPage:
            return await comments_of(videos, fan, video, limit=limit, cursor=cursor, order=order)

        assert [each.comment_id for each in await all_pages(read)] == expected, limit
    shown: list[int] = []
    while page := await tops(videos, fan, video, limit=1, order=order, before_id=shown[-1] if shown else 0):
        shown += page
    assert shown == expected
    assert await tops(videos, fan, video, limit=2, order=order, offset=2) == expected[2:4]
    found = await comments_of(videos, fan, video, order=order)
    assert [each.pinned for each in found.comments] == [True, *[False] * 4]
    assert (await v.get_comment(videos, fan, ids[2])).pinned
    await pin_comment(videos, owner, ids[2], pinned=False)
    assert await tops(videos, fan, video, order=order) == ids[::-1]


async def test_who_pins_which_comments(videos: Videos) -> None:
    owner, author = new_users(2)
    video = (await publish(videos, owner)).video_id
    top = (await comment(videos, author, video)).comment_id
    answer = (await reply(videos, owner, top)).comment_id
    assert await refusal(pin_comment(videos, author, top)) == "NOT_PERMITTED"
    assert await refusal(pin_comment(videos, owner, answer)) == "REPLY_UNPINNABLE"
    await pin_comment(videos, owner, top)
    await pin_comment(videos, owner, top)
    await v.uncomment(videos, author, top)
    assert await refusal(pin_comment(videos, owner, top)) == "COMMENT_NOT_FOUND"
    (row,) = await execute(videos, "SELECT pinned_comment_id FROM video WHERE id = :id", id=video)
    assert row.pinned_comment_id is None
    assert (await v.verbs_of(videos, video)).count("comment.pinned") == 1


TRACE = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
UNPINNED = "SELECT trace FROM outbox WHERE subject = 'events.media.comment.unpinned' AND aggregate = :of"


async def test_a_pin_ends_with_a_block_and_when_a_moderator_hides(
    videos: Videos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "here", lambda: TRACE)
    owner, author, other = new_users(3)
    video = (await publish(videos, owner)).video_id
    theirs, newer = [(await comment(videos, user, video)).comment_id for user in (author, other)]
    await pin_comment(videos, owner, theirs)
    await block(videos, author, owner)  # of which the owner does not hear
    assert await tops(videos, other, video) == [theirs, newer]
    await block(videos, owner, author)
    assert await tops(videos, other, video) == [newer, theirs]
    await v.social_event(videos, "user.unblocked", owner, author)
    assert await tops(videos, other, video) == [newer, theirs]
    assert (await v.verbs_of(videos, video))[-1] == "comment.unpinned"
    (event,) = await execute(videos, UNPINNED, of=f"video:{video}")
    assert event.trace == TRACE
    await pin_comment(videos, owner, newer)
    for number, verb in enumerate(("hidden", "restored"), 1):
        told = Event(number, f"events.user.moderation.{verb}", "", "", {"kind": "comment", "subject_id": str(newer)})
        async with videos.service.database.transaction() as connection:
            await moderation.apply_event(connection, told)
    assert not any(each.pinned for each in (await comments_of(videos, other, video)).comments)
    assert len(await tops(videos, other, video)) == 2


async def test_fifty_pins_and_deletions_at_once(videos: Videos) -> None:
    owner, author = new_users(2)
    video = (await publish(videos, owner)).video_id
    ids = [(await comment(videos, author, video)).comment_id for _ in range(5)]
    calls = [pin_comment(videos, owner, id) for id in ids * 8] + [v.uncomment(videos, author, id) for id in ids[:2] * 5]
    outcome = await asyncio.gather(*map(refusal, calls))
    assert set(outcome) <= {"", "COMMENT_NOT_FOUND"}
    (row,) = await execute(videos, "SELECT pinned_comment_id FROM video WHERE id = :id", id=video)
    assert row.pinned_comment_id in (None, *ids[2:])
    assert sorted(await tops(videos, author, video)) == ids[2:]
