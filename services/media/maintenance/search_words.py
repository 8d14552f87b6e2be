"""Makes the search words anew of videos published by releases that took texts apart in another way."""

from sqlalchemy import select, update

from services.kit.db import Database
from services.media.videos.models import Video
from services.media.videos.text_search import video_words

BATCH = 200


async def renew_words(database: Database) -> int:
    """Renews a batch; returns how many videos it had. A video that is being changed waits for the next batch."""
    old = select(Video.id, Video.title, Video.description).where(Video.words_version < 1).limit(BATCH)
    async with database.transaction() as connection:
        rows = (await connection.execute(old.with_for_update(skip_locked=True))).all()
        for row in rows:
            words = video_words(row.title, row.description)
            renewed = update(Video).where(Video.id == row.id).values(words=words, words_version=1)
            await connection.execute(renewed)
    return len(rows)
