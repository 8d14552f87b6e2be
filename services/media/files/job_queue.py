"""Adds to the table `job`, from which processing/jobs.py takes its work."""

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert

from services.kit.sql.connection import AsyncConnection
from services.media.models import Job


async def add_job(connection: AsyncConnection, hash: str, profile: str) -> None:
    """Adds a job, or makes it due again if it exists."""
    row = insert(Job).values(object_hash=hash, profile=profile)
    anew = {"due_at": func.now(), "attempts": 0, "reason": ""}
    await connection.execute(row.on_conflict_do_update(index_elements=["object_hash", "profile"], set_=anew))
