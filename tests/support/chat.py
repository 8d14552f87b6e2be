"""The chat service in this process, behind a real port, with a real social service, and helpers for tests of both."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
from nats.aio.msg import Msg
from sqlalchemy import text

from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1 import marks_pb2 as marks_pb
from protos.chat.v1 import pins_pb2 as pins_pb
from protos.chat.v1 import reactions_pb2 as reactions_pb
from protos.chat.v1 import sockets_pb2 as sockets_pb
from protos.chat.v1.conversations_pb2_grpc import ConversationsStub
from protos.chat.v1.marks_pb2_grpc import MarksStub
from protos.chat.v1.pins_pb2_grpc import PinsStub
from protos.chat.v1.reactions_pb2_grpc import ReactionsStub
from protos.chat.v1.sockets_pb2_grpc import NotificationsStub, PresenceStub, TicketsStub
from services.chat.admin import FAULTS
from services.chat.config import SERVICE, ChatSettings
from services.chat.consumer import consuming
from services.chat.service import MIGRATIONS, Service, open_service
from services.chat.servicers import PROTOS, register
from services.kit import schema
from services.kit.process.commands import count_faults
from services.kit.rpc.channel import open_channel
from tests.support import social as graph
from tests.support.processes import SECRETS, service_settings, serving
from tests.support.servers import Servers, private_nats
from tests.support.social import act

JWT_SECRET = SECRETS["HITOK_JWT_SECRET"]
SESSION = 77


@dataclass(frozen=True, slots=True)
class Running:
    settings: ChatSettings
    service: Service
    target: str
    conversations: ConversationsStub
    tickets: TicketsStub
    presence: PresenceStub
    notifications: NotificationsStub
    marks: MarksStub
    reactions: ReactionsStub
    pins: PinsStub


def chat_settings(postgres_url: str, servers: Servers, folder: Path, social_target: str, **more: str) -> ChatSettings:
    more = {"HITOK_SOCIAL_TARGET": social_target} | more
    return service_settings(ChatSettings, SERVICE, postgres_url, servers, folder, **more)


@asynccontextmanager
async def running_chat_service(settings: ChatSettings) -> AsyncIterator[Running]:
    schema.upgrade(settings.postgres_url, MIGRATIONS)
    async with open_service(settings) as service, consuming(service):
        async with serving(settings, PROTOS, partial(register, service)) as (target, channel):
            yield _running(settings, service, target, channel)


@asynccontextmanager
async def connected(settings: ChatSettings, target: str) -> AsyncIterator[Running]:
    """Stubs of a service that runs at `target` already."""
    async with open_channel(target, settings, PROTOS) as channel:
        yield _running(settings, None, target, channel)


def _running(settings: ChatSettings, service: Any, target: str, channel: grpc.aio.Channel) -> Running:
    stubs = ConversationsStub(channel), TicketsStub(channel), PresenceStub(channel), NotificationsStub(channel)
    return Running(settings, service, target, *stubs, MarksStub(channel), ReactionsStub(channel), PinsStub(channel))


@asynccontextmanager
async def running_pair(
    servers: Servers, social: graph.Running, folder: Path, name: str, **more: str
) -> AsyncIterator[Running]:
    """A separate chat service over the given social service, with a NATS of its own unless HITOK_NATS_URL is given.

    Two chat services on one NATS have the same durable consumers: each would get a part of the events only.
    """
    with ExitStack() as stack:
        if "HITOK_NATS_URL" not in more:
            more["HITOK_NATS_URL"] = stack.enter_context(private_nats(folder)).url
        settings = chat_settings(servers.create_database(name), servers, folder, social.target, **more)
        async with running_chat_service(settings) as running:
            yield running


def direct(user_id: int) -> pb.Target:
    return pb.Target(user_id=user_id)


def group(group_id: int) -> pb.Target:
    return pb.Target(group_id=group_id)


def conversation(conversation_id: int) -> pb.Target:
    return pb.Target(conversation_id=conversation_id)


def new_key() -> str:
    return str(uuid.uuid4())


def say(
    to: pb.Target, body: Any = "hi", key: str = "", kind: str = "text", reply_to: int = 0, mentions: Sequence[int] = ()
) -> pb.SendRequest:
    return pb.SendRequest(
        to=to,
        client_msg_id=key or new_key(),
        content_type=kind,
        body=json.dumps({"text": body} if isinstance(body, str) else body).encode(),
        reply_to_seq=reply_to,
        mentions=mentions,
    )


async def send(chat: Running, user_id: int, to: pb.Target, body: Any = "hi", **more: Any) -> pb.SendResponse:
    answer: pb.SendResponse = await act(user_id, chat.conversations.Send, say(to, body, **more))
    return answer


async def edit(chat: Running, user_id: int, conversation_id: int, seq: int, body: Any = "edited") -> int:
    encoded = json.dumps({"text": body}).encode()
    request = pb.EditRequest(conversation_id=conversation_id, seq=seq, body=encoded)
    return int((await act(user_id, chat.conversations.Edit, request)).rev)


async def recall(chat: Running, user_id: int, conversation_id: int, seq: int) -> int:
    request = pb.RecallRequest(conversation_id=conversation_id, seq=seq)
    return int((await act(user_id, chat.conversations.Recall, request)).rev)


async def read(chat: Running, user_id: int, conversation_id: int, seq: int) -> pb.MarkReadResponse:
    request = pb.MarkReadRequest(conversation_id=conversation_id, seq=seq)
    answer: pb.MarkReadResponse = await act(user_id, chat.conversations.MarkRead, request)
    return answer


async def deliver(chat: Running, user_id: int, conversation_id: int, seq: int) -> int:
    request = pb.MarkDeliveredRequest(conversation_id=conversation_id, seq=seq)
    return int((await act(user_id, chat.conversations.MarkDelivered, request)).delivered_seq)


async def deliver_all(chat: Running, *delivered: tuple[int, int, int]) -> None:
    """User id, conversation id and seq of each; as a gateway reports it."""
    each = [pb.Delivered(user_id=user, conversation_id=id, seq=seq) for user, id, seq in delivered]
    await act(0, chat.conversations.BatchMarkDelivered, pb.BatchMarkDeliveredRequest(delivered=each))


async def history(
    chat: Running, user_id: int, conversation_id: int, before: int = 0, limit: int = 100
) -> list[pb.Message]:
    request = pb.GetHistoryRequest(conversation_id=conversation_id, before_seq=before, limit=limit)
    return list((await act(user_id, chat.conversations.GetHistory, request)).messages)


async def whole_history(chat: Running, user_id: int, conversation_id: int) -> list[pb.Message]:
    """Oldest first."""
    messages: list[pb.Message] = []
    while page := await history(chat, user_id, conversation_id, messages[-1].seq if messages else 0):
        messages += page
    return messages[::-1]


async def listed(chat: Running, user_id: int, limit: int = 500) -> list[pb.Conversation]:
    found: list[pb.Conversation] = []
    request = pb.ListConversationsRequest(limit=limit)
    while True:
        answer = await act(user_id, chat.conversations.ListConversations, request)
        found += answer.conversations
        if not answer.next_cursor:
            return found
        request.cursor = answer.next_cursor


async def sync(chat: Running, user_id: int, points: dict[int, int]) -> dict[int, pb.Sync]:
    request = pb.BatchSyncRequest(points=[pb.SyncPoint(conversation_id=c, from_rev=rev) for c, rev in points.items()])
    answer = await act(user_id, chat.conversations.BatchSync, request)
    return {each.conversation_id: each for each in answer.syncs}


async def search(
    chat: Running, user_id: int, words: str, conversation_id: int = 0, limit: int = 20, **filters: Any
) -> list[pb.Message]:
    """All pages."""
    found: list[pb.Message] = []
    request = pb.SearchMessagesRequest(text=words, conversation_id=conversation_id, limit=limit, **filters)
    while True:
        answer = await act(user_id, chat.conversations.SearchMessages, request)
        found += answer.messages
        if not answer.next_cursor:
            return found
        request.cursor = answer.next_cursor


async def answer(chat: Running, user_id: int, conversation_id: int, accept: bool) -> None:
    """Accepts a message request, or declines it."""
    request = pb.AnswerRequestRequest(conversation_id=conversation_id, accept=accept)
    await graph.act(user_id, chat.conversations.AnswerRequest, request)


async def hide(chat: Running, user_id: int, conversation_id: int, hidden: bool = True) -> marks_pb.Mark:
    request = marks_pb.HideConversationRequest(conversation_id=conversation_id, hidden=hidden)
    mark: marks_pb.Mark = await graph.act(user_id, chat.marks.HideConversation, request)
    return mark


async def mute(chat: Running, user_id: int, conversation_id: int, muted: bool = True, until: int = 0) -> marks_pb.Mark:
    request = marks_pb.MuteConversationRequest(conversation_id=conversation_id, muted=muted, until=until)
    mark: marks_pb.Mark = await graph.act(user_id, chat.marks.MuteConversation, request)
    return mark


async def pin(chat: Running, user_id: int, conversation_id: int, pinned: bool = True) -> marks_pb.Mark:
    request = marks_pb.PinConversationRequest(conversation_id=conversation_id, pinned=pinned)
    mark: marks_pb.Mark = await graph.act(user_id, chat.marks.PinConversation, request)
    return mark


async def delete(chat: Running, user_id: int, conversation_id: int) -> marks_pb.Mark:
    """Deletes the conversation for the user alone."""
    request = marks_pb.DeleteConversationRequest(conversation_id=conversation_id)
    mark: marks_pb.Mark = await graph.act(user_id, chat.marks.DeleteConversation, request)
    return mark


async def marks_since(chat: Running, user_id: int, from_rev: int = 0, limit: int = 500) -> marks_pb.ListMarksResponse:
    request = marks_pb.ListMarksRequest(from_rev=from_rev, limit=limit)
    page: marks_pb.ListMarksResponse = await graph.act(user_id, chat.marks.ListMarks, request)
    return page


async def react_all(
    chat: Running, *changes: tuple[int, int, int, str, bool]
) -> list[reactions_pb.MessageReactions | str]:
    """User id, conversation id, seq, emoji and whether it is added; the reactions to each, or the refusal's reason."""
    asked = [
        reactions_pb.ReactionChange(user_id=user, conversation_id=id, seq=seq, emoji=emoji, reacted=reacted)
        for user, id, seq, emoji, reacted in changes
    ]
    answer = await act(0, chat.reactions.SetReactions, reactions_pb.SetReactionsRequest(changes=asked))
    return [each.reactions if each.HasField("reactions") else each.refusal.reason for each in answer.outcomes]


