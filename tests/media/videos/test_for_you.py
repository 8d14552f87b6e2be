"""The feed made for a viewer: what it learns from, whose videos it never has, and what users set of it.

Each test has an instance of its own few videos: the service has a database of this file's, which is emptied.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from protos.media.v1 import for_you_pb2, saves_pb2
from protos.media.v1 import videos_pb2 as pb
from services.media.videos import account_erasure
from services.media.videos.for_you import mixing, pool, ranked_lists, settings, watches
from services.media.videos.for_you.near_videos import NearVideoKeeper
from services.media.videos.for_you.scoring import Rated
from tests.support.media import media_settings
from tests.support.servers import Servers
from tests.support.social import act, new_user, new_users, refusal
from tests.support.videos import (
    Videos,
    all_pages,
    befriend,
    block,
    change,
    comment,
    delete,
    execute,
    like,
    publish,
    running_videos,
    social_event,
    view,
)


@pytest.fixture(scope="module")
async def instance(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Videos]:
    of_this_file = media_settings(servers.create_database("for_you"), servers, tmp_path_factory.mktemp("for_you"))
    async with running_videos(of_this_file) as running:
        yield running


@pytest.fixture
async def few(instance: Videos, monkeypatch: pytest.MonkeyPatch) -> Videos:
    """A media service without a video, which reads its pool at each request."""
    monkeypatch.setattr(pool, "SECONDS", 0.0)
    await execute(instance, "TRUNCATE video, comment, video_like, near_videos, watched_video, standing CASCADE")
    return instance


async def page_of(videos: Videos, user: int, cursor: str = "", limit: int = 50) -> pb.VideoPage:
    request = for_you_pb2.ListForYouRequest(cursor=cursor, limit=limit)
    page: pb.VideoPage = await (
        act(user, videos.for_you.ListForYou, request) if user else videos.for_you.ListForYou(request)
    )
    assert len(page.whys) == len(page.videos)
    return page


async def feed_of(videos: Videos, user: int, limit: int = 50) -> list[int]:
    async def read(cursor: str) -> pb.VideoPage:
        return await page_of(videos, user, cursor, limit)

    return [video.video_id for video in await all_pages(read)]


async def whys_of(videos: Videos, user: int) -> dict[int, int]:
    page = await page_of(videos, user)
    return dict(zip((video.video_id for video in page.videos), page.whys, strict=True))


async def publish_each(videos: Videos, owners: Sequence[int], **fields: Any) -> list[int]:
    return [(await publish(videos, owner, **fields)).video_id for owner in owners]


async def keep_out(videos: Videos, user: int, undone: bool = False, **subject: int | str) -> None:
    request = for_you_pb2.SetNotInterestedRequest(**subject, undone=undone)  # type: ignore[arg-type]
    await act(user, videos.for_you.SetNotInterested, request)


async def explain(videos: Videos, user: int, video_id: int) -> for_you_pb2.Explanation:
    found: for_you_pb2.Explanation = await act(
        user, videos.for_you.ExplainVideo, for_you_pb2.ExplainVideoRequest(video_id=video_id)
    )
    return found


@pytest.mark.parametrize("limit", [1, 7, 50])
async def test_an_instance_of_twenty_videos_is_shown_whole_and_once(few: Videos, limit: int) -> None:
    ids = await publish_each(few, new_users(5) * 4)
    for viewer in (0, new_user()):
        assert sorted(await feed_of(few, viewer, limit)) == ids


async def test_pages_neither_repeat_nor_lose_while_scores_change(few: Videos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.media.videos.for_you.feed.LENGTH", 9)  # so that lists follow each other
    owners, viewer = new_users(6), new_user()
    ids = await publish_each(few, owners * 5)
    found, cursor = [], ""
    while True:
        page = await page_of(few, viewer, cursor, 4)
        found += [video.video_id for video in page.videos]
        cursor = page.next_cursor
        await like(few, new_user(), ids[len(found) // 2])
        await publish(few, owners[0])
        if len(set(found)) >= len(ids):
            break
        assert cursor
    assert len(found) == len(set(found))


async def test_what_was_watched_does_not_come_again(few: Videos) -> None:
    owner, viewer = new_users(2)
    ids = await publish_each(few, [owner] * 4)
    first = await page_of(few, viewer, limit=1)
    left = [id for id in ids if id != first.videos[0].video_id]
    await view(few, viewer, ids[0], 5)
    await view(few, viewer, ids[1], 0.3)  # skipped, but seen
    assert sorted(await feed_of(few, viewer)) == ids[2:]
    later = await page_of(few, viewer, first.next_cursor)  # of a list that was made before
    assert {video.video_id for video in later.videos} <= set(left) - {ids[0], ids[1]}


async def test_the_newest_watches_are_kept(few: Videos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "MAX_WATCHED", 3)
    monkeypatch.setattr(watches, "CUT_EACH", 1)
    viewer = new_user()
    ids = await publish_each(few, [new_user()] * 6)
    for id in ids:
        await view(few, viewer, id, 5)
    assert await feed_of(few, viewer) == ids[2::-1]


async def test_only_public_videos_that_one_may_see(few: Videos) -> None:
    viewer, owner, friend, blocker, blocked = new_users(5)
    await befriend(few, viewer, friend)
    shown, hidden = await publish_each(few, [owner, owner])
    await publish(few, friend, pb.FRIENDS)
    await publish(few, owner, pb.PRIVATE)
    await publish(few, viewer)
    await publish_each(few, [blocker, blocked])
    await block(few, blocker, viewer)
    await block(few, viewer, blocked)
    cursor = (await page_of(few, viewer, limit=1)).next_cursor
    assert sorted(await feed_of(few, viewer)) == [shown, hidden]
    await change(few, owner, hidden, visibility=pb.PRIVATE)
    assert hidden not in {video.video_id for video in (await page_of(few, viewer, cursor)).videos}
    await delete(few, owner, shown)
    assert await feed_of(few, viewer) == []
    assert await refusal(explain(few, viewer, hidden)) == "VIDEO_NOT_FOUND"


async def test_what_similar_viewers_like_comes_first_and_says_why(few: Videos) -> None:
    owners, viewer, others = new_users(30), new_user(), new_users(6)
    ids = await publish_each(few, owners)
    mine, theirs = ids[3], ids[4]
    for user in others:
        await like(few, user, mine)
        await like(few, user, theirs)
        await like(few, user, ids[9 if user % 2 else 10])
    await like(few, viewer, mine)
    await view(few, viewer, mine, 5)
    assert await NearVideoKeeper().renew(few.service.database) == 4
    assert (await feed_of(few, viewer))[0] == theirs
    assert (await whys_of(few, viewer))[theirs] == pb.WHY_NEAR
    found = await explain(few, viewer, theirs)
    assert (found.why, found.liked_video_id, found.seen) == (pb.WHY_NEAR, mine, False)
    parts = sum(part.value * part.weight for part in found.parts)
    assert found.score == pytest.approx(parts * found.fatigue)
    assert (await explain(few, viewer, mine)).seen
    assert await NearVideoKeeper().renew(few.service.database) == 0  # nothing has grown


async def test_tags_authors_and_follows_say_why(few: Videos) -> None:
    viewer, followed, author = new_users(3)
    await publish_each(few, new_users(12))
    first, by_author = await publish_each(few, [author, author])
    by_followed = (await publish(few, followed)).video_id
    liked, tagged = await publish_each(few, new_users(2), title="a #bird")
    await social_event(few, "follow.started", viewer, followed)
    for id in (first, liked):
        await like(few, viewer, id)
        await view(few, viewer, id, 5)
    whys = await whys_of(few, viewer)
    assert (whys[by_author], whys[by_followed], whys[tagged]) == (pb.WHY_AUTHOR, pb.WHY_FOLLOWED, pb.WHY_TAG)
    assert (await explain(few, viewer, tagged)).tag == "bird"
    assert set((await feed_of(few, viewer))[:3]) == {by_author, by_followed, tagged}


@pytest.mark.parametrize("act_of", ["comment", "share", "save", "whole"])
async def test_each_signal_brings_more_of_the_tag(few: Videos, act_of: str) -> None:
    viewer = new_user()
    liked, tagged = await publish_each(few, new_users(2), title="a #bird")
    await publish_each(few, new_users(9))
    match act_of:
        case "comment":
            await comment(few, viewer, liked)
        case "share":
            await act(viewer, few.videos.ShareVideo, pb.ShareVideoRequest(video_id=liked))
        case "save":
            await act(viewer, few.saves.SaveVideo, saves_pb2.SaveVideoRequest(video_id=liked))
        case _:
            await view(few, viewer, liked, 60)
    assert (await whys_of(few, viewer))[tagged] == pb.WHY_TAG
    assert "tags" in {part.name for part in (await explain(few, viewer, tagged)).parts if part.value > 0}


async def test_skipping_counts_against_tags_and_authors(few: Videos) -> None:
    viewer, author = new_users(2)
    skipped, others = await publish_each(few, [author] * 2, title="#cars"), await publish_each(few, new_users(4))
    await view(few, viewer, skipped[0], 0.5)
    parts = {part.name: part.value for part in (await explain(few, viewer, skipped[1])).parts}
    assert parts["tags"] < 0 and parts["author"] < 0
    assert (await explain(few, viewer, skipped[1])).fatigue < 1
    assert (await feed_of(few, viewer))[-1] == skipped[1]
    assert len(others) == 4


async def test_not_interested_takes_videos_authors_and_tags_out_also_of_a_list_that_is_read(few: Videos) -> None:
    viewer, author = new_users(2)
    video, *rest = await publish_each(few, new_users(4))
    by_author = (await publish(few, author)).video_id
    tagged = (await publish(few, new_user(), title="＃Cars")).video_id
    before = await page_of(few, viewer, limit=1)
    for _ in range(2):
        await keep_out(few, viewer, video_id=video)
        await keep_out(few, viewer, owner_id=author)
        await keep_out(few, viewer, tag="#CARS")
    later = {each.video_id for each in (await page_of(few, viewer, before.next_cursor)).videos}
    assert later.isdisjoint({video, by_author, tagged})
    assert sorted(await feed_of(few, viewer)) == rest
    assert (await explain(few, viewer, tagged)).kept_out
    listed = await act(viewer, few.for_you.ListNotInterested, for_you_pb2.ListNotInterestedRequest(limit=2))
    assert [(each.tag, each.owner_id) for each in listed.items] == [("cars", 0), ("", author)]
    await keep_out(few, viewer, undone=True, tag="cars")
    assert sorted(await feed_of(few, viewer)) == [*rest, tagged]
    assert await refusal(keep_out(few, viewer, tag="no tag")) == "VIDEO_INVALID"
    assert await refusal(keep_out(few, viewer, video_id=1)) == "VIDEO_NOT_FOUND"


async def test_the_oldest_of_what_is_kept_out_makes_room(few: Videos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_KEPT_OUT", 2)
    viewer = new_user()
    for tag in ("a", "b", "c"):
        await keep_out(few, viewer, tag=tag)
    listed = await act(viewer, few.for_you.ListNotInterested, for_you_pb2.ListNotInterestedRequest(limit=9))
    assert [each.tag for each in listed.items] == ["c", "b"]


async def test_who_wants_the_order_of_time_gets_it_and_leaves_no_trace(few: Videos) -> None:
    viewer = new_user()
    ids = await publish_each(few, new_users(5))
    on = for_you_pb2.ForYouSettings(chronological=True)
    assert (await act(viewer, few.for_you.SetForYouSettings, on)).chronological
    await view(few, viewer, ids[0], 5)
    assert await feed_of(few, viewer, 2) == ids[::-1]
    assert set((await whys_of(few, viewer)).values()) == {pb.WHY_LATEST}
    assert not await execute(few, "SELECT FROM watched_video")
    assert (await act(viewer, few.for_you.GetForYouSettings, for_you_pb2.GetForYouSettingsRequest())).chronological
    await act(viewer, few.for_you.SetForYouSettings, for_you_pb2.ForYouSettings())
    assert pb.WHY_LATEST not in (await whys_of(few, viewer)).values()


async def test_a_reset_forgets_what_was_watched_liked_and_kept_out(few: Videos) -> None:
    viewer, author = new_users(2)
    ids = await publish_each(few, [author] * 4, title="#bird")
    await like(few, viewer, ids[0])
    await view(few, viewer, ids[0], 5)
    await keep_out(few, viewer, video_id=ids[1])
    await act(viewer, few.for_you.ResetForYou, for_you_pb2.ResetForYouRequest())
    assert sorted(await feed_of(few, viewer)) == ids
    assert set((await whys_of(few, viewer)).values()) <= {pb.WHY_FRESH, pb.WHY_POPULAR}
    assert await execute(few, "SELECT FROM video_like WHERE user_id = :id", id=viewer)  # the like itself stays


async def test_an_erased_account_leaves_nothing(few: Videos) -> None:
    leaver, owner = new_users(2)
    ids = await publish_each(few, [owner] * 2)
    await view(few, leaver, ids[0], 5)
    await keep_out(few, leaver, tag="cars")
    await act(leaver, few.for_you.SetForYouSettings, for_you_pb2.ForYouSettings())
    async with few.service.database.transaction() as connection:
        await account_erasure.schedule(connection, leaver)
    while await account_erasure.erase_batch(few.service):
        pass
    for table in ("watched_video", "not_interested", "for_you_setting"):
        assert not await execute(few, f"SELECT FROM {table} WHERE user_id = :id", id=leaver)


async def test_near_videos_go_with_their_video(few: Videos) -> None:
    owner = new_user()
    ids = await publish_each(few, [owner] * 2)
    for user in new_users(3):
        for id in ids:
            await like(few, user, id)
    keeper = NearVideoKeeper()
    assert await keeper.renew(few.service.database) == 2
    await delete(few, owner, ids[0])
    await keeper.renew(few.service.database)
    assert [row.video_id for row in await execute(few, "SELECT video_id FROM near_videos")] == [ids[1]]


@pytest.mark.parametrize("cursor", ["WyJub3QgYmFzZSA4NSJd", "WyIwMDAwMCJd", "nonsense", "WyIiXQ"])
async def test_a_forged_cursor_is_refused(few: Videos, cursor: str) -> None:
    assert await refusal(page_of(few, new_user(), cursor)) == "CURSOR_INVALID"


def test_a_cursor_stays_short() -> None:
    left = [ranked_lists.Left(2**62 + n, 3) for n in range(ranked_lists.LENGTH)]
    full = ranked_lists.RankedList(left, range(2**62, 2**62 + 500))
    assert len(full.pack()) < 3_000


def test_authors_are_mixed() -> None:
    """While there are others: three videos lie between two of one author, and each has its share."""
    rated = [Rated(n, n % 5, 9.0 - n / 100 if n % 5 == 0 else 1.0, pb.WHY_NEAR, False) for n in range(50)]
    owners = [each.owner_id for each in mixing.mix(rated, 40)]
    assert all(owner not in owners[max(place - 3, 0) : place] for place, owner in enumerate(owners))
    assert max(Counter(owners).values()) <= 10
    assert [each.id for each in mixing.mix(rated[::5], 40)] == list(range(0, 50, 5))  # one author alone
