"""The events this service emits: `events.media.<noun>.<verb>`. Ids travel as strings.

Events of files have the aggregate `object:<hash>`; events of videos and their comments have `video:<id>`. `owner_id` is
the owner of what was acted on, `actor_id` is the user who acted.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CTE, Text, case, cast, func, insert, literal, select

from services.kit.events.outbox import emit
from services.kit.sql.connection import AsyncConnection
from services.media.models import Model

MAX_TEXT = 500  # characters
_outbox = Model.metadata.tables["outbox"]


async def object_ready(connection: AsyncConnection, object: Any, user_ids: Sequence[int]) -> None:
    """The object can be played; `user_ids` are its uploaders."""
    await _object(connection, "ready", object, user_ids)


async def object_failed(connection: AsyncConnection, object: Any, user_ids: Sequence[int], reason: str) -> None:
    await _object(connection, "failed", object, user_ids, reason=reason)


async def _object(connection: AsyncConnection, verb: str, object: Any, user_ids: Sequence[int], **data: str) -> None:
    fields = {"hash": object.hash, "file": f"{object.hash}.{object.extension}", "kind": object.kind}
    owners = [str(id) for id in user_ids]
    await emit(connection, f"media.object.{verb}", f"object:{object.hash}", user_ids=owners, **fields, **data)


async def video_published(connection: AsyncConnection, video: Any) -> None:
    """It can be played, and those whom its visibility names see it from now on."""
    await _video(connection, "published", video, video.owner_id, title=video.title)


async def video_ready(connection: AsyncConnection, video: Any) -> None:
    """A video that waited for its processing was published; for the owner, after `video_published`."""
    await _video(connection, "ready", video, video.owner_id, title=video.title)


async def video_failed(connection: AsyncConnection, video: Any, reason: str) -> None:
    """A video that waited for its processing cannot be played."""
    await _video(connection, "failed", video, video.owner_id, title=video.title, reason=reason)


async def video_updated(connection: AsyncConnection, video: Any, actor_id: int) -> None:
    """Anything that a video's answer shows has changed, except the counts."""
    await _video(connection, "updated", video, actor_id)


async def video_deleted(connection: AsyncConnection, video: Any, actor_id: int) -> None:
    await _video(connection, "deleted", video, actor_id)


async def video_moderated(connection: AsyncConnection, video: Any, hidden: bool) -> None:
    """A moderator took it from everybody's sight, or brought it back."""
    await _video(connection, "hidden" if hidden else "restored", video, 0)


def liked(what: str, likes: Any) -> CTE:
    """Writes the events of likes, of a video or a comment, by users who never liked it before. The owner is the
    video's, or the comment's author."""
    ids = {"video_id": likes.c.video_id, "owner_id": likes.c.owner_id, "actor_id": likes.c.user_id}
    ids |= {"comment_id": likes.c.target_id} if what == "comment" else {}
    data: list[Any] = [part for name, id in ids.items() for part in (name, cast(id, Text))]
    about = (literal("video:") + cast(likes.c.video_id, Text), func.jsonb_build_object(*data))
    rows = select(literal(f"events.media.{what}.liked"), *about).order_by(likes.c.place)
    return (
        insert(_outbox)
        .from_select(["subject", "aggregate", "data"], rows, include_defaults=False)
        .returning(_outbox.c.id)
        .cte("told")
    )


async def video_mentions(connection: AsyncConnection, video: Any, user_ids: Sequence[int]) -> None:
    """For users whom its texts mention, who may see it, and who have not heard of it before."""
    told = {"user_ids": [str(id) for id in user_ids], "text": f"{video.title} {video.description}"[:MAX_TEXT]}
    row = _row("video.mentions", video.id, video_id=video.id, owner_id=video.owner_id, actor_id=video.owner_id)
    row["data"] |= told
    await connection.execute(insert(_outbox), [row])


