"""Goes over the counters, a few rows at a time and for ever, and counts those that differ from what they count.

Cheap enough to go on under load, unlike drift.py's look at everything; the tally of public videos is left to that.
"""

from prometheus_client import Counter
from sqlalchemy import text

from services.kit.db import Database

BATCH = 50  # rows of a table at a time

WRONG = Counter("hitok_counter_drift", "Counters found to differ from the rows they count", ["counter"])
CHECKED = Counter("hitok_counter_checked", "Rows whose counters were compared with what they count", ["table"])

# What each counter of a row must be; by the order of the key, and with indexes that lead to the rows counted.
TABLES = {
    "video": (
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
    "comment": (
        "id",
        "deleted_at IS NULL",
        {
            "like_count": "SELECT count(*) FROM comment_like WHERE comment_id = row.id AND NOT withdrawn",
            "reply_count": """SELECT count(*) FROM comment c
                WHERE c.father_id = row.id AND c.id <> row.id AND c.deleted_at IS NULL""",
        },
    ),
    "shelf": (
        "owner_id",
        "true",
        {
            f"{name}_count": f"""SELECT count(*) FROM video
                WHERE owner_id = row.owner_id AND visibility = {kind} AND deleted_at IS NULL"""  # noqa: S608
            for kind, name in enumerate(("public", "friends", "private"))
        },
    ),
}


def _query(table: str) -> str:
    key, live, counters = TABLES[table]
    wrong = [f"count(*) FILTER (WHERE {counter} <> ({right})) AS {counter}" for counter, right in counters.items()]
    return f"""SELECT max({key}) AS last, count(*) AS checked, {", ".join(wrong)} FROM
        (SELECT * FROM {table} WHERE {live} AND {key} > :after ORDER BY {key} LIMIT {BATCH}) AS row"""  # noqa: S608


QUERIES = {table: text(_query(table)) for table in TABLES}


class Patrol:
    def __init__(self) -> None:
        self._after = dict.fromkeys(TABLES, 0)
        for table, (_, _, counters) in TABLES.items():
            for counter in counters:
                WRONG.labels(f"{table}.{counter}")

    async def step(self, database: Database) -> int:
        """The next rows of each table, the first ones after the last; how many counters were wrong.

        A row and what it counts are read by one statement, so of one moment.
        """
        found = 0
        for table, (_, _, counters) in TABLES.items():
            async with database.transaction() as connection:
                row = (await connection.execute(QUERIES[table], {"after": self._after[table]})).one()
            self._after[table] = row.last if row.checked == BATCH else 0
            CHECKED.labels(table).inc(row.checked)
            for counter in counters:
                wrong = getattr(row, counter)
                WRONG.labels(f"{table}.{counter}").inc(wrong)
                found += wrong
        return found
