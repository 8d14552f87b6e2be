"""Who may comment, and edits of comments."""

import asyncio
import json
from typing import Any

import pytest

from protos.media.v1 import comments_pb2
from protos.media.v1 import videos_pb2 as pb
from services.media.videos import account_erasure
from tests.support import videos as v
from tests.support.social import act, new_users, refusal
from tests.support.videos import Videos, befriend, block, change, comment, execute, get_comment, publish, reply
from tests.support.videos import social_event as tell

KINDS = ("owner", "stranger", "follower", "followed", "friend", "adder", "added")
MAY = {
    pb.COMMENTS_EVERYONE: set(KINDS),
    pb.COMMENTS_FOLLOWERS: {"owner", "follower"},
    pb.COMMENTS_FRIENDS: {"owner", "friend", "added"},  # with whom the owner agreed
    pb.COMMENTS_NOBODY: {"owner"},
}


async def edit(videos: Videos, user: int, comment_id: int, content: Any, **fields: Any) -> comments_pb2.Comment:
    request = comments_pb2.EditCommentRequest(comment_id=comment_id, content=json.dumps(content).encode(), **fields)
    answer: comments_pb2.Comment = await act(user, videos.comments.EditComment, request)
    return answer


async def earlier(videos: Videos, user: int, comment_id: int) -> list[Any]:
    request = comments_pb2.GetCommentRequest(comment_id=comment_id, earlier=True)
    return [json.loads(each.content) for each in (await act(user, videos.comments.GetComment, request)).earlier]


@pytest.mark.parametrize("choice", MAY)
async def test_who_may_comment(videos: Videos, choice: Any) -> None:
    people = dict(zip(KINDS, new_users(len(KINDS)), strict=True))
    owner = people["owner"]
    await tell(videos, "follow.started", people["follower"], owner)
    await tell(videos, "follow.started", owner, people["followed"])
    await befriend(videos, owner, people["friend"])
    await tell(videos, "friend.added", people["adder"], owner, user_agreed=False)
    await tell(videos, "friend.added", owner, people["added"], user_agreed=False)
    video = (await publish(videos, owner)).video_id
    first = {kind: (await comment(videos, people[kind], video)).comment_id for kind in KINDS}
    changed = await change(videos, owner, video, who_may_comment=choice)
    assert changed.who_may_comment == choice
    for kind, user in people.items():
        reason = "" if kind in MAY[choice] else "COMMENTS_CLOSED"
        asked = comments_pb2.BatchGetMayCommentRequest(video_ids=[video, 1])
        may = list((await act(user, videos.comments.BatchGetMayComment, asked)).video_ids)
        assert may == ([video] if not reason else []), kind
        assert await refusal(comment(videos, user, video)) == reason, kind
        assert await refusal(reply(videos, user, first["owner"])) == reason, kind
        assert await refusal(edit(videos, user, first[kind], "changed")) == reason, kind
        assert (await get_comment(videos, user, first["stranger"])).comment_id == first["stranger"]
    await block(videos, owner, people["stranger"])
    assert await refusal(comment(videos, people["stranger"], video)) == "VIDEO_NOT_FOUND"


async def test_a_choice_when_it_is_published(videos: Videos) -> None:
    owner, other = new_users(2)
    made = await publish(videos, owner, who_may_comment=pb.COMMENTS_NOBODY)
    assert made.who_may_comment == pb.COMMENTS_NOBODY
    assert (await change(videos, owner, made.video_id, title="x")).who_may_comment == pb.COMMENTS_NOBODY
    calls = [comment(videos, user, made.video_id) for user in (owner, other) * 5]  # one batch
    assert await asyncio.gather(*map(refusal, calls)) == ["", "COMMENTS_CLOSED"] * 5
    assert await refusal(change(videos, owner, made.video_id, who_may_comment=4)) == "VIDEO_INVALID"


async def test_an_edit_shows_and_keeps_what_was_said(videos: Videos) -> None:
    owner, author, ann, ben = new_users(4)
    video = (await publish(videos, owner)).video_id
    request = comments_pb2.CommentVideoRequest(video_id=video, content=b'"@ann"', mentions={"ann": ann})
    written = await act(author, videos.comments.CommentVideo, request)
    assert written.edited_at == 0
    users = {"ann": ann, "ben": ben}
    assert not (await edit(videos, author, written.comment_id, "@ann", mentions=users)).edited_at
    changed = await edit(videos, author, written.comment_id, {"text": "@ben #tag"}, mentions=users)
    assert changed.edited_at >= written.created_at
    assert (json.loads(changed.content), dict(changed.mentions)) == ({"text": "@ben #tag"}, {"ben": ben})
    await edit(videos, author, written.comment_id, "@ann @ben", mentions=users)
    assert await earlier(videos, owner, written.comment_id) == ["@ann", {"text": "@ben #tag"}]
    query = "SELECT data FROM outbox WHERE aggregate = :video AND subject = 'events.media.comment.mentions' ORDER BY id"
    told = [row.data["user_ids"] for row in await execute(videos, query, video=f"video:{video}")]
    assert told == [[str(ann)], [str(ben)]]  # once each
    assert (await v.verbs_of(videos, video)).count("comment.edited") == 2
    await v.uncomment(videos, author, written.comment_id)
    assert not await execute(videos, "SELECT FROM comment_edit WHERE comment_id = :id", id=written.comment_id)


async def test_who_edits_and_how_long(videos: Videos) -> None:
    owner, author = new_users(2)
    video = (await publish(videos, owner)).video_id
    id = (await comment(videos, author, video)).comment_id
    assert await refusal(edit(videos, owner, id, "x")) == "NOT_PERMITTED"
    request = comments_pb2.EditCommentRequest(comment_id=id, content=b"{")
    assert await refusal(act(author, videos.comments.EditComment, request)) == "COMMENT_INVALID"
    outcome = await asyncio.gather(*(refusal(edit(videos, author, id, number)) for number in range(50)))
    assert sorted(outcome) == [""] * 20 + ["EDIT_LIMIT_REACHED"] * 30
    assert len(await earlier(videos, author, id)) == 20
    old = (await comment(videos, author, video)).comment_id
    await execute(videos, "UPDATE comment SET created_at = now() - interval '25 hours' WHERE id = :id", id=old)
    assert await refusal(edit(videos, author, old, "x")) == "COMMENT_EDIT_FORBIDDEN"


async def test_an_erased_account_leaves_no_edits(videos: Videos) -> None:
    owner, leaver = new_users(2)
    video = (await publish(videos, owner)).video_id
    id = (await comment(videos, leaver, video)).comment_id
    await edit(videos, leaver, id, "secret")
    async with videos.service.database.transaction() as connection:
        await account_erasure.schedule(connection, leaver)
    while await account_erasure.erase_batch(videos.service):
        pass
    assert not await execute(videos, "SELECT FROM comment_edit WHERE comment_id = :id", id=id)
    (row,) = await execute(videos, "SELECT mentions_told, content FROM comment WHERE id = :id", id=id)
    assert (row.mentions_told, row.content) == ([], "null")
