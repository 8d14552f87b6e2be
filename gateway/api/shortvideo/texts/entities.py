"""Tags and mentions in texts: who is mentioned, when a text is written, and where they are, when it is shown."""

import asyncio
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from gateway.container import Call
from services.entities.parsing import Entity, entities_in, names_in


class TextEntity(Struct):
    """A tag or a mention in a text. `offset` and `length`, the sign included, count Unicode code points, not UTF-16
    units or bytes. `tag` names the tag's page; `user_id` is the user who is mentioned. The other one is empty."""

    kind: Literal["tag", "mention"]
    offset: int
    length: int
    tag: str
    user_id: str


def text_entities(text: str, users: Mapping[str, int]) -> list[TextEntity]:
    """`users`: by name. A name of nobody there is text."""
    return [_view(each, users) for each in entities_in(text) if each.kind == "tag" or each.key in users]


def _view(entity: Entity, users: Mapping[str, int]) -> TextEntity:
    is_tag = entity.kind == "tag"
    user_id = "" if is_tag else str(users[entity.key])
    return TextEntity(entity.kind, entity.offset, entity.length, entity.key if is_tag else "", user_id)


async def mentioned_users(call: Call, *texts: str) -> dict[str, int]:
    """By name, the users whom the texts name and whom the caller may mention, themselves included. While the social
    service is away these are none: a text is worth more than a mention."""
    names = names_in(*texts)
    if not names:
        return {}
    found = await asyncio.gather(*map(call.container.names.load, names))
    ids = {name: user.user_id for name, user in zip(names, found, strict=True) if user}
    checks = await call.container.sights.of(call.caller.user_id, ids.values())
    return {
        name: id
        for name in names
        if (id := ids.get(name)) and (id == call.caller.user_id or (id in checks and checks[id].may_mention))
    }
