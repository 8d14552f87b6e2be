"""Who may react: who may write to the conversation."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from services.chat.reactions.writing import Change
from services.kit.context import Caller
from services.kit.errors import HitokError

RequireWriter = Callable[[Caller, tuple[str, int]], Awaitable[Any]]


async def check(require_writer: RequireWriter, changes: Sequence[Change]) -> list[HitokError | None]:
    """What each change is refused with; None: nothing. Look-ups made at the same moment travel in one call."""
    asked = list(dict.fromkeys((change.user_id, change.key.conversation_id) for change in changes))
    refusals = await asyncio.gather(*(_refusal(require_writer, *each) for each in asked))
    found = dict(zip(asked, refusals, strict=True))
    return [found[change.user_id, change.key.conversation_id] for change in changes]


async def _refusal(require_writer: RequireWriter, user_id: int, conversation_id: int) -> HitokError | None:
    try:
        await require_writer(Caller(user_id), ("conversation_id", conversation_id))
    except HitokError as error:
        return error
    return None