async def react(
    chat: Running, user_id: int, conversation_id: int, seq: int, emoji: str = "👍", reacted: bool = True
) -> reactions_pb.MessageReactions | str:
    (outcome,) = await react_all(chat, (user_id, conversation_id, seq, emoji, reacted))
    return outcome


async def pin_message(chat: Running, user_id: int, conversation_id: int, seq: int, pinned: bool = True) -> int:
    """For all members; the rev."""
    request = pins_pb.PinMessageRequest(conversation_id=conversation_id, seq=seq, pinned=pinned)
    return int((await act(user_id, chat.pins.PinMessage, request)).rev)


async def pinned(chat: Running, user_id: int, conversation_id: int) -> list[int]:
    """The seqs, the last pinned first."""
    request = pins_pb.ListPinnedMessagesRequest(conversation_id=conversation_id)
    answer = await act(user_id, chat.pins.ListPinnedMessages, request)
    assert [each.seq for each in answer.messages] == [each.seq for each in answer.pins.pins]
    return [each.seq for each in answer.messages]


async def say_typing(chat: Running, user_id: int, conversation_id: int) -> None:
    request = pb.SendTypingRequest(conversation_id=conversation_id, active=True, connection_id="one")
    await graph.act(user_id, chat.conversations.SendTyping, request)


