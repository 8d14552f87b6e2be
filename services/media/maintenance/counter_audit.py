"""Counters that differ from the rows they count: found by `check`, set right by `repair`."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Each query gives the key and the right count of what is counted wrongly.
COUNTERS = {
    ("video", "id", "like_count"): """
        SELECT id, coalesce(n, 0) AS right FROM video LEFT JOIN
        (SELECT video_id, count(*) AS n FROM video_like WHERE NOT withdrawn GROUP BY video_id) l ON video_id = id
        WHERE deleted_at IS NULL AND like_count <> coalesce(n, 0)""",
    ("video", "id", "comment_count"): """
        SELECT id, coalesce(n, 0) AS right FROM video LEFT JOIN
        (SELECT c.video_id, count(*) AS n FROM comment c JOIN comment f ON f.id = c.father_id
        WHERE c.deleted_at IS NULL AND f.deleted_at IS NULL GROUP BY c.video_id) l ON video_id = id
        WHERE deleted_at IS NULL AND comment_count <> coalesce(n, 0)""",
    ("video", "id", "share_count"): """
        SELECT id, coalesce(n, 0) AS right FROM video LEFT JOIN
        (SELECT video_id, count(*) AS n FROM video_share GROUP BY video_id) l ON video_id = id
        WHERE deleted_at IS NULL AND share_count <> coalesce(n, 0)""",
    ("comment", "id", "like_count"): """
        SELECT id, coalesce(n, 0) AS right FROM comment LEFT JOIN
        (SELECT comment_id, count(*) AS n FROM comment_like WHERE NOT withdrawn GROUP BY comment_id) l
        ON comment_id = id WHERE deleted_at IS NULL AND like_count <> coalesce(n, 0)""",
    ("comment", "id", "reply_count"): """
        SELECT c.id, coalesce(n, 0) AS right FROM comment c LEFT JOIN
        (SELECT father_id, count(*) AS n FROM comment WHERE deleted_at IS NULL AND father_id <> id
        GROUP BY father_id) l ON l.father_id = c.id
        WHERE deleted_at IS NULL AND reply_count <> CASE WHEN c.father_id = c.id THEN coalesce(n, 0) ELSE 0 END""",
    **{
        ("shelf", "owner_id", f"{name}_count"): f"""
        SELECT owner_id AS id, coalesce(n, 0) AS right FROM shelf FULL JOIN
        (SELECT owner_id, count(*) AS n FROM video WHERE deleted_at IS NULL AND visibility = {kind}
        GROUP BY owner_id) l USING (owner_id) WHERE coalesce({name}_count, 0) <> coalesce(n, 0)"""  # noqa: S608
        for kind, name in enumerate(("public", "friends", "private"))
    },
    ("tally", "slot", "public_count"): """
        SELECT slot AS id, coalesce(n, 0) AS right FROM tally LEFT JOIN
        (SELECT (id >> 12) % 16 AS place, count(*) AS n FROM video WHERE deleted_at IS NULL AND visibility = 0
        GROUP BY place) l ON place = slot WHERE public_count <> coalesce(n, 0)""",
}
LOCKED = "video, comment, video_like, comment_like, video_share, shelf, tally"

FAULTS = {
    **{
        f"{table} rows whose {counter} is wrong": f"SELECT count(*) FROM ({query}) wrong"  # noqa: S608
        for (table, _, counter), query in COUNTERS.items()
    },
    "references of files that differ from the videos that show them": """
        SELECT count(*) FROM object_reference r JOIN video ON video.id = r.video_id
        WHERE deleted_at IS NOT NULL OR r.visibility <> video.visibility OR r.owner_id <> video.owner_id""",
    "videos without a reference to their file": """
        SELECT count(*) FROM video WHERE object_hash IS NOT NULL AND NOT EXISTS
        (SELECT FROM object_reference r WHERE r.object_hash = video.object_hash AND r.video_id = video.id)""",
}


async def repair(connection: AsyncConnection) -> dict[str, int]:
    """Counts everything anew while nobody writes; how many counters of each kind were wrong."""
    await connection.execute(text("SET LOCAL statement_timeout = 0"))
    await connection.execute(text(f"LOCK TABLE {LOCKED} IN SHARE ROW EXCLUSIVE MODE"))
    await connection.execute(text("INSERT INTO shelf SELECT DISTINCT owner_id FROM video ON CONFLICT DO NOTHING"))
    repaired = {}
    for (table, key, counter), query in COUNTERS.items():
        statement = f"UPDATE {table} SET {counter} = wrong.right FROM ({query}) wrong WHERE {table}.{key} = wrong.id"  # noqa: S608
        repaired[f"{table}.{counter}"] = (await connection.execute(text(statement))).rowcount
    return repaired
