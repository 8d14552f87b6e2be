"""Pages of viewers who see more than what is public: one call for all who ask, none used after a change."""

import asyncio
from typing import Any

import pytest

from gateway.cache.personal_feeds import FOLLOWED, PersonalFeeds
from protos.media.v1 import videos_pb2 as pb
from services.kit.context import Caller

VIEWER = Caller(user_id=7)
OTHER = Caller(user_id=8)
PUBLIC_ID, OWN_ID = 1, 2


class Media:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.calls = 0
        self.lets = asyncio.Event()
        self.lets.set()
        self.fails = False

    async def ListVideos(self, request: pb.ListVideosRequest) -> pb.VideoPage:
        assert request.public_as_ids
        self.calls += 1
        number = self.calls
        await self.lets.wait()
        if self.fails:
            raise ValueError("no")
        return pb.VideoPage(videos=[pb.Video(video_id=PUBLIC_ID), pb.Video(video_id=OWN_ID, owner_id=7)], total=number)

    async def ListFollowedVideos(self, request: pb.ListFollowedVideosRequest) -> pb.VideoPage:
        assert request.public_as_ids and request.limit == 10
        self.calls += 1
        return pb.VideoPage(videos=[pb.Video(video_id=PUBLIC_ID)], seen_id=self.calls)


@pytest.fixture
async def media() -> Media:
    return Media()


@pytest.fixture
async def feeds(media: Any) -> PersonalFeeds:
    return PersonalFeeds(media, media)


async def total(feeds: PersonalFeeds, viewer: Caller = VIEWER) -> int:
    return (await feeds.load(viewer, pb.LATEST, 10)).total


async def test_one_call_serves_all_who_ask_and_each_viewer_has_a_page(media: Media, feeds: PersonalFeeds) -> None:
    assert await asyncio.gather(*(total(feeds) for _ in range(5))) == [1] * 5
    assert await total(feeds) == 1
    assert await total(feeds, OTHER) == 2
    page = await feeds.load(VIEWER, pb.LATEST, 10)
    assert list(page.video_ids) == [PUBLIC_ID, OWN_ID] and list(page.others) == [OWN_ID]


@pytest.mark.parametrize("id", [OWN_ID, VIEWER.user_id])
async def test_a_page_is_read_again_after_a_change_of_what_it_shows(
    media: Media, feeds: PersonalFeeds, id: int
) -> None:
    assert await total(feeds) == 1
    feeds.drop(PUBLIC_ID)  # its card is not here
    feeds.drop(OTHER.user_id)
    assert await total(feeds) == 1
    feeds.drop(id)
    assert await total(feeds) == 2


@pytest.mark.parametrize("id", [OWN_ID, VIEWER.user_id, 0])
async def test_what_was_asked_before_a_change_is_not_used_after_it(media: Media, feeds: PersonalFeeds, id: int) -> None:
    media.lets.clear()
    early = asyncio.create_task(total(feeds))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    feeds.drop(id) if id else feeds.clear()
    late = asyncio.create_task(total(feeds))
    await asyncio.sleep(0)
    media.lets.set()
    await early
    assert await late == 2
    assert await total(feeds) == 2


async def test_an_earlier_call_that_ends_last_disturbs_nothing(
    media: Media, feeds: PersonalFeeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends, errors = [asyncio.Event(), asyncio.Event()], list[Any]()

    async def answer(_: pb.ListVideosRequest) -> pb.VideoPage:
        media.calls += 1
        number = media.calls
        await ends[number - 1].wait()
        return pb.VideoPage(total=number)

    monkeypatch.setattr(media, "ListVideos", answer)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    early = asyncio.create_task(total(feeds))
    await asyncio.sleep(0.01)
    feeds.drop(VIEWER.user_id)
    late = asyncio.create_task(total(feeds))
    await asyncio.sleep(0.01)
    ends[1].set()
    assert await late == 2
    ends[0].set()
    assert await early == 1
    await asyncio.sleep(0.01)
    assert errors == []
    assert await total(feeds) == 2


async def test_a_call_that_failed_is_made_again(media: Media, feeds: PersonalFeeds) -> None:
    media.fails = True
    with pytest.raises(ValueError, match="no"):
        await total(feeds)
    media.fails = False
    assert await total(feeds) == 2


async def test_a_viewers_feed_of_those_they_follow_is_read_again_after_a_mark(feeds: PersonalFeeds) -> None:
    for seen_id in (1, 1):
        page = await feeds.load(VIEWER, FOLLOWED, 10)
        assert (list(page.video_ids), dict(page.others), page.seen_id) == ([PUBLIC_ID], {}, seen_id)
    feeds.drop(VIEWER.user_id)
    assert [(await feeds.load(VIEWER, FOLLOWED, 10)).seen_id for _ in range(2)] == [2, 2]


async def test_no_page_is_kept_until_the_media_service_knows_of_a_change(media: Media, feeds: PersonalFeeds) -> None:
    feeds.drop_viewer(VIEWER.user_id)
    assert [(await feeds.load(VIEWER, FOLLOWED, 10)).seen_id for _ in range(3)] == [1, 2, 3]
    assert [await total(feeds, OTHER) for _ in range(2)] == [4, 4]
