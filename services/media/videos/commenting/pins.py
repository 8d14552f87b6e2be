"""The comment that a video's owner pins: it comes before all others.

The pin ends when the comment is deleted or hidden (comments.count), or its author blocked by the owner.
"""

from collections.abc import Sequence

from sqlalchemy import text, update

from services.kit import telemetry
from services.kit.context import Caller
from services.kit.nats import Event
from services.kit.sql.connection import AsyncConnection
from services.media import events
from services.media.errors import NotPermitted, ReplyUnpinnable
from services.media.videos.commenting.comments import lock_comment
from services.media.videos.models import Video

BLOCKED = "events.social.user.blocked"
# Locks the videos by id, as everywhere.
UNPIN = text("""WITH blocks AS (SELECT * FROM unnest(CAST(:owners AS bigint[]), CAST(:authors AS bigint[]))
  AS b (owner, author)),
 pinned AS (SELECT video.id, comment.id AS comment_id, comment.user_id, video.owner_id FROM blocks
  JOIN video ON owner_id = owner AND pinned_comment_id IS NOT NULL
  JOIN comment ON comment.id = pinned_comment_id AND comment.user_id = author
  ORDER BY video.id FOR NO KEY UPDATE OF video),
 gone AS (UPDATE video SET pinned_comment_id = NULL FROM pinned WHERE video.id = pinned.id)
INSERT INTO outbox (subject, aggregate, data, trace)
 SELECT 'events.media.comment.unpinned', 'video:' || id, jsonb_build_object('video_id', id::text,
  'comment_id', comment_id::text, 'owner_id', user_id::text, 'actor_id', owner_id::text),
  nullif(CAST(:trace AS text), '') FROM pinned""")


async def pin_comment(connection: AsyncConnection, caller: Caller, comment_id: int, pinned: bool) -> int:
    """Repeating it changes nothing. Returns the id of its video. Raises CommentNotFound, NotPermitted,
    ReplyUnpinnable."""
    comment, video = await lock_comment(connection, caller, comment_id)
    if video.owner_id != caller.user_id:
        raise NotPermitted
    if comment.father_id != comment.id:
        raise ReplyUnpinnable
    if pinned != (video.pinned_comment_id == comment.id):
        change = update(Video).where(Video.id == video.id)
        await connection.execute(change.values(pinned_comment_id=comment.id if pinned else None))
        await events.comment_pinned(connection, comment, caller.user_id, pinned)
    return int(video.id)


async def unpin_blocked(connection: AsyncConnection, told: Sequence[Event]) -> None:
    """Ends the pins of comments whose authors the owners have blocked now."""
    blocks = [event.data for event in told if event.subject == BLOCKED]
    if blocks:
        sides: dict[str, object] = {
            "owners": [int(each["actor_id"]) for each in blocks],
            "authors": [int(each["user_id"]) for each in blocks],
            "trace": telemetry.here(),
        }
        await connection.execute(UNPIN, sides)
