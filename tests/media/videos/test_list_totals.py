"""The counters of the lists are spread over slots, so that those who publish at once do not wait for one row."""

import asyncio
import secrets
from pathlib import Path

import psycopg

from services.kit import schema
from services.media.service import MIGRATIONS
from services.media.videos.models import PUBLIC_COUNTER_SLOTS, SLOT_SHIFT
from tests.support.migrations import upgrade_to
from tests.support.servers import Servers
from tests.support.social import new_users
from tests.support.videos import Videos, execute, faults, publish


async def test_videos_published_at_once_count_in_many_slots(videos: Videos) -> None:
    before = await slots(videos)
    await asyncio.gather(*(publish(videos, owner) for owner in new_users(50)))
    moved = [after - count for count, after in zip(before, await slots(videos), strict=True)]
    assert sum(moved) == 50
    assert sum(step > 0 for step in moved) >= PUBLIC_COUNTER_SLOTS // 4
    assert not await faults(videos)


def test_the_migration_counts_each_slot_anew(servers: Servers, tmp_path: Path) -> None:
    url = servers.create_database(f"slots_{secrets.token_hex(4)}")
    upgrade_to(url, MIGRATIONS, "0005", tmp_path)
    with psycopg.connect(url, autocommit=True) as connection:
        ids = [1 << SLOT_SHIFT | 5 << 12, 1 << SLOT_SHIFT | 6 << 12, 18 << SLOT_SHIFT, 3 << SLOT_SHIFT]
        for id, visibility in zip(ids, (0, 0, 0, 2), strict=True):
            columns = "id, owner_id, title, video_url, visibility, words, random_key"
            insert = f"INSERT INTO video ({columns}) VALUES (%s, 1, '', '', %s, '', 1)"
            connection.execute(insert, (id, visibility))
        connection.execute("UPDATE tally SET public_count = 1 WHERE slot IN (0, 5, 6)")  # as the release before counts
    schema.upgrade(url, MIGRATIONS)
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT slot, public_count FROM tally WHERE public_count > 0 ORDER BY slot")
        assert found.fetchall() == [(1, 2), (2, 1)]


async def slots(videos: Videos) -> list[int]:
    return [row.public_count for row in await execute(videos, "SELECT public_count FROM tally ORDER BY slot")]
