"""Profiles that moderators hide or reset: name, picture and bio."""

import secrets

from sqlalchemy import func

from services.kit.sql.connection import AsyncConnection
from services.user import events
from services.user.accounts import change_account
from services.user.identities.lookalikes import skeleton
from services.user.identities.parsing import username_key
from services.user.messages import plain_name


async def set_hidden(connection: AsyncConnection, user_id: int, hidden: bool) -> None:
    """Of a locked account. Others see a plain name, no picture and no bio, and the search does not find it."""
    await change_account(connection, user_id, profile_hidden_at=func.now() if hidden else None)
    await events.profile_updated(connection, user_id)


async def reset(connection: AsyncConnection, user_id: int) -> None:
    """Writes a plain name, no picture and no bio into a locked account. The user may choose others."""
    name = f"{plain_name(user_id)}-{secrets.token_hex(3)}"  # which nobody can have taken before
    names = {"username": name, "username_key": username_key(name), "username_skeleton": skeleton(name)}
    await change_account(connection, user_id, **names, nickname=name, avatar="", bio="", profile_hidden_at=None)
    await events.profile_updated(connection, user_id)
