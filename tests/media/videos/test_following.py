"""The feed of those whom a user follows: whose videos it has, in which order, however many they are."""

import random

import pytest

from protos.media.v1 import videos_pb2 as pb
from services.media.videos import account_erasure
from services.media.videos.following import feed
from tests.support.social import act, new_user, new_users, refusal
from tests.support.videos import Videos, all_pages, befriend, block, change, execute, publish, social_event


async def follow(videos: Videos, user: int, *followed: int) -> None:
    for other in followed:
        await social_event(videos, "follow.started", user, other)


async def page_of(videos: Videos, user: int, limit: int = 50, cursor: str = "", offset: int = 0) -> pb.VideoPage:
    request = pb.ListFollowedVideosRequest(limit=limit, cursor=cursor, offset=offset)
    page: pb.VideoPage = await act(user, videos.videos.ListFollowedVideos, request)
    return page


async def feed_of(videos: Videos, user: int, limit: int = 50) -> list[int]:
    async def read(cursor: str) -> pb.VideoPage:
        return await page_of(videos, user, limit, cursor)

    return [video.video_id for video in await all_pages(read)]


async def unseen(videos: Videos, user: int) -> int:
    return int((await act(user, videos.videos.CountUnseen, pb.CountUnseenRequest())).count)


async def see(videos: Videos, user: int, video_id: int) -> None:
    await act(user, videos.videos.MarkSeen, pb.MarkSeenRequest(video_id=video_id))


@pytest.fixture(params=["few", "many", "many, of whom nobody is new"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way in which the feed is read."""
    if request.param != "few":
        monkeypatch.setattr(feed, "FEW", -1)
    if request.param.endswith("new"):
        monkeypatch.setattr(feed, "WINDOW", 1)


@pytest.mark.usefixtures("reading")
async def test_the_newest_of_those_followed_come_first(videos: Videos) -> None:
    fan, a, b, other = new_users(4)
    made = [(await publish(videos, random.choice((a, b)))).video_id for _ in range(9)]
    await publish(videos, other)
    assert await feed_of(videos, fan) == []
    await follow(videos, fan, a, b)
    for limit in (1, 4, 50):
        assert await feed_of(videos, fan, limit) == made[::-1]
    first = await page_of(videos, fan, 4)
    later = (await publish(videos, a)).video_id  # moves nothing that is read already
    second = await page_of(videos, fan, 4, first.next_cursor)
    assert [video.video_id for video in (*first.videos, *second.videos)] == made[:0:-1]
    assert [video.video_id for video in (await page_of(videos, fan, 2, offset=1)).videos] == made[:-3:-1]
    await social_event(videos, "follow.ended", fan, a)
    assert later not in await feed_of(videos, fan)


@pytest.mark.usefixtures("reading")
async def test_only_what_one_may_see(videos: Videos) -> None:
    fan, owner, friend, blocker = new_users(4)
    await follow(videos, fan, owner, friend, blocker)
    await befriend(videos, fan, friend)
    shown = [(await publish(videos, owner)).video_id, (await publish(videos, friend, pb.FRIENDS)).video_id]
    await publish(videos, owner, pb.FRIENDS)
    await publish(videos, friend, pb.PRIVATE)
    await publish(videos, blocker)
    await block(videos, blocker, fan)
    assert await feed_of(videos, fan) == shown[::-1]
    await change(videos, owner, shown[0], visibility=pb.PRIVATE)
    assert await feed_of(videos, fan) == shown[1:]


async def test_what_is_new(videos: Videos) -> None:
    fan, owner = new_users(2)
    await follow(videos, fan, owner)
    made = [(await publish(videos, owner)).video_id for _ in range(3)]
    assert await unseen(videos, fan) == 3 and (await page_of(videos, fan)).seen_id == 0
    await see(videos, fan, made[1])
    await see(videos, fan, made[0])  # an older mark
    assert await unseen(videos, fan) == 1 and (await page_of(videos, fan)).seen_id == made[1]
    await publish(videos, owner)
    assert await unseen(videos, fan) == 2 and await unseen(videos, owner) == 0


async def test_an_older_event_changes_nothing(videos: Videos) -> None:
    fan, owner = new_users(2)
    made = (await publish(videos, owner)).video_id
    await social_event(videos, "follow.ended", fan, owner, event_id=2**61 + 2)
    await social_event(videos, "follow.started", fan, owner, event_id=2**61 + 1)
    assert await feed_of(videos, fan) == []
    await social_event(videos, "follow.started", fan, owner, event_id=2**61 + 3)
    assert await feed_of(videos, fan) == [made]


async def test_an_erased_account_leaves_no_mark(videos: Videos) -> None:
    user = new_user()
    await see(videos, user, 5)
    async with videos.service.database.transaction() as connection:
        await account_erasure.schedule(connection, user)
    while await account_erasure.erase_batch(videos.service):
        pass
    assert not await execute(videos, "SELECT FROM following_seen WHERE user_id = :id", id=user)


async def test_it_is_a_users_own(videos: Videos) -> None:
    for call, request in (
        (videos.videos.ListFollowedVideos, pb.ListFollowedVideosRequest()),
        (videos.videos.CountUnseen, pb.CountUnseenRequest()),
        (videos.videos.MarkSeen, pb.MarkSeenRequest(video_id=1)),
    ):
        assert await refusal(act(0, call, request)) == "CALLER_MISSING"
    assert await refusal(page_of(videos, new_user(), cursor="x")) == "CURSOR_INVALID"
