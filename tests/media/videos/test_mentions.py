"""Users whom texts of videos and comments mention: who is told, and once."""

import json

from protos.media.v1 import comments_pb2
from protos.media.v1 import videos_pb2 as pb
from tests.support.social import act, new_users
from tests.support.videos import Videos, befriend, block, change, comment, delete, execute, get, publish, uncomment


async def told(videos: Videos, video_id: int, noun: str) -> list[list[int]]:
    """Whom each event names."""
    query = "SELECT data FROM outbox WHERE aggregate = :video AND subject = :subject ORDER BY id"
    subject = f"events.media.{noun}.mentions"
    rows = await execute(videos, query, video=f"video:{video_id}", subject=subject)
    return [sorted(map(int, row.data["user_ids"])) for row in rows]


async def test_a_video_tells_those_who_may_see_it_once(videos: Videos) -> None:
    owner, ann, ben, blocked = new_users(4)
    await block(videos, blocked, owner)
    users = {"ann": ann, "ben": ben, "me": owner, "no": blocked, "unnamed": 1}
    made = await publish(videos, owner, title="@Ann, @me, @no and @nobody", mentions=users)
    assert dict(made.mentions) == {"ann": ann, "me": owner, "no": blocked}
    assert await told(videos, made.video_id, "video") == [[ann]]
    changed = await change(videos, owner, made.video_id, description="@ben and @ANN", mentions=users)
    assert dict(changed.mentions) == {"ann": ann, "ben": ben, "me": owner, "no": blocked}
    await change(videos, owner, made.video_id, title="only this", visibility=pb.PRIVATE)
    await change(videos, owner, made.video_id, visibility=pb.PUBLIC)
    assert await told(videos, made.video_id, "video") == [[ann], [ben]]
    found = await get(videos, ann, made.video_id)
    assert found and dict(found.mentions) == {"ann": ann, "ben": ben}
    await delete(videos, owner, made.video_id)
    (row,) = await execute(videos, "SELECT mentions, mentions_told FROM video WHERE id = :id", id=made.video_id)
    assert (row.mentions, row.mentions_told) == ({}, [])


async def test_a_private_video_tells_when_it_is_shown(videos: Videos) -> None:
    owner, friend, stranger = new_users(3)
    await befriend(videos, owner, friend)
    users = {"friend": friend, "stranger": stranger}
    made = await publish(videos, owner, pb.PRIVATE, title="@friend @stranger", mentions=users)
    assert await told(videos, made.video_id, "video") == []
    await change(videos, owner, made.video_id, visibility=pb.FRIENDS)
    await change(videos, owner, made.video_id, visibility=pb.PUBLIC)
    assert await told(videos, made.video_id, "video") == [[friend], [stranger]]


async def test_a_comment_tells_those_who_may_see_it(videos: Videos) -> None:
    owner, writer, ann, blocked = new_users(4)
    await block(videos, owner, blocked)
    video_id = (await publish(videos, owner)).video_id
    users = {"ann": ann, "owner": owner, "writer": writer, "no": blocked}
    request = comments_pb2.CommentVideoRequest(video_id=video_id, mentions=users)
    for content in ("@ann @owner @writer @no", {"text": "@ann"}, {"other": "@ann"}, "nobody"):
        request.content = json.dumps(content).encode()
        written = await act(writer, videos.comments.CommentVideo, request)
    assert await told(videos, video_id, "comment") == [[ann], [ann]]  # the owner hears of the comment
    reply = comments_pb2.ReplyToCommentRequest(
        comment_id=written.comment_id, content=b'"@owner @writer"', mentions=users
    )
    answer = await act(ann, videos.comments.ReplyToComment, reply)
    assert dict(answer.mentions) == {"owner": owner, "writer": writer}
    assert (await told(videos, video_id, "comment"))[2:] == [[owner]]  # the writer hears of the answer
    await uncomment(videos, ann, answer.comment_id)
    (row,) = await execute(videos, "SELECT mentions FROM comment WHERE id = :id", id=answer.comment_id)
    assert row.mentions == {}
    assert not (await comment(videos, writer, video_id)).mentions
