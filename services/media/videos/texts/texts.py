"""What a video's title and description say: its search words, its tags, and whom it mentions.

Mentioned users hear of it once, when they may see the video (docs/contract/api.md, "Tags and mentions").
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select, update

from services.entities.parsing import names_in, tags_in
from services.kit.pages import unnest
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.media import events
from services.media.models import FRIENDS, PUBLIC
from services.media.videos.models import Video
from services.media.videos.texts.text_search import video_words
from services.media.videos.visibility import visible

TEXTS_VERSION = 2  # of what is made of the texts; the sweeper makes older ones anew


def text_values(title: str, description: str, users: Mapping[str, int]) -> dict[str, Any]:
    """The columns of a video that follow its texts. `users`: by name, those who may be mentioned."""
    return {"words": video_words(title, description)} | text_facts(title, description, users)


def text_facts(title: str, description: str, users: Mapping[str, int]) -> dict[str, Any]:
    """The same without the words."""
    return {
        "words_version": TEXTS_VERSION,
        "tags": tags_in(title, description),
        "mentions": {name: users[name] for name in names_in(title, description) if name in users},
    }


async def tell_mentioned(connection: AsyncConnection, video: Any) -> None:
    """Tells those who may see a locked video and were not told of it before."""
    ids = set(video.mentions.values()) - {video.owner_id, *video.mentions_told}
    if not ids or video.visibility not in (PUBLIC, FRIENDS):
        return
    asked = sorted(ids)
    may_see = await who_may_see(connection, [(video.id, id) for id in asked])
    told = [id for id, is_seen in zip(asked, may_see, strict=True) if is_seen]
    if told:
        known = update(Video).where(Video.id == video.id)
        await connection.execute(known.values(mentions_told=[*video.mentions_told, *told]))
        await events.video_mentions(connection, video, told)


def _seen() -> Select[Any]:
    asked = unnest("video_id", "user_id")
    return select(asked.c.place).join(Video, Video.id == asked.c.video_id).where(visible(asked.c.user_id))


SEEN: Statement[Any] = Statement(_seen())


async def who_may_see(connection: AsyncConnection, pairs: Sequence[tuple[int, int]]) -> list[bool]:
    """Of each video and user, in order, whether the user may see the video."""
    videos, users = [video_id for video_id, _ in pairs], [user_id for _, user_id in pairs]
    places = {place for (place,) in await connection.fetch(SEEN, video_id=videos, user_id=users)}
    return [place in places for place in range(1, len(pairs) + 1)]
