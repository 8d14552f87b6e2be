"""Makes the search words and the tags of videos of releases that made none, or took texts apart in another way."""

from sqlalchemy import select, update

from services.kit.db import Database
from services.media.tags import index
from services.media.videos.models import Video
from services.media.videos.texts.texts import TEXTS_VERSION, text_values

BATCH = 200


async def renew_words(database: Database) -> int:
    """Renews a batch; returns how many videos it had. A video that is being changed waits for the next batch."""
    old = select(Video.__table__).where(Video.words_version < TEXTS_VERSION).order_by(Video.id).limit(BATCH)
    async with database.transaction() as connection:
        rows = (await connection.execute(old.with_for_update(key_share=True, skip_locked=True))).all()
        for row in rows:
            renewed = (
                update(Video).where(Video.id == row.id).values(text_values(row.title, row.description, row.mentions))
            )
            after = (await connection.execute(renewed.returning(Video.__table__))).one()
            await index.follow_change(connection, row, after)
    return len(rows)
