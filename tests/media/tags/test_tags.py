"""Tags of videos: whose videos a tag's page has, what is counted, what trends, and what is suggested."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from protos.media.v1 import tags_pb2 as tags_pb
from protos.media.v1 import videos_pb2 as pb
from protos.media.v1.tags_pb2_grpc import TagsStub
from services.kit.nats import Event
from services.kit.rpc.channel import open_channel
from services.media.maintenance.search_words import renew_words
from services.media.servicers import PROTOS
from services.media.tags import trending
from services.media.videos import account_erasure, moderation
from services.media.videos.texts.texts import TEXTS_VERSION
from tests.support.social import act, new_user, new_users, refusal
from tests.support.videos import (
    Videos,
    a_file,
    all_pages,
    befriend,
    block,
    change,
    delete,
    end_processing,
    execute,
    publish,
)

TODAY = datetime.now(UTC).date


def new_tag() -> str:
    return f"t{new_user()}"


async def ask(videos: Videos, user: int, rpc: str, request: object) -> object:
    async with open_channel(videos.target, videos.settings, PROTOS) as channel:
        return await act(user, getattr(TagsStub(channel), rpc), request)


async def page_of(
    videos: Videos, user: int, tag: str, limit: int = 50, cursor: str = "", **more: object
) -> pb.VideoPage:
    request = tags_pb.ListTagVideosRequest(name=tag, limit=limit, cursor=cursor, **more)  # type: ignore[arg-type]
    page = await ask(videos, user, "ListTagVideos", request)
    assert isinstance(page, pb.VideoPage)
    return page


async def videos_of(videos: Videos, user: int, tag: str, limit: int = 50) -> list[int]:
    async def read(cursor: str) -> pb.VideoPage:
        return await page_of(videos, user, tag, limit, cursor)

    return [video.video_id for video in await all_pages(read)]


async def counted(videos: Videos, tag: str) -> tuple[int, int]:
    """The public videos, and today's authors."""
    of_all = await execute(videos, "SELECT video_count FROM tag WHERE name = :name", name=tag)
    of_day = await execute(
        videos, "SELECT authors FROM tag_day WHERE name = :name AND day = :day", name=tag, day=TODAY()
    )
    return of_all[0].video_count if of_all else 0, of_day[0].authors if of_day else 0


async def test_the_newest_come_first_by_any_spelling(videos: Videos) -> None:
    owner, other, viewer, tag = *new_users(3), new_tag()
    made = [(await publish(videos, owner, title=f"a #{tag} b")).video_id for _ in range(3)]
    made.append((await publish(videos, other, description=f"#{tag.upper()} #{tag}")).video_id)
    await publish(videos, owner, title=tag)
    for name in (tag, f"#{tag}", tag.upper(), f"＃{tag}"):
        assert await videos_of(videos, viewer, name) == made[::-1]
    for limit in (1, 3):
        assert await videos_of(videos, viewer, tag, limit) == made[::-1]
    page = await page_of(videos, viewer, tag, 2, offset=1, public_as_ids=True)
    assert [(video.video_id, video.owner_id) for video in page.videos] == [(made[2], 0), (made[1], 0)]
    assert page.total == 4 and await counted(videos, tag) == (4, 2)
    assert await videos_of(videos, viewer, "no tag") == [] == await videos_of(videos, viewer, f"{tag}x")
    assert await refusal(page_of(videos, viewer, tag, cursor="x")) == "CURSOR_INVALID"


async def test_only_what_one_may_see(videos: Videos) -> None:
    owner, friend, stranger, blocked = new_users(4)
    tag = new_tag()
    await befriend(videos, owner, friend)
    await block(videos, owner, blocked)
    kinds = (pb.PUBLIC, pb.FRIENDS, pb.PRIVATE)
    public, for_friends, private = [
        (await publish(videos, owner, kind, description=f"#{tag}")).video_id for kind in kinds
    ]
    assert await videos_of(videos, owner, tag) == [private, for_friends, public]
    assert await videos_of(videos, friend, tag) == [for_friends, public]
    assert await videos_of(videos, stranger, tag) == [public] == await videos_of(videos, 0, tag)
    assert await videos_of(videos, blocked, tag) == []
    page = await page_of(videos, friend, tag, public_as_ids=True)
    assert [video.owner_id for video in page.videos] == [owner, 0]
    assert await counted(videos, tag) == (1, 1)
    await block(videos, friend, owner)
    assert await videos_of(videos, friend, tag) == []


