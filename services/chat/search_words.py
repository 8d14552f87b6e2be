"""Makes the search words anew of messages written by releases that took texts apart in another way."""

import asyncio

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from services.chat.sending.content import search_words
from services.kit.db import Database

BATCH = 500
POLL_SECONDS = 600.0  # between looks for what another process had locked

OLD = text("SELECT conversation_id, seq, body FROM message WHERE words_version < 1 LIMIT :most FOR UPDATE SKIP LOCKED")
RENEW = text("""UPDATE message SET words = array_to_tsvector(string_to_array(renewed.words, ' ')), words_version = 1
 FROM unnest(CAST(:conversations AS bigint[]), CAST(:seqs AS bigint[]), CAST(:words AS text[]))
  AS renewed (conversation, seq, words)
 WHERE message.conversation_id = renewed.conversation AND message.seq = renewed.seq""")

log = structlog.get_logger("search_words")


async def run(database: Database) -> None:
    """Runs until it is cancelled."""
    while True:
        try:
            while await renew_words(database):
                pass
        except (SQLAlchemyError, OSError) as error:
            log.warning("search words wait", error=repr(error)[:200])
        await asyncio.sleep(POLL_SECONDS)


async def renew_words(database: Database) -> int:
    """Renews a batch; returns how many messages it had. No rev changes: clients see nothing of it."""
    async with database.transaction() as connection:
        rows = (await connection.execute(OLD, {"most": BATCH})).all()
        if rows:
            values = {"conversations": [row.conversation_id for row in rows], "seqs": [row.seq for row in rows]}
            await connection.execute(RENEW, values | {"words": [search_words(row.body) for row in rows]})
    return len(rows)
