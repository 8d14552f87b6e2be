"""Stores files that were made of other files, such as covers and renditions, as objects of their own."""

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.kit.sql.connection import AsyncConnection
from services.media.files import ingest, references
from services.media.files.probe import Facts
from services.media.models import Derivative
from services.media.resources import Resources
from services.media.storage import measure


async def keep(service: Resources, source: str, profile: str, path: Path, facts: Facts) -> str:
    """Stores a file as the derivative `profile` of `source`. Returns the name under which it is served."""
    file = await measure(path)

    async def derive(connection: AsyncConnection) -> None:
        """Replaces what an interrupted attempt stored, if its bytes differ."""
        of = (Derivative.source_hash == source, Derivative.profile == profile)
        before = (await connection.execute(select(Derivative.object_hash).where(*of))).scalar_one_or_none()
        row = insert(Derivative).values(source_hash=source, profile=profile, object_hash=file.hash)
        values = {"object_hash": row.excluded.object_hash}
        await connection.execute(row.on_conflict_do_update(index_elements=["source_hash", "profile"], set_=values))
        if before not in (None, file.hash):
            await references.drop_unused(connection, before)

    details = await ingest.store(service, file, facts, derive)
    return f"{details.row.hash}.{details.row.extension}"