async def new_ticket(chat: Running, user_id: int, session_id: int = SESSION, role: int = 1) -> str:
    holder = sockets_pb.TicketHolder(user_id=user_id, session_id=session_id, role=role)
    answer = await chat.tickets.BatchCreateTickets(sockets_pb.BatchCreateTicketsRequest(holders=[holder]))
    return answer.tickets[0]


async def redeem(chat: Running, *tickets: str) -> list[sockets_pb.TicketHolder]:
    request = sockets_pb.BatchRedeemTicketsRequest(tickets=tickets)
    return list((await chat.tickets.BatchRedeemTickets(request)).holders)


async def notifications(
    chat: Running, user_id: int, before: int = 0, limit: int = 100
) -> list[sockets_pb.Notification]:
    request = sockets_pb.ListNotificationsRequest(before=before, limit=limit)
    return list((await act(user_id, chat.notifications.ListNotifications, request)).notifications)


async def friends(social: graph.Running, count: int = 2) -> list[int]:
    """New users, all friends of each other, to which all agreed."""
    users = graph.new_users(count)
    for i, user in enumerate(users):
        for other in users[i + 1 :]:
            await graph.add(social, user, other)
            await graph.add(social, other, user)
    return users


async def execute(chat: Running, statement: str, **values: Any) -> list[Any]:
    """Runs a statement in the service's database and returns its rows, if there are any."""
    async with chat.service.database.transaction() as connection:
        result = await connection.execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []


