"""What goes with a message that is recalled, by its sender, by a moderator or with an account: the reactions to it, and
that it is pinned."""

from collections.abc import Sequence

from services.chat.messages import MessageKey
from services.chat.pins import pins
from services.chat.reactions import removal
from services.kit.sql.connection import AsyncConnection


async def forget(connection: AsyncConnection, keys: Sequence[MessageKey]) -> None:
    """Of messages of locked conversations, whose revs are raised already."""
    await removal.remove_of(connection, keys)
    await pins.forget(connection, keys)
