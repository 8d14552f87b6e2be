"""What users set of their feed: the order of time, what they keep out of it, and a new beginning."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from services.entities.parsing import tag_key
from services.kit.context import Caller
from services.kit.pages import Page, fetch, id_before
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.media.errors import VideoInvalid
from services.media.videos.for_you.models import ForYouSetting, NotInterested, WatchedVideo
from services.media.videos.visibility import require_visible

MAX_KEPT_OUT = 500  # of one user; the oldest makes room


class Setting(NamedTuple):
    chronological: bool


class Kept(NamedTuple):
    video_id: int
    owner_id: int
    tag: str


SETTING: Statement[Setting] = Statement("SELECT chronological FROM for_you_setting WHERE user_id = :viewer", Setting)
KEPT_OUT: Statement[Kept] = Statement(
    "SELECT video_id, owner_id, tag FROM not_interested WHERE user_id = :viewer", Kept
)
CUT = text("""DELETE FROM not_interested WHERE user_id = :user AND id <= (SELECT id FROM not_interested
 WHERE user_id = :user ORDER BY id DESC OFFSET :most LIMIT 1)""")


class KeptOut(NamedTuple):
    videos: Collection[int] = frozenset()
    owners: Collection[int] = frozenset()
    tags: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rows: Sequence[Kept]) -> "KeptOut":
        videos, owners = {row.video_id for row in rows}, {row.owner_id for row in rows}
        return cls(videos, owners, frozenset(row.tag for row in rows))

    def has(self, video_id: int, owner_id: int, tags: Sequence[str]) -> bool:
        return video_id in self.videos or owner_id in self.owners or not self.tags.isdisjoint(tags)


async def is_chronological(connection: AsyncConnection, user_id: int) -> bool:
    setting = await connection.fetch_one(SETTING, viewer=user_id)
    return setting is not None and setting.chronological


async def set_chronological(connection: AsyncConnection, caller: Caller, chronological: bool) -> None:
    row = insert(ForYouSetting).values(user_id=caller.user_id, chronological=chronological)
    await connection.execute(
        row.on_conflict_do_update(index_elements=["user_id"], set_={"chronological": chronological})
    )


async def set_not_interested(
    connection: AsyncConnection, caller: Caller, subject: Mapping[str, Any], undone: bool
) -> None:
    """`subject`: one of `video_id`, `owner_id` and `tag`. Repeating it changes nothing.

    Raises VideoNotFound, VideoInvalid.
    """
    about: dict[str, Any] = {"video_id": 0, "owner_id": 0, "tag": "", **subject}
    if about["tag"]:
        about["tag"] = tag_key(about["tag"])
        if not about["tag"]:
            raise VideoInvalid(field="tag")
    mine = [NotInterested.user_id == caller.user_id]
    if undone:
        which = (getattr(NotInterested, name) == value for name, value in about.items())
        await connection.execute(delete(NotInterested).where(*mine, *which))
        return
    if about["video_id"]:
        await require_visible(connection, caller, about["video_id"])
    await connection.execute(insert(NotInterested).values(user_id=caller.user_id, **about).on_conflict_do_nothing())
    await connection.execute(CUT, {"user": caller.user_id, "most": MAX_KEPT_OUT})


async def list_not_interested(connection: AsyncConnection, caller: Caller, cursor: str, limit: int) -> Page:
    """The last first. Raises CursorInvalid."""
    query = select(NotInterested.__table__).where(NotInterested.user_id == caller.user_id)
    query = query.where(NotInterested.id < id_before(cursor)).order_by(NotInterested.id.desc())
    return await fetch(connection, query, "id", limit=limit, cursor=cursor)


async def reset(connection: AsyncConnection, caller: Caller) -> None:
    """Forgets what the caller watched and kept out; what they did before counts no more."""
    for table in (WatchedVideo, NotInterested):
        await connection.execute(delete(table).where(table.user_id == caller.user_id))
    row = insert(ForYouSetting).values(user_id=caller.user_id, reset_at=func.now())
    await connection.execute(row.on_conflict_do_update(index_elements=["user_id"], set_={"reset_at": func.now()}))


async def delete_for_you(connection: AsyncConnection, user_id: int, most: int) -> int:
    """Deletes at most `most` rows of an erased account, the setting last; returns how many it deleted."""
    for table, key in ((WatchedVideo, WatchedVideo.video_id), (NotInterested, NotInterested.id)):
        some = select(key).where(table.user_id == user_id).limit(most)
        if count := (await connection.execute(delete(table).where(table.user_id == user_id, key.in_(some)))).rowcount:
            return count
    return (await connection.execute(delete(ForYouSetting).where(ForYouSetting.user_id == user_id))).rowcount
