"""Counters against the rows that they count: found by the `check` command and by a metric, corrected by `repair`.

Each counter has one definition, from which all three make their statements.
"""

from collections.abc import Mapping
from typing import NamedTuple

from prometheus_client import Counter as Metric
from sqlalchemy import text

from services.kit.db import Database
from services.kit.sql.connection import AsyncConnection
from services.media.videos.models import PUBLIC_COUNTER_SLOTS, SLOT_SHIFT

BATCH = 50  # rows of a table that one step of the drift audit reads

WRONG = Metric("hitok_counter_drift", "Counters found to differ from the rows they count", ["counter"])
CHECKED = Metric("hitok_counter_checked", "Rows whose counters were compared with what they count", ["table"])


class Counted(NamedTuple):
    """A table with counters: its key, which of its rows count, and each counter's value for one `row`, in SQL.

    The definitions read only what an index leads to, except where `whole` is set: those are left to `check`.
    """

    key: str
    is_live: str
    counters: Mapping[str, str]
    whole: bool = False


TABLES = {
    "video": Counted(
        "id",
        "deleted_at IS NULL",
        {
            "like_count": "SELECT count(*) FROM video_like WHERE video_id = row.id AND NOT withdrawn",
            "share_count": "SELECT count(*) FROM video_share WHERE video_id = row.id",
            "comment_count": """SELECT count(*) FROM comment top JOIN comment c ON c.father_id = top.id
                WHERE top.video_id = row.id AND top.father_id = top.id AND top.deleted_at IS NULL
                AND c.deleted_at IS NULL""",
        },
    ),
    "comment": Counted(
        "id",
        "deleted_at IS NULL",
        {
            "like_count": "SELECT count(*) FROM comment_like WHERE comment_id = row.id AND NOT withdrawn",
            "reply_count": """SELECT count(*) FROM comment c
                WHERE c.father_id = row.id AND c.id <> row.id AND c.deleted_at IS NULL""",
        },
    ),
    "shelf": Counted(
        "owner_id",
        "true",
        {
            f"{name}_count": f"""SELECT count(*) FROM video
                WHERE owner_id = row.owner_id AND visibility = {visibility} AND deleted_at IS NULL"""  # noqa: S608
            for visibility, name in enumerate(("public", "friends", "private"))
        },
    ),
    "tally": Counted(
        "slot",
        "true",
        {
            "public_count": f"""SELECT count(*) FROM video
                WHERE (id >> {SLOT_SHIFT}) % {PUBLIC_COUNTER_SLOTS} = row.slot
                AND visibility = 0 AND deleted_at IS NULL"""  # noqa: S608
        },
        whole=True,
    ),
    "tag": Counted(
        "id", "true", {"video_count": "SELECT count(*) FROM video_tag t WHERE t.name = row.name AND t.visibility = 0"}
    ),
    "tag_day": Counted(
        "id",
        "true",
        {
            "authors": """SELECT count(DISTINCT owner_id) FROM video_tag t
                WHERE t.name = row.name AND t.day = row.day AND t.visibility = 0"""
        },
    ),
}
LOCKED = "video, comment, video_like, comment_like, video_share, shelf, tally, video_tag, tag, tag_day"


def _count_wrong(table: str, counter: str) -> str:
    _, is_live, counters, _ = TABLES[table]
    return f"SELECT count(*) FROM {table} AS row WHERE {is_live} AND {counter} <> ({counters[counter]})"  # noqa: S608


def _correct(table: str, counter: str) -> str:
    key, is_live, counters, _ = TABLES[table]
    right = f"SELECT {key} AS key, ({counters[counter]}) AS value FROM {table} AS row WHERE {is_live}"  # noqa: S608
    return f"""UPDATE {table} SET {counter} = counted.value FROM ({right}) AS counted
        WHERE {table}.{key} = counted.key AND {counter} <> counted.value"""  # noqa: S608


