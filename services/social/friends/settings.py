"""The users' settings of who may contact them and who sees what of them. A user without a row has the defaults."""

from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, and_, case, false, func, or_, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.social import events
from services.social.errors import SettingInvalid
from services.social.locks import lock_users
from services.social.models import ASK, EVERYONE, FRIENDS, NOBODY, ContactSettings, Friendship
from services.social.queries import probe


class Settings(NamedTuple):
    """A user's settings, with the default of each."""

    who_may_add: int = EVERYONE
    who_sees_presence: int = EVERYONE
    who_sees_last_login: int = FRIENDS
    who_may_follow: int = EVERYONE
    who_may_mention: int = EVERYONE


VALUES = {
    "who_may_add": (EVERYONE, ASK, NOBODY),
    "who_sees_presence": (EVERYONE, FRIENDS, NOBODY),
    "who_sees_last_login": (EVERYONE, FRIENDS, NOBODY),
    "who_may_follow": (EVERYONE, ASK),
    "who_may_mention": (EVERYONE, FRIENDS, NOBODY),
}
DEFAULTS = Settings()


async def get_settings(connection: AsyncConnection, caller: Caller) -> Settings:
    query = select(*(getattr(ContactSettings, name) for name in Settings._fields))
    row = (await connection.execute(query.where(ContactSettings.user_id == caller.user_id))).one_or_none()
    return Settings(*row) if row else DEFAULTS


async def set_settings(connection: AsyncConnection, caller: Caller, changes: dict[str, int]) -> None:
    """Sets the given ones. Whoever adds the caller at this moment does so before or after it. Raises SettingInvalid."""
    if any(value not in VALUES[name] for name, value in changes.items()):
        raise SettingInvalid
    if not changes:
        return
    await lock_users(connection, caller.user_id)
    row = insert(ContactSettings).values(user_id=caller.user_id, **changes)
    await connection.execute(row.on_conflict_do_update(index_elements=["user_id"], set_=changes))
    if "who_sees_presence" in changes:
        await events.user_presence_changed(connection, caller.user_id)


def setting_of(user: Any, name: str) -> ColumnElement[Any]:
    """SQL of the user's setting."""
    return func.coalesce(
        probe(getattr(ContactSettings, name), ContactSettings.user_id == user), getattr(DEFAULTS, name)
    )


def shows_presence(user: Any, viewer: Any) -> ColumnElement[bool]:
    """SQL of whether the user lets the viewer, who shares a group with them, see that they are online."""
    setting = setting_of(user, "who_sees_presence")
    agreed = probe(Friendship.agreed, Friendship.user_id == user, Friendship.friend_id == viewer)
    return or_(user == viewer, setting == EVERYONE, and_(setting == FRIENDS, func.coalesce(agreed, False)))


def shows_last_login(user: Any, viewer: Any) -> ColumnElement[bool]:
    """SQL of whether the user lets the viewer see when they last logged in, if no block is between them."""
    theirs = aliased(Friendship)
    agreed = probe(theirs.agreed, theirs.user_id == user, theirs.friend_id == viewer)
    shown = case(
        {EVERYONE: true(), NOBODY: false()},
        value=setting_of(user, "who_sees_last_login"),
        else_=func.coalesce(agreed, false()),
    )
    return cast(ColumnElement[bool], shown)
