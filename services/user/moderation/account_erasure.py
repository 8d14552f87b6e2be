"""What moderation keeps of a deleted account: that there were reports and acts, but nothing that the user wrote."""

from sqlalchemy import delete, select, update

from services.kit.sql.connection import AsyncConnection
from services.user.moderation.models import Appeal, Case, Report


async def forget(connection: AsyncConnection, user_id: int) -> None:
    """Deletes the user's own reports, and empties what was kept and said of them and by them. The account is locked."""
    await connection.execute(delete(Report).where(Report.reporter_id == user_id))
    theirs = update(Appeal).where(Appeal.user_id == user_id)
    await connection.execute(theirs.values(words="", answer=""))
    about = select(Case.id).where(Case.owner_id == user_id)
    await connection.execute(update(Report).where(Report.case_id.in_(about)).values(note="", snapshot=""))
    await connection.execute(update(Case).where(Case.owner_id == user_id).values(snapshot=""))
