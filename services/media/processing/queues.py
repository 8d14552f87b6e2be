"""How many jobs of processing wait, are at work and failed. The metrics count them whatever their kind."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text

from services.kit.context import Caller
from services.kit.roles import is_admin
from services.kit.sql.connection import AsyncConnection
from services.media.errors import NotPermitted

MOST = 10_000  # rows of each state that are counted

# A job that is due in the future is held by a worker, or postponed after a failure.
# The covers of chosen times are one kind.
COUNT = text("""
WITH open AS (
    (SELECT profile, due_at <= now() AS is_due, due_at FROM job WHERE due_at <= now() ORDER BY due_at LIMIT :most)
    UNION ALL (SELECT profile, false, due_at FROM job WHERE due_at > now() LIMIT :most)
), ended AS (
    SELECT profile FROM job
    WHERE started_at > now() - interval '1 day' AND due_at IS NULL AND reason <> '' ORDER BY started_at LIMIT :most
), counted AS (
    SELECT profile, count(*) FILTER (WHERE is_due) AS due, count(*) FILTER (WHERE NOT is_due) AS held, 0 AS failed,
        extract(epoch FROM now() - min(due_at) FILTER (WHERE is_due)) AS wait
    FROM open GROUP BY profile
    UNION ALL SELECT profile, 0, 0, count(*), 0 FROM ended GROUP BY profile
)
SELECT regexp_replace(profile, '^(cover-at)-.*', '\\1') AS kind, sum(due)::bigint AS due, sum(held)::bigint AS held,
    sum(failed)::bigint AS failed, coalesce(max(wait), 0)::bigint AS wait
FROM counted GROUP BY 1 ORDER BY 1""")


async def count_jobs(connection: AsyncConnection, caller: Caller) -> Sequence[Row[Any]]:
    """Per kind: `due`, `held`, `failed` within a day, and the seconds that the first waited. Raises NotPermitted."""
    if not is_admin(caller.role):
        raise NotPermitted
    return (await connection.execute(COUNT, {"most": MOST})).all()
