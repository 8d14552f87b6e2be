"""Comments, replies and their threads; what they count is what is there."""

import asyncio
import json
import random
import re
from collections.abc import Awaitable

import pytest

from protos.media.v1 import comments_pb2 as pb
from protos.media.v1.videos_pb2 import PRIVATE
from services.kit.cursor import encode_cursor
from tests.support import videos as v
from tests.support.plans import watching
from tests.support.social import act, new_user, new_users, refusal
from tests.support.videos import Videos, comment, comments_of, get_comment, publish, reply, thread_of, uncomment


async def count(videos: Videos, video_id: int) -> int:
    video = await v.get(videos, new_user(), video_id)
    assert video
    return video.comment_count


async def new_video(videos: Videos, owner: int) -> int:
    return (await publish(videos, owner)).video_id


async def test_a_thread_is_one_level_deep(videos: Videos) -> None:
    owner, author, other = new_users(3)
    video = await new_video(videos, owner)
    top = await comment(videos, author, video)
    first = await reply(videos, owner, top.comment_id)
    second = await reply(videos, other, first.comment_id)
    assert (top.father_id, top.reply_to_id, top.owner_id) == (top.comment_id, 0, owner)
    assert (first.father_id, first.reply_to_id, first.owner_id) == (top.comment_id, top.comment_id, author)
    assert (second.father_id, second.reply_to_id, second.owner_id) == (top.comment_id, first.comment_id, owner)
    assert {c.video_id for c in (top, first, second)} == {video}
    assert (await get_comment(videos, other, top.comment_id)).reply_count == 2
    assert await count(videos, video) == 3
    thread = await thread_of(videos, other, top.comment_id)
    assert [c.comment_id for c in thread.comments] == [second.comment_id, first.comment_id, top.comment_id]
    alone = await thread_of(videos, other, first.comment_id)
    assert [c.comment_id for c in alone.comments] == [first.comment_id]
    assert [c.comment_id for c in (await comments_of(videos, other, video)).comments] == [top.comment_id]