def _audit(table: str) -> str:
    key, is_live, counters, _ = TABLES[table]
    wrong = [f"count(*) FILTER (WHERE {counter} <> ({value})) AS {counter}" for counter, value in counters.items()]
    return f"""SELECT max({key}) AS last, count(*) AS checked, {", ".join(wrong)} FROM
        (SELECT * FROM {table} WHERE {is_live} AND {key} > :after ORDER BY {key} LIMIT :rows) AS row"""  # noqa: S608


FAULTS = {
    **{
        f"{table} rows whose {counter} is wrong": _count_wrong(table, counter)
        for table, counted in TABLES.items()
        for counter in counted.counters
    },
    "owners of videos without counts": """
        SELECT count(DISTINCT owner_id) FROM video WHERE deleted_at IS NULL
        AND NOT EXISTS (SELECT FROM shelf WHERE shelf.owner_id = video.owner_id)""",
    "references of files that differ from the videos that show them": """
        SELECT count(*) FROM object_reference r JOIN video ON video.id = r.video_id
        WHERE deleted_at IS NOT NULL OR r.visibility <> video.visibility OR r.owner_id <> video.owner_id""",
    "tags that differ from their video": """
        SELECT count(*) FROM video_tag t JOIN video ON video.id = t.video_id WHERE deleted_at IS NOT NULL
        OR t.visibility <> video.visibility OR t.owner_id <> video.owner_id OR NOT t.name = ANY(video.tags)""",
    "tags of videos that lack them": """
        SELECT count(*) FROM video CROSS JOIN LATERAL unnest(tags) AS name WHERE NOT EXISTS
        (SELECT FROM video_tag t WHERE t.video_id = video.id AND t.name = name)""",
    "tags of public videos that are not counted": """
        SELECT count(DISTINCT name) FROM video_tag t WHERE visibility = 0
        AND NOT EXISTS (SELECT FROM tag WHERE tag.name = t.name)""",
    "videos without a reference to their file": """
        SELECT count(*) FROM video WHERE object_hash IS NOT NULL AND NOT EXISTS
        (SELECT FROM object_reference r WHERE r.object_hash = video.object_hash AND r.video_id = video.id)""",
}


async def repair(connection: AsyncConnection) -> dict[str, int]:
    """Counts everything anew while nobody can write; returns how many counters of each kind were wrong."""
    await connection.execute(text("SET LOCAL statement_timeout = 0"))
    await connection.execute(text(f"LOCK TABLE {LOCKED} IN SHARE ROW EXCLUSIVE MODE"))
    await connection.execute(text("INSERT INTO shelf SELECT DISTINCT owner_id FROM video ON CONFLICT DO NOTHING"))
    corrections = {
        f"{table}.{counter}": _correct(table, counter)
        for table, counted in TABLES.items()
        for counter in counted.counters
    }
    return {name: (await connection.execute(text(sql))).rowcount for name, sql in corrections.items()}


AUDITED = {table: counted for table, counted in TABLES.items() if not counted.whole}
AUDITS = {table: text(_audit(table)) for table in AUDITED}


class DriftAudit:
    """Compares all counters with their rows, a few rows at a time, for the drift metric; cheap enough under load."""

    def __init__(self, rows: int = BATCH) -> None:
        """`rows` of each table are read by a step."""
        self._rows = rows
        self._after = dict.fromkeys(AUDITED, 0)
        for table, counted in AUDITED.items():
            for counter in counted.counters:
                WRONG.labels(f"{table}.{counter}")

    async def step(self, database: Database) -> int:
        """Audits the next rows of each table, starting again after the last; returns how many counters were wrong.

        One statement reads a row and what it counts, so both are of the same moment.
        """
        found = 0
        for table, counted in AUDITED.items():
            async with database.reading() as connection:
                row = (await connection.execute(AUDITS[table], {"after": self._after[table], "rows": self._rows})).one()
            self._after[table] = row.last if row.checked == self._rows else 0
            CHECKED.labels(table).inc(row.checked)
            for counter in counted.counters:
                wrong = getattr(row, counter)
                WRONG.labels(f"{table}.{counter}").inc(wrong)
                found += wrong
        return found
