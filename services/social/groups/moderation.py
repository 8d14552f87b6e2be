"""Takes groups from everybody's sight, brings them back, or dismisses them, as moderators decide (docs/moderation.md).

Nobody finds, opens, joins or changes a hidden group, and the chat asks here who may write. Its members stay members.
`moderation_event` is the id of the last event applied: an older one, delivered late, changes nothing.
"""

from typing import Any

from sqlalchemy import func, select, update

from services.kit.nats import Event
from services.kit.sql.connection import AsyncConnection
from services.social import events
from services.social.groups.groups import dismiss
from services.social.models import Group, Member

SUBJECTS = [f"events.user.moderation.{verb}" for verb in ("hidden", "restored", "removed")]
NOBODY = 0  # the actor of an event that no user of the app caused


async def apply_event(connection: AsyncConnection, event: Event) -> None:
    """Applies an event of one of SUBJECTS; those about other kinds of things change nothing."""
    if event.data["kind"] != "group":
        return
    group_id, verb = int(event.data["subject_id"]), event.subject.rpartition(".")[2]
    newer = (Group.id == group_id, Group.dismissed_at.is_(None), Group.moderation_event < event.id)
    group = (await connection.execute(select(Group.__table__).where(*newer).with_for_update())).one_or_none()
    if group is None:
        return
    hidden_at = None if verb == "restored" else group.hidden_at or func.now()
    change = update(Group).where(Group.id == group_id).values(moderation_event=event.id, hidden_at=hidden_at)
    await connection.execute(change)
    if verb == "removed":
        await dismiss(connection, group, NOBODY)
    else:
        await _tell(connection, group, hidden=verb == "hidden")


async def _tell(connection: AsyncConnection, group: Any, hidden: bool) -> None:
    members = select(Member.user_id).where(Member.group_id == group.id).order_by(Member.id)
    member_ids = (await connection.execute(members)).scalars().all()
    await events.group_moderated(connection, group, member_ids, hidden)
