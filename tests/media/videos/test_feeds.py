"""Lists of videos: their order, their pages while the world moves on, and what they cost."""

import asyncio
import random
from functools import partial

import pytest

from protos.media.v1 import videos_pb2 as pb
from services.kit.cursor import encode_cursor
from tests.support import videos as v
from tests.support.social import act, new_user, new_users, refusal
from tests.support.videos import Videos, all_pages, befriend, block, delete, execute, feed, like, publish

ORDERS = (pb.LATEST, pb.POPULAR, pb.RANDOM)


def ids_of(page: pb.VideoPage) -> list[int]:
    return [video.video_id for video in page.videos]


async def read_all(videos: Videos, viewer: int, order: int, limit: int = 7, role: int = 1) -> list[int]:
    read = partial(feed, videos, viewer, order, role, seed=random.getrandbits(62))
    return [video.video_id for video in await all_pages(read, limit=limit)]


async def test_what_each_viewer_finds(videos: Videos) -> None:
    owner, friend, stranger, blocked = new_users(4)
    await befriend(videos, owner, friend)
    await block(videos, owner, blocked)
    public, friends, private = [(await publish(videos, owner, kind)).video_id for kind in range(3)]
    found = {
        owner: {public, friends, private},
        friend: {public, friends},
        stranger: {public},
        blocked: set(),
        0: {public},
    }
    for order in ORDERS:
        for viewer, expected in found.items():
            assert {*await read_all(videos, viewer, order)} & {public, friends, private} == expected, (order, viewer)
        assert {*await read_all(videos, stranger, order, role=3)} >= {public, friends, private}


async def test_the_order_of_each_list(videos: Videos) -> None:
    owner, *fans = new_users(4)
    first, second, third = [(await publish(videos, owner)).video_id for _ in range(3)]
    for fan in fans:
        await like(videos, fan, second)
    await like(videos, fans[0], first)
    mine = {first, second, third}
    assert [id for id in await read_all(videos, owner, pb.LATEST) if id in mine] == [third, second, first]
    assert [id for id in await read_all(videos, owner, pb.POPULAR) if id in mine] == [second, first, third]


async def test_a_seed_begins_one_order_elsewhere(videos: Videos) -> None:
    owner = new_user()
    for _ in range(12):
        await publish(videos, owner)
    one = ids_of(await feed(videos, owner, pb.RANDOM, seed=5 << 59))
    assert ids_of(await feed(videos, owner, pb.RANDOM, seed=5 << 59)) == one
    other = await read_all(videos, owner, pb.RANDOM)
    assert len(other) == len(set(other))
    start = other.index(one[0])
    assert (other[start:] + other[:start])[: len(one)] == one
    pages = [ids_of(await feed(videos, owner, pb.RANDOM, seed=9, limit=4, offset=n * 4)) for n in range(3)]
    assert [id for page in pages for id in page] == ids_of(await feed(videos, owner, pb.RANDOM, seed=9, limit=12))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(2))
async def test_pages_while_others_post_like_and_delete(videos: Videos, order: int, seed: int) -> None:
    """Whatever was there when the reading began, and still is, comes exactly once."""
    owner, friend, *others = new_users(6)
    await befriend(videos, owner, friend)
    ids = [(await publish(videos, owner, (0, 0, 1, 0)[number % 4])).video_id for number in range(24)]
    chance, gone, cursor = random.Random(seed), set(), ""
    before = set(await read_all(videos, friend, pb.LATEST, 50))
    shown: list[int] = []
    while True:
        page = await feed(videos, friend, order, cursor=cursor, limit=6, seed=chance.getrandbits(62))
        shown += ids_of(page)
        cursor = page.next_cursor
        if not cursor:
            break
        calls = [like(videos, chance.choice(others), chance.choice(ids), chance.random() < 0.7) for _ in range(8)]
        victim = chance.choice(ids)
        calls += [delete(videos, owner, victim)] if victim not in gone else []  # type: ignore[list-item]
        gone.add(victim)
        await asyncio.gather(*calls, publish(videos, chance.choice(others)))
    assert len(shown) == len(set(shown)), "repeated"
    assert before - gone <= set(shown), "missed"


async def test_the_total_is_kept(videos: Videos) -> None:
    owner, other = new_users(2)
    total = (await feed(videos, other)).total
    public, private = (await publish(videos, owner)).video_id, (await publish(videos, owner, pb.PRIVATE)).video_id
    assert ((await feed(videos, other)).total, (await feed(videos, owner)).total) == (total + 1, total + 2)
    await v.change(videos, owner, public, visibility=pb.FRIENDS)
    await v.change(videos, owner, private, visibility=pb.PUBLIC)
    assert ((await feed(videos, other)).total, (await feed(videos, owner)).total) == (total + 1, total + 2)
    await delete(videos, owner, private)
    assert ((await feed(videos, other)).total, (await feed(videos, owner)).total) == (total, total + 1)


async def test_user_videos(videos: Videos) -> None:
    owner, friend, stranger, blocked = new_users(4)
    await befriend(videos, owner, friend)
    await block(videos, blocked, owner)
    ids = [(await publish(videos, owner, kind)).video_id for kind in (0, 1, 2, 0, 1)]
    kinds = {owner: (0, 1, 2), friend: (0, 1), stranger: (0,), blocked: ()}
    for viewer, seen in kinds.items():
        request = pb.ListUserVideosRequest(user_id=owner, limit=50)
        page = await act(viewer, videos.videos.ListUserVideos, request)
        expected = [id for id, kind in zip(ids, (0, 1, 2, 0, 1), strict=True) if kind in seen][::-1]
        assert (ids_of(page), page.total) == (expected, len(expected))
    read = partial(_user_videos, videos, owner)
    assert [video.video_id for video in await all_pages(read, limit=2)] == ids[::-1]