@pytest.mark.parametrize(
    "content",
    [
        "很棒",
        {"z": 1, "a": [1, None, 1.5, True]},
        None,
        0,
        "",
        [],
        "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    ],
)
async def test_content_comes_back_as_it_was_sent(videos: Videos, content: object) -> None:
    user = new_user()
    sent = json.dumps(content, ensure_ascii=False).encode()
    written = await comment(videos, user, await new_video(videos, user), sent)
    assert (await get_comment(videos, user, written.comment_id)).content == sent


@pytest.mark.parametrize("content", [b"", b"{", b'"' + b"x" * 8191 + b'"', b"nul", b'"\xff"', b"[" * 5000])
async def test_content_that_is_refused(videos: Videos, content: bytes) -> None:
    user = new_user()
    video = await new_video(videos, user)
    assert await refusal(comment(videos, user, video, content)) == "COMMENT_INVALID"
    top = await comment(videos, user, video)
    assert await refusal(reply(videos, user, top.comment_id, content)) == "COMMENT_INVALID"
    assert await count(videos, video) == 1


async def test_a_deleted_thread_leaves_all_counts(videos: Videos) -> None:
    owner, author, other = new_users(3)
    video = await new_video(videos, owner)
    kept, gone = [await comment(videos, author, video) for _ in range(2)]
    answers = [await reply(videos, other, gone.comment_id) for _ in range(3)]
    await uncomment(videos, other, answers[0].comment_id)
    assert await count(videos, video) == 4
    assert (await get_comment(videos, author, gone.comment_id)).reply_count == 2
    await uncomment(videos, author, gone.comment_id)
    assert await count(videos, video) == 1
    for lost in (gone, *answers):
        assert await refusal(get_comment(videos, author, lost.comment_id)) == "COMMENT_NOT_FOUND"
        assert await refusal(reply(videos, author, lost.comment_id)) == "COMMENT_NOT_FOUND"
        assert await refusal(uncomment(videos, owner, lost.comment_id)) == "COMMENT_NOT_FOUND"
    assert [c.comment_id for c in (await comments_of(videos, other, video)).comments] == [kept.comment_id]


async def test_who_may_delete(videos: Videos) -> None:
    owner, author, other = new_users(3)
    video = await new_video(videos, owner)
    for user, role, reason in ((other, 1, "NOT_PERMITTED"), (other, 3, ""), (author, 1, ""), (owner, 1, "")):
        written = await comment(videos, author, video)
        assert await refusal(uncomment(videos, user, written.comment_id, role)) == reason, (user, role)


async def test_everything_at_once(videos: Videos) -> None:
    """Comments, replies, likes and deletions of both; the fixture compares counters and rows."""
    owner, *users = new_users(12)
    video = await new_video(videos, owner)
    tops = [(await comment(videos, owner, video)).comment_id for _ in range(6)]
    replies = [(await reply(videos, owner, top)).comment_id for top in tops for _ in range(4)]
    chance = random.Random(3)
    calls: list[Awaitable[object]] = [comment(videos, chance.choice(users), video) for _ in range(20)]
    calls += [reply(videos, chance.choice(users), chance.choice(tops + replies)) for _ in range(40)]
    calls += [uncomment(videos, owner, id) for id in tops[:2] + replies[::3] for _ in range(2)]
    calls += [v.like_comment(videos, user, id) for user in users for id in chance.sample(tops + replies, 3)]
    chance.shuffle(calls)
    outcome = await asyncio.gather(*map(refusal, calls))
    assert set(outcome) <= {"", "COMMENT_NOT_FOUND"}
    (left,) = await v.execute(
        videos,
        "SELECT count(*) FROM comment c JOIN comment f ON f.id = c.father_id"
        " WHERE c.video_id = :video AND c.deleted_at IS NULL AND f.deleted_at IS NULL",
        video=video,
    )
    assert await count(videos, video) == left.count


@pytest.mark.parametrize("order", [pb.NEWEST, pb.MOST_LIKED])
@pytest.mark.parametrize("in_thread", [False, True])
async def test_pages_while_others_write_like_and_delete(videos: Videos, order: int, in_thread: bool) -> None:
    """What was there before and was not deleted comes exactly once."""
    owner, *users = new_users(8)
    video = await new_video(videos, owner)
    top = (await comment(videos, owner, video)).comment_id
    parent, write = (top, reply) if in_thread else (video, comment)
    ids = [(await write(videos, users[n % 7], parent)).comment_id for n in range(30)] + [top]
    chance, shown, cursor, gone = random.Random(order), [], "", set()
    while True:
        read = thread_of if in_thread else comments_of
        page = await read(videos, owner, parent, order=order, cursor=cursor, limit=4)
        shown += [c.comment_id for c in page.comments]
        cursor = page.next_cursor
        if not cursor:
            break
        await write(videos, chance.choice(users), parent)
        victim = chance.choice(ids[:-1])
        if victim not in gone:
            gone.add(victim)
            await uncomment(videos, owner, victim)
        for id in chance.sample(ids, 6):
            await v.like_comment(videos, chance.choice(users), id, chance.random() < 0.7)
    assert len(shown) == len(set(shown))
    assert set(ids) - gone <= set(shown)


async def test_before_id_and_page(videos: Videos) -> None:
    owner = new_user()
    video = await new_video(videos, owner)
    ids = [(await comment(videos, owner, video)).comment_id for _ in range(7)][::-1]
    assert [c.comment_id for c in (await comments_of(videos, owner, video, before_id=ids[2])).comments] == ids[3:]
    assert [c.comment_id for c in (await comments_of(videos, owner, video, limit=3, offset=3)).comments] == ids[3:6]
    for number, id in enumerate(ids):
        if number % 2:
            await v.like_comment(videos, owner, id)
    popular = ids[1::2] + ids[0::2]
    found = await comments_of(videos, owner, video, order=pb.MOST_LIKED)
    assert [c.comment_id for c in found.comments] == popular
    found = await comments_of(videos, owner, video, order=pb.MOST_LIKED, before_id=popular[2])
    assert [c.comment_id for c in found.comments] == popular[3:]


async def test_a_forged_cursor(videos: Videos) -> None:
    owner = new_user()
    video = await new_video(videos, owner)
    for order in (pb.NEWEST, pb.MOST_LIKED):
        for cursor in (
            "x",
            "WzFd" * 3,
            "W10",
            "WzEsMiwzXQ",
            "Wy0xXQ",
            encode_cursor("", 1e300, 1),
            encode_cursor("é", 1, 1),
        ):
            assert await refusal(comments_of(videos, owner, video, order=order, cursor=cursor)) == "CURSOR_INVALID"


async def test_what_is_announced(videos: Videos) -> None:
    owner, author = new_users(2)
    video = await new_video(videos, owner)
    top = await comment(videos, author, video)
    await reply(videos, owner, top.comment_id)
    query = "SELECT data FROM outbox WHERE subject = :subject AND aggregate = :aggregate"
    about = {"aggregate": f"video:{video}"}
    (told,) = await v.execute(videos, query, subject="events.media.video.commented", **about)
    assert (told.data["owner_id"], told.data["actor_id"]) == (str(owner), str(author))
    (told,) = await v.execute(videos, query, subject="events.media.comment.replied", **about)
    assert (told.data["owner_id"], told.data["actor_id"]) == (str(author), str(owner))
    assert told.data["father_id"] == str(top.comment_id)


async def test_nobody_comments_in_no_ones_name(videos: Videos) -> None:
    video = await new_video(videos, new_user())
    assert (
        await refusal(act(0, videos.comments.CommentVideo, pb.CommentVideoRequest(video_id=video, content=b"1")))
        == "CALLER_MISSING"
    )


async def test_comments_of_one_moment_fail_each_for_itself(videos: Videos) -> None:
    owner, *fans = new_users(26)
    shown, hidden = await new_video(videos, owner), (await publish(videos, owner, PRIVATE)).video_id
    top = await comment(videos, owner, shown)
    calls = [comment(videos, fan, shown, json.dumps(f"{n} \0").encode()) for n, fan in enumerate(fans)]
    calls += [reply(videos, fan, top.comment_id) for fan in fans]
    bad = [comment(videos, fan, hidden) for fan in fans] + [reply(videos, fan, 1) for fan in fans]
    written, refused = await asyncio.gather(asyncio.gather(*calls), asyncio.gather(*map(refusal, bad)))
    assert refused == ["VIDEO_NOT_FOUND"] * 25 + ["COMMENT_NOT_FOUND"] * 25
    assert await count(videos, shown) == 51 and await count_of_replies(videos, owner, top.comment_id) == 25
    assert sorted(json.loads(each.content) for each in written[:25]) == sorted(f"{n} \0" for n in range(25))
    rows = "SELECT data->>'comment_id' AS comment FROM outbox WHERE aggregate = :of AND data ? 'comment_id'"
    told = sorted(int(row.comment) for row in await v.execute(videos, rows, of=f"video:{shown}"))
    assert told == sorted([top.comment_id, *(each.comment_id for each in written)])


async def count_of_replies(videos: Videos, viewer: int, comment_id: int) -> int:
    return (await get_comment(videos, viewer, comment_id)).reply_count


async def test_a_comment_with_its_count_and_event_is_one_statement(videos: Videos) -> None:
    owner, fan = new_users(2)
    video = await new_video(videos, owner)
    with watching(videos.service.database) as seen:
        top = await comment(videos, fan, video)
        await reply(videos, owner, top.comment_id)
    assert len([each for each in seen if re.search(r"\b(comment|video)\b", each.shape.text)]) == 2