async def comments_mention(connection: AsyncConnection, told: Sequence[tuple[Any, Sequence[int], str, str]]) -> None:
    """New comments, each with the users whom it mentions and who may see it, its text, and the trace of its request."""
    rows = []
    for comment, user_ids, said, trace in told:
        ids = {"video_id": comment.video_id, "comment_id": comment.id, "actor_id": comment.user_id}
        row = _row("comment.mentions", comment.video_id, **ids)
        row["data"] |= {"user_ids": [str(id) for id in user_ids], "text": said}
        rows.append(row | {"trace": trace or None})
    if rows:
        await connection.execute(insert(_outbox), rows)


def comments_written(comments: CTE, which: Any, owner: Any, father_id: Any) -> CTE:
    """Writes the events of new comments. The owner is the video's; of a reply, the author of what it answers."""
    is_reply = comments.c.reply_to_id != 0
    subject = case((is_reply, "events.media.comment.replied"), else_="events.media.video.commented")
    ids = {"video_id": comments.c.target_id, "comment_id": comments.c.id, "actor_id": comments.c.user_id}
    ids |= {"owner_id": owner}
    of_reply = {"father_id": father_id, "reply_to_id": comments.c.reply_to_id}
    of_reply |= {"video_owner_id": comments.c.video_owner_id}
    data: list[tuple[str, Any]] = [(name, cast(id, Text)) for name, id in ids.items()]
    data += [(name, case((is_reply, cast(id, Text)))) for name, id in of_reply.items()]
    data.append(("text", func.nullif(comments.c.said, "")))
    body = func.jsonb_strip_nulls(func.jsonb_build_object(*(part for pair in data for part in pair)))
    row = (subject, literal("video:") + cast(comments.c.target_id, Text), body, func.nullif(comments.c.trace, ""))
    rows = select(*row).where(which).order_by(comments.c.id)
    return insert(_outbox).from_select(["subject", "aggregate", "data", "trace"], rows).returning(_outbox.c.id).cte()


async def comment_deleted(connection: AsyncConnection, comment: Any, actor_id: int) -> None:
    """A top-level comment takes its thread with it. The owner is its author."""
    await _comment(connection, "comment.deleted", comment, actor_id, owner_id=comment.user_id)


async def comment_edited(connection: AsyncConnection, comment: Any) -> None:
    await _comment(connection, "comment.edited", comment, comment.user_id, owner_id=comment.user_id)


async def comment_pinned(connection: AsyncConnection, comment: Any, actor_id: int, pinned: bool) -> None:
    """The owner is its author."""
    what = f"comment.{'pinned' if pinned else 'unpinned'}"
    await _comment(connection, what, comment, actor_id, owner_id=comment.user_id)


async def comment_moderated(connection: AsyncConnection, comment: Any, hidden: bool) -> None:
    """Like video_moderated. The owner is its author."""
    what = f"comment.{'hidden' if hidden else 'restored'}"
    await _comment(connection, what, comment, 0, owner_id=comment.user_id)


async def _video(connection: AsyncConnection, verb: str, video: Any, actor_id: int, **data: str) -> None:
    await connection.execute(insert(_outbox), [of_video(verb, video._mapping, actor_id, **data)])


def of_video(verb: str, video: Mapping[str, Any], actor_id: int, **data: str) -> dict[str, Any]:
    """The row of an event, for who writes it into the outbox with other rows. `video`: its columns."""
    ids = {"video_id": video["id"], "owner_id": video["owner_id"], "actor_id": actor_id}
    row = _row(f"video.{verb}", video["id"], **ids)
    urls = (video["video_url"], video["cover_url"])
    hashes = [url.removeprefix("/media/")[:64] for url in urls if url.startswith("/media/")]
    row["data"] |= {"visibility": video["visibility"], "hashes": hashes, **data}
    return row


async def _comment(connection: AsyncConnection, what: str, comment: Any, actor_id: int, **ids: int) -> None:
    row = _row(what, comment.video_id, video_id=comment.video_id, comment_id=comment.id, actor_id=actor_id, **ids)
    await connection.execute(insert(_outbox), [row])


def _row(what: str, of_video: int, /, **ids: int) -> dict[str, Any]:
    data = {name: str(id) for name, id in ids.items()}
    return {"subject": f"events.media.{what}", "aggregate": f"video:{of_video}", "data": data}
