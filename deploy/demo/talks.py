"""What people write to each other, alone and in groups."""

from collections.abc import Mapping, Sequence
from functools import partial

from deploy.demo.stage import Stage
from deploy.demo.story import Chat, Group, Line


async def talk(stage: Stage, groups: Mapping[str, str]) -> None:
    await stage.perform("chats", partial(_talk_alone, stage), stage.story.chats)
    await stage.perform("meetings", lambda group: _talk_in_group(stage, group, groups[group.name]), stage.story.groups)


async def _talk_alone(stage: Stage, chat: Chat) -> None:
    one, other = (stage.players[key] for key in chat.between)
    to = {one.person.key: {"user_id": other.id}, other.person.key: {"user_id": one.id}}
    await _say_all(stage, "+".join(chat.between), chat.talk, to)


async def _talk_in_group(stage: Stage, group: Group, id: str) -> None:
    to = {key: {"group_id": id} for key in (group.owner, *group.members)}
    await _say_all(stage, group.name, group.talk, to)


async def _say_all(stage: Stage, name: str, lines: Sequence[Line], to: Mapping[str, Mapping[str, str]]) -> None:
    for number, (key, text) in enumerate(lines):
        message = {"client_msg_id": stage.draw.message_id(name, number), "content_type": "text", "body": {"text": text}}
        ack = await stage.players[key].post("/api/chat/send", to=to[key], **message)
        stage.added["messages"] += not ack["duplicate"]