async def test_tags_follow_the_text_and_the_visibility(videos: Videos) -> None:
    owner, viewer, old, new = *new_users(2), new_tag(), new_tag()
    video_id = (await publish(videos, owner, title=f"#{old}")).video_id
    await change(videos, owner, video_id, description=f"#{old} #{new}")
    assert await counted(videos, new) == (1, 1)
    await change(videos, owner, video_id, title="none", description=f"#{new}")
    assert [await videos_of(videos, viewer, tag) for tag in (old, new)] == [[], [video_id]]
    assert await counted(videos, old) == (0, 0)
    await change(videos, owner, video_id, visibility=pb.PRIVATE)
    assert await videos_of(videos, viewer, new) == [] and await videos_of(videos, owner, new) == [video_id]
    assert await counted(videos, new) == (0, 0)
    await change(videos, owner, video_id, visibility=pb.PUBLIC)
    assert await counted(videos, new) == (1, 1)
    await delete(videos, owner, video_id)
    assert await videos_of(videos, owner, new) == [] and await counted(videos, new) == (0, 0)
    assert not await execute(videos, "SELECT FROM video_tag WHERE video_id = :id", id=video_id)


async def test_a_video_that_is_processed_comes_when_it_is_published(videos: Videos) -> None:
    owner, viewer, tag = *new_users(2), new_tag()
    file = await a_file(videos, owner, state=1)
    await publish(videos, owner, title=f"#{tag}", video_url=file)
    assert await videos_of(videos, viewer, tag) == [] and await counted(videos, tag) == (0, 0)
    await end_processing(videos, file)
    assert len(await videos_of(videos, viewer, tag)) == 1 and await counted(videos, tag) == (1, 1)


async def test_what_a_moderator_hides_leaves_the_page_until_it_is_restored(videos: Videos) -> None:
    owner, viewer, tag = *new_users(2), new_tag()
    video_id = (await publish(videos, owner, title=f"#{tag}")).video_id
    for number, (verb, shown) in enumerate((("hidden", []), ("restored", [video_id]), ("removed", []))):
        data = {"kind": "video", "subject_id": str(video_id)}
        event = Event(2**60 + number, f"events.user.moderation.{verb}", "", "", data)
        async with videos.service.database.transaction() as connection:
            await moderation.apply_event(connection, event)
        assert await videos_of(videos, viewer, tag) == shown == await videos_of(videos, owner, tag)
        assert await counted(videos, tag) == (len(shown), len(shown))


async def test_an_erased_account_leaves_no_tags(videos: Videos) -> None:
    owner, tag = new_user(), new_tag()
    await publish(videos, owner, title=f"#{tag}")
    await publish(videos, owner, pb.PRIVATE, title=f"#{tag}")
    async with videos.service.database.transaction() as connection:
        await account_erasure.schedule(connection, owner)
    while await account_erasure.erase_batch(videos.service):
        pass
    for table in ("video_tag", "tag", "tag_day"):
        assert not await execute(videos, f"SELECT FROM {table} WHERE name = :name", name=tag)
    assert not await execute(videos, "SELECT FROM video WHERE owner_id = :id AND tags <> '{}'", id=owner)


async def test_fifty_changes_at_the_same_moment_are_counted_right(videos: Videos) -> None:
    owners, tags = new_users(5), [new_tag(), new_tag()]
    made = await asyncio.gather(
        *(
            publish(videos, owners[n % 5], title=" ".join(f"#{tag}" for tag in tags[:: 1 if n % 2 else -1]))
            for n in range(25)
        )
    )
    assert [await counted(videos, tag) for tag in tags] == [(25, 5)] * 2
    changes = [
        delete(videos, owners[n % 5], video.video_id)
        if n % 3 == 0
        else change(videos, owners[n % 5], video.video_id, title=f"#{tags[n % 2]}")
        for n, video in enumerate(made)
    ]
    await asyncio.gather(*changes, *(publish(videos, owner, title=f"#{tags[0]}") for owner in owners * 5))
    shown = [await counted(videos, tag) for tag in tags]
    assert shown[0][0] == 25 + sum(n % 3 != 0 and n % 2 == 0 for n in range(25))
    assert shown[1][0] == sum(n % 3 != 0 and n % 2 == 1 for n in range(25))