async def _user_videos(videos: Videos, owner: int, cursor: str, limit: int) -> pb.VideoPage:
    request = pb.ListUserVideosRequest(user_id=owner, cursor=cursor, limit=limit)
    page: pb.VideoPage = await act(owner, videos.videos.ListUserVideos, request)
    return page


async def test_liked_videos(videos: Videos) -> None:
    owner, fan = new_users(2)
    ids = [(await publish(videos, owner)).video_id for _ in range(5)]
    for id in ids:
        await like(videos, fan, id)
    await like(videos, fan, ids[1], False)
    await like(videos, fan, ids[0], False)
    await like(videos, fan, ids[0])  # the last one now
    await v.change(videos, owner, ids[3], visibility=pb.PRIVATE)

    async def read(cursor: str, limit: int) -> pb.VideoPage:
        request = pb.ListLikedVideosRequest(cursor=cursor, limit=limit)
        page: pb.VideoPage = await act(fan, videos.videos.ListLikedVideos, request)
        return page

    assert [video.video_id for video in await all_pages(read, limit=1)] == [ids[0], ids[4], ids[2]]

    own = await publish(videos, fan, pb.PRIVATE)
    await like(videos, fan, own.video_id)
    request = pb.ListLikedVideosRequest(limit=10, public_as_ids=True)
    page = await act(fan, videos.videos.ListLikedVideos, request)
    assert [(video.video_id, video.title != "") for video in page.videos] == [
        (own.video_id, True),
        *((id, False) for id in (ids[0], ids[4], ids[2])),
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("学姐", [0]),
        ("学", [0]),
        ("姐学", []),
        ("社团 最喜欢", [0]),
        ("GOLD", [1, 2]),
        ("golden ret", [2]),
        ("ＧＯＬＤ", [1, 2]),
        ("ret'r:*|&!", [2]),
        ("qq", []),
        ("。！", []),
        ("金毛 golden", [2]),
    ],
)
async def test_search(videos: Videos, query: str, found: list[int]) -> None:
    owner = new_user()
    titles = ["社团学姐你最喜欢哪一位", "Gold rush", "Golden Retriever 金毛寻回犬"]
    ids = [(await publish(videos, owner, title=title)).video_id for title in titles]
    await publish(videos, owner, pb.PRIVATE, title="学姐 gold")
    viewer = new_user()
    page = await act(viewer, videos.videos.SearchVideos, pb.SearchVideosRequest(query=query, limit=50))
    assert [id for id in ids_of(page) if id in ids] == [ids[n] for n in found][::-1]
    assert all(video.visibility == pb.PUBLIC for video in page.videos)


async def test_forged_cursors(videos: Videos) -> None:
    for order, bad in (
        (pb.LATEST, encode_cursor("x")),
        (pb.RANDOM, encode_cursor(1, 2)),
        (pb.POPULAR, encode_cursor(1)),
    ):
        assert await refusal(feed(videos, new_user(), order, cursor=bad)) == "CURSOR_INVALID"
    for order in ORDERS:
        assert await refusal(feed(videos, new_user(), order, cursor=encode_cursor(-1, -1, -1))) == "CURSOR_INVALID"


async def test_no_list_reads_a_whole_table(videos: Videos) -> None:
    """Each statement that the lists, comments and likes make, on tables of some size, reads by index."""
    owner, viewer, friend = new_users(3)
    await befriend(videos, viewer, owner)
    await v.grow(videos, owner)
    (video,) = await execute(videos, "SELECT id FROM video WHERE owner_id = :o AND visibility = 0 LIMIT 1", o=owner)
    top = (await v.comment(videos, owner, video.id)).comment_id
    async with v.explaining(videos) as plans:
        for order in ORDERS:
            page = await feed(videos, viewer, order, limit=10, seed=7)
            await feed(videos, viewer, order, limit=10, cursor=page.next_cursor)
            await feed(videos, 0, order, limit=10)
            await feed(videos, friend, order, limit=10, role=3, offset=500)
        await act(viewer, videos.videos.ListUserVideos, pb.ListUserVideosRequest(user_id=owner, limit=10))
        await like(videos, viewer, video.id)
        await act(viewer, videos.videos.ListLikedVideos, pb.ListLikedVideosRequest(limit=10))
        await act(viewer, videos.videos.SearchVideos, pb.SearchVideosRequest(query="寻回", limit=10))
        await v.comments_of(videos, viewer, video.id)
        await v.comments_of(videos, viewer, video.id, order=1)
        await v.reply(videos, viewer, top)
        await v.thread_of(videos, viewer, top)
        await v.thread_of(videos, viewer, top, order=1)
        await v.like_comment(videos, viewer, top)
        await v.uncomment(videos, owner, top)
        await videos.videos.BatchGetAudiences(pb.BatchGetAudiencesRequest(user_ids=[viewer, owner]))
    assert len(plans) > 60
    tables = ("video", "comment", "standing")
    scans = [each for each in plans if any(f"Seq Scan on {table}" in each[1] for table in tables)]
    assert not scans, "\n".join(scans[0])
