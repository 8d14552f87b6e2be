"""What users set about being contacted. A user who set nothing has the defaults."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.context import Caller
from services.social.errors import SettingInvalid
from services.social.friends.friendships import lock_users
from services.social.models import ASK, EVERYONE, NOBODY, ContactSettings


async def get_who_may_add(connection: AsyncConnection, caller: Caller) -> int:
    query = select(ContactSettings.who_may_add).where(ContactSettings.user_id == caller.user_id)
    return (await connection.execute(query)).scalar_one_or_none() or EVERYONE


async def set_who_may_add(connection: AsyncConnection, caller: Caller, who_may_add: int) -> None:
    """Whoever adds the caller at this moment does so before or after it. Raises SettingInvalid."""
    if who_may_add not in (EVERYONE, ASK, NOBODY):
        raise SettingInvalid
    await lock_users(connection, caller.user_id)
    row = insert(ContactSettings).values(user_id=caller.user_id, who_may_add=who_may_add)
    changed = row.on_conflict_do_update(index_elements=["user_id"], set_={"who_may_add": who_may_add})
    await connection.execute(changed)