@pytest.fixture
async def days(videos: Videos) -> date:
    """A day in the far future, of which no other test has tags."""
    return date(2999, 1, 1) + timedelta(days=20 * (new_user() % 10_000))


async def use(videos: Videos, day: date, tag: str, *authors: int) -> None:
    """Public videos of that day with the tag."""
    for author in authors:
        video_id = (await publish(videos, author, title=f"#{tag}")).video_id
        await execute(videos, "UPDATE video_tag SET day = :day WHERE video_id = :id", day=day, id=video_id)
        await execute(
            videos,
            """INSERT INTO tag_day (name, day, authors) VALUES (:name, :day, 1)
             ON CONFLICT (name, day) DO UPDATE SET authors = (SELECT count(DISTINCT owner_id) FROM video_tag
             WHERE name = :name AND day = :day)""",
            name=tag,
            day=day,
        )
        await execute(
            videos,
            """UPDATE tag_day d SET authors = (SELECT count(DISTINCT owner_id) FROM video_tag t
             WHERE t.name = d.name AND t.day = d.day) WHERE name = :name""",
            name=tag,
        )


async def trends(videos: Videos, today: date, limit: int = 50) -> list[str]:
    async with videos.service.database.reading() as connection:
        return [tag.name for tag in await trending.list_trending(connection, today, limit)]


async def test_tags_of_more_authors_trend_and_those_of_one_who_repeats_it_do_not(videos: Videos, days: date) -> None:
    spam, liked, old = new_tag(), new_tag(), new_tag()
    await use(videos, days, spam, *[new_user()] * 5)
    await use(videos, days, liked, *new_users(2))
    await use(videos, days - timedelta(days=2), old, *new_users(3))
    assert await trends(videos, days) == [liked, spam, old]  # 2, 1 and 3 / 4
    assert await trends(videos, days, 1) == [liked]
    assert await trends(videos, days + timedelta(days=5)) == [liked, spam]


async def test_counts_of_old_days_are_deleted(videos: Videos) -> None:
    tag = new_tag()
    for day in (1, 2):
        await execute(videos, "INSERT INTO tag_day (name, day) VALUES (:name, :day)", name=tag, day=date(1990, 1, day))
    async with videos.service.database.transaction() as connection:
        await trending.prune(connection, date(1990, 1, 2 + trending.KEPT_DAYS))
    rows = await execute(videos, "SELECT day FROM tag_day WHERE name = :name", name=tag)
    assert [row.day for row in rows] == [date(1990, 1, 2)]


async def test_tags_are_suggested_by_their_beginning(videos: Videos) -> None:
    stem, viewer = new_tag(), new_user()
    await publish(videos, viewer, title=f"#{stem}_b")
    for _ in range(2):
        await publish(videos, viewer, title=f"#{stem}_a")
    await publish(videos, viewer, pb.PRIVATE, title=f"#{stem}_secret")

    async def suggested(typed: str, limit: int = 10) -> list[tuple[str, int]]:
        found = await ask(videos, viewer, "SuggestTags", tags_pb.SuggestTagsRequest(typed=typed, limit=limit))
        assert isinstance(found, tags_pb.TagList)
        return [(tag.name, tag.video_count) for tag in found.tags]

    for typed in (stem, f"#{stem.upper()}", f"{stem}_"):
        assert await suggested(typed) == [(f"{stem}_a", 2), (f"{stem}_b", 1)]
    assert await suggested(stem, 1) == [(f"{stem}_a", 2)]
    assert await suggested(f"{stem}%") == [] == await suggested(f"{stem} x") == await suggested(f"{stem}__")
    assert await suggested("#")  # the most popular ones


async def test_older_videos_get_their_tags_by_themselves(videos: Videos) -> None:
    owner, tag = new_user(), new_tag()
    video_id = (await publish(videos, owner, title="x")).video_id
    await execute(
        videos, "UPDATE video SET title = :title, words_version = 1 WHERE id = :id", title=f"#{tag}", id=video_id
    )
    while await renew_words(videos.service.database):
        pass
    assert await videos_of(videos, owner, tag) == [video_id] and await counted(videos, tag) == (1, 1)
    (row,) = await execute(videos, "SELECT words_version FROM video WHERE id = :id", id=video_id)
    assert row.words_version == TEXTS_VERSION
