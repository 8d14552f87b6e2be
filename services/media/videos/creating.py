"""Creates the videos of one moment: rows, references to files, counts and events, in one statement.

Locks are taken as everywhere: after the videos the counts of owners by id, then the counter's slots.
"""

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row

from services.kit import telemetry
from services.kit.context import Caller
from services.kit.db import one_of
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.media import events
from services.media.errors import VideoInvalid
from services.media.models import FRIENDS, PRIVATE, PROCESSING, PUBLIC
from services.media.tags import index
from services.media.videos.cards import CARDS
from services.media.videos.models import PUBLIC_COUNTER_SLOTS, SLOT_SHIFT, Video
from services.media.videos.texts.text_search import words_of_video
from services.media.videos.texts.texts import tell_mentioned, text_facts
from services.media.videos.videos import check_cover_at, check_fields, hash_of, resolve_files

MAX_VIDEOS = 100  # per transaction, which locks their owners' counts

# The counter's slots wait for the owners' counts, since PostgreSQL may run the parts of a statement in any order.
WRITE: Statement[Any] = Statement(f"""WITH
 asked AS MATERIALIZED (SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (id bigint, owner_id bigint,
  title text, description text, type text, video_url text, cover_url text, object_hash text, visibility smallint,
  publish_as smallint, who_may_comment smallint, random_key bigint, words text, cover_at int, hashes text[],
  words_version smallint, tags text[], mentions jsonb)),
 written AS (INSERT INTO video (id, owner_id, title, description, type, video_url, cover_url, object_hash, visibility,
   publish_as, who_may_comment, random_key, words, cover_at, words_version, tags, mentions)
  SELECT id, owner_id, title, description, type, video_url, cover_url, object_hash, visibility, publish_as,
   who_may_comment, random_key, CAST(words AS tsvector), cover_at, words_version, tags, mentions
  FROM asked ORDER BY id),
 referred AS (INSERT INTO object_reference (object_hash, video_id, visibility, owner_id)
  SELECT DISTINCT hash, id, visibility, owner_id FROM asked, unnest(hashes) AS hash ORDER BY hash),
 owned AS (INSERT INTO shelf (owner_id, public_count, friends_count, private_count)
  SELECT owner_id, count(*) FILTER (WHERE visibility = {PUBLIC}), count(*) FILTER (WHERE visibility = {FRIENDS}),
   count(*) FILTER (WHERE visibility = {PRIVATE}) FROM asked GROUP BY owner_id ORDER BY owner_id
  ON CONFLICT (owner_id) DO UPDATE SET public_count = shelf.public_count + excluded.public_count,
   friends_count = shelf.friends_count + excluded.friends_count,
   private_count = shelf.private_count + excluded.private_count RETURNING owner_id),
 counted AS (INSERT INTO tally (slot, public_count)
  SELECT (id >> {SLOT_SHIFT}) % {PUBLIC_COUNTER_SLOTS} AS slot, count(*) FROM asked
  WHERE visibility = {PUBLIC} AND (SELECT count(*) FROM owned) > 0 GROUP BY slot ORDER BY slot
  ON CONFLICT (slot) DO UPDATE SET public_count = tally.public_count + excluded.public_count)
INSERT INTO outbox (subject, aggregate, data, trace)
 SELECT subject, aggregate, data, nullif(trace, '') FROM jsonb_to_recordset(CAST(:told AS jsonb))
  AS row (subject text, aggregate text, data jsonb, trace text)""")  # noqa: S608


class NewVideo(NamedTuple):
    id: int
    owner_id: int
    values: dict[str, Any]  # by column
    trace: str

    @property
    def has_files(self) -> bool:
        """Whether it shows files of this service, which are locked while it is created; else it joins a batch."""
        return "cover_at" in self.values or any(hash_of(self.values.get(url, "")) for url in ("video_url", "cover_url"))


def new_video(caller: Caller, id: int, fields: dict[str, Any]) -> NewVideo:
    """Raises VideoInvalid."""
    values = check_fields(fields)
    if not values.get("title") or not values.get("video_url"):
        raise VideoInvalid(field="video_url" if values.get("title") else "title")
    return NewVideo(id, caller.user_id, values, telemetry.here())


async def create_with_files(connection: AsyncConnection, caller: Caller, new: NewVideo) -> Row[Any]:
    """Publishes a video of the caller. While its file is processed only the owner sees it (publishing.py).

    Raises VideoInvalid, FileUnplayable, and ObjectNotFound for a file that the caller did not upload.
    """
    values = dict(new.values)
    file = await resolve_files(connection, caller, values)
    if "cover_at" in values:
        await check_cover_at(connection, values, file.hash if file else None)
    if file is not None:
        values["object_hash"] = file.hash
        if file.state == PROCESSING:
            values |= {"publish_as": values["visibility"], "visibility": PRIVATE}
    return (await create_videos(connection, [new._replace(values=values)]))[0]


async def create_videos(connection: AsyncConnection, videos: Sequence[NewVideo]) -> list[Row[Any]]:
    """The cards of the new videos, whose files are locked, in their order."""
    rows = [_row(video) for video in videos]
    told = [
        events.of_video("published", row, row["owner_id"], title=row["title"]) | {"trace": video.trace}
        for video, row in zip(videos, rows, strict=True)
        if row["publish_as"] is None
    ]
    await connection.fetch(WRITE, rows=_encode(rows), told=_encode(told))
    cards = await connection.execute(CARDS.where(one_of(Video.id, [video.id for video in videos])))
    found = {card.id: card for card in cards}
    made = [found[video.id] for video in videos]
    await index.follow_creation(connection, made)
    for card in made:
        await tell_mentioned(connection, card)
    return made


def _row(video: NewVideo) -> dict[str, Any]:
    blank = {
        "description": "",
        "type": "",
        "cover_url": "",
        "object_hash": None,
        "publish_as": None,
        "who_may_comment": 0,
    }
    row = blank | {"id": video.id, "owner_id": video.owner_id} | video.values
    row |= text_facts(row["title"], row["description"], row.get("mentions", {}))
    hashes = {hash for hash in (row["object_hash"], hash_of(row["cover_url"])) if hash}
    words = words_of_video(row["title"], row["description"])
    return row | {"random_key": secrets.randbits(63), "words": words, "hashes": sorted(hashes)}


def _encode(rows: Sequence[Any]) -> str:
    return msgspec.json.encode(rows).decode()
