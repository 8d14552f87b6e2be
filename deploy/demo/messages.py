"""Sends the messages between two users and in groups."""

from collections.abc import Mapping, Sequence
from functools import partial

from deploy.demo.demo_run import DemoRun
from deploy.demo.story import Chat, Group, Line


async def send_messages(run: DemoRun, groups: Mapping[str, str]) -> None:
    await run.for_each("chats", partial(_send_to_each_other, run), run.story.chats)
    await run.for_each("meetings", lambda group: _send_to_group(run, group, groups[group.name]), run.story.groups)


async def _send_to_each_other(run: DemoRun, chat: Chat) -> None:
    one, other = (run.users[key] for key in chat.between)
    to = {one.person.key: {"user_id": other.id}, other.person.key: {"user_id": one.id}}
    await _send_all(run, "+".join(chat.between), chat.talk, to)


async def _send_to_group(run: DemoRun, group: Group, id: str) -> None:
    to = {key: {"group_id": id} for key in (group.owner, *group.members)}
    await _send_all(run, group.name, group.talk, to)


async def _send_all(run: DemoRun, name: str, lines: Sequence[Line], to: Mapping[str, Mapping[str, str]]) -> None:
    for number, (key, text) in enumerate(lines):
        message = {
            "client_msg_id": run.choices.message_id(name, number),
            "content_type": "text",
            "body": {"text": text},
        }
        ack = await run.users[key].post("/api/chat/send", to=to[key], **message)
        run.added["messages"] += not ack["duplicate"]
        await _react(run, name, number, ack, [other for other in to if other != key])


async def _react(run: DemoRun, name: str, number: int, ack: Mapping[str, str], others: Sequence[str]) -> None:
    """Some of those who read a message react to it; repeating that changes nothing."""
    for key, emoji in run.choices.reactions(name, number, others):
        of = {"conversation_id": ack["conversation_id"], "seq": ack["seq"]}
        await run.users[key].post("/api/chat/react", **of, emoji=emoji)