async def faults(chat: Running) -> dict[str, int]:
    """What the `check` command finds in all that tests have left."""
    async with chat.service.database.transaction() as connection:
        return {what: count for what, count in (await count_faults(connection, FAULTS)).items() if count}


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 30) -> Any:
    """Waits until `condition` returns something true, and returns that."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (result := await condition()):
        assert asyncio.get_running_loop().time() < deadline, "it never came"
        await asyncio.sleep(0.02)
    return result


async def members_of(chat: Running, group_id: int) -> set[int]:
    query = """SELECT user_id FROM conversation_member JOIN conversation ON id = conversation_id
     WHERE group_id = :group_id AND left_at IS NULL"""
    return {row.user_id for row in await execute(chat, query, group_id=group_id)}


async def group_conversation(chat: Running, group_id: int, *user_ids: int) -> int:
    """The conversation's id, once it has exactly those members."""

    async def there() -> bool:
        return await members_of(chat, group_id) == set(user_ids)

    await until(there)
    rows = await execute(chat, "SELECT id FROM conversation WHERE group_id = :id", id=group_id)
    return int(rows[0].id)


class Frames:
    """The pushes as gateways get them: (subject, headers, frame)."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    async def take(self, message: Msg) -> None:
        self.seen.append((message.subject, dict(message.headers or {}), json.loads(message.data)))

    def of(self, subject: str, kind: str = "") -> list[dict[str, Any]]:
        return [frame["data"] for name, _, frame in self.seen if name == subject and kind in ("", frame["type"])]

    async def expect(self, subject: str, type: str, /, **match: Any) -> dict[str, Any]:
        async def found() -> dict[str, Any] | None:
            wanted = (data for data in self.of(subject, type) if match.items() <= data.items())
            return next(wanted, None)

        return dict(await until(found))


@asynccontextmanager
async def watching(chat: Running, subject: str = "push.>") -> AsyncIterator[Frames]:
    frames = Frames()
    subscription = await chat.service.nats.subscribe(subject, cb=frames.take)
    await chat.service.nats.flush()
    yield frames
    await subscription.unsubscribe()
