"""A chat service without a database: the contract's answers and pushes, and faults on demand."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from nats.aio.client import Client as Nats

from gateway.chat.client import CHAT_PROTOS
from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1 import sockets_pb2 as sockets_pb
from protos.chat.v1.conversations_pb2_grpc import ConversationsServicer, add_ConversationsServicer_to_server
from protos.chat.v1.sockets_pb2_grpc import (
    NotificationsServicer,
    PresenceServicer,
    TicketsServicer,
    add_NotificationsServicer_to_server,
    add_PresenceServicer_to_server,
    add_TicketsServicer_to_server,
)
from services.chat.sending import batch_send
from services.client_json import chat as client_json
from services.kit.config import ServiceSettings, load
from services.kit.context import current_caller
from services.kit.cursor import decode_cursor, encode_cursor
from services.kit.errors import Forbidden, HitokError, NotFound
from services.kit.nats import open_nats
from services.kit.process.server import build
from tests.support.gateway import INTERNAL_SECRET
from tests.support.servers import Servers


class NotFriends(Forbidden):
    pass


class ConversationNotFound(NotFound):
    pass


@dataclass
class Conversation:
    id: int
    members: set[int]
    rev: int = 0
    messages: list[pb.Message] = field(default_factory=list)
    read: dict[int, int] = field(default_factory=dict)
    joined: dict[int, int] = field(default_factory=dict)  # the seq beyond which one sees
    delivered: dict[int, int] = field(default_factory=dict)
    direct: bool = False


class FakeChat(ConversationsServicer, TicketsServicer, PresenceServicer, NotificationsServicer):
    """`faults`: what an RPC raises instead, `hitches`: once; `gates`: what it waits for; `mute`: pushes get lost."""

    def __init__(self, nats: Nats) -> None:
        self.nats, self.target = nats, ""
        self.conversations: dict[int, Conversation] = {}
        self.tickets: dict[str, sockets_pb.TicketHolder] = {}
        self.strangers: set[int] = set()
        self.hellos: list[list[int]] = []  # whose lists were asked for in one call
        self.sends: list[list[int]] = []  # who sent in one call
        self.send_bytes: list[int] = []
        self.crowded: set[int] = set()  # for whose list an answer for many has no room
        self.broken: set[int] = set()  # whose list cannot be read
        self.online: dict[str, int] = {}  # users by connection
        self.requested: dict[int, int] = {}  # by user, when they made their last request
        self.reports: list[list[int]] = []  # whose connections and requests were reported in one call
        self.loses_reports = False  # as without Valkey
        self.faults: dict[str, HitokError] = {}
        self.hitches: dict[str, HitokError] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.waiting: set[str] = set()
        self.mute = False
        self._ids = itertools.count(900_000_000_000_000_000)

    async def _enter(self, name: str) -> int:
        if name in self.gates:
            self.waiting.add(name)
            await self.gates[name].wait()
        if hitch := self.hitches.pop(name, None):
            raise hitch
        if name in self.faults:
            raise self.faults[name]
        return current_caller.get().user_id

    @contextmanager
    def holding(self, name: str) -> Iterator[None]:
        """In the block calls of that RPC do not get an answer; `waiting` says once one came."""
        self.waiting.discard(name)
        gate = self.gates[name] = asyncio.Event()
        try:
            yield
        finally:
            del self.gates[name]
            gate.set()

    def create(self, *members: int) -> int:
        conversation = Conversation(next(self._ids), set(members))
        self.conversations[conversation.id] = conversation
        return conversation.id

    async def push(self, subject: str, type: str, data: Any, **headers: str) -> None:
        if not self.mute and self.nats.is_connected:
            await self.nats.publish(subject, msgspec.json.encode({"type": type, "data": data}), headers=headers or None)

    async def join(self, conversation_id: int, user_id: int) -> None:
        conversation = self.conversations[conversation_id]
        conversation.members.add(user_id)
        conversation.joined[user_id] = len(conversation.messages)
        data = {"conversation_id": str(conversation_id), "rev": conversation.rev}
        data |= {"last_seq": conversation.joined[user_id]}
        await self.push(f"push.user.{user_id}", "conversation", data, joined=str(conversation_id))

    async def remove(self, conversation_id: int, user_id: int) -> None:
        self.conversations[conversation_id].members.discard(user_id)
        data = {"conversation_id": str(conversation_id), "left": True}
        await self.push(f"push.user.{user_id}", "conversation", data, left=str(conversation_id))

    def _of(self, conversation_id: int, user_id: int) -> Conversation:
        conversation = self.conversations.get(conversation_id)
        if conversation is None or user_id not in conversation.members:
            raise ConversationNotFound
        return conversation

    async def _target(self, to: pb.Target, user_id: int) -> Conversation:
        if to.conversation_id:
            return self._of(to.conversation_id, user_id)
        if to.user_id in self.strangers:
            raise NotFriends
        pair = {user_id, to.user_id}
        for conversation in self.conversations.values():
            if conversation.members == pair:
                return conversation
        conversation = self.conversations[self.create()]
        conversation.direct = True
        for member in pair:
            await self.join(conversation.id, member)
        return conversation

    async def Send(self, request: pb.SendRequest, context: Any) -> pb.SendResponse:
        await self._enter(f"Send by {current_caller.get().user_id}")
        user_id = await self._enter("Send")
        conversation = await self._target(request.to, user_id)
        message = next((m for m in conversation.messages if m.client_msg_id == request.client_msg_id), None)
        duplicate = message is not None
        if message is None:
            message = await self.write(conversation.id, user_id, request.client_msg_id, bytes(request.body))
        return pb.SendResponse(
            message_id=message.message_id,
            client_msg_id=message.client_msg_id,
            conversation_id=conversation.id,
            seq=message.seq,
            rev=message.rev,
            created_at=message.created_at,
            duplicate=duplicate,
        )

    async def BatchSend(self, request: pb.BatchSendRequest, context: Any) -> AsyncIterator[pb.BatchSendResponse]:
        await self._enter("BatchSend")
        self.sends.append([errand.user_id for errand in request.errands])
        self.send_bytes.append(request.ByteSize())
        async for results in batch_send.run(request.errands, lambda send: self.Send(send, context)):
            yield pb.BatchSendResponse(results=results)
        await self._enter("end of BatchSend")

    async def write(self, conversation_id: int, sender_id: int, client_msg_id: str, body: bytes) -> pb.Message:
        """Commits a message and pushes it."""
        conversation = self.conversations[conversation_id]
        conversation.rev += 1
        message = pb.Message(
            conversation_id=conversation_id,
            rev=conversation.rev,
            seq=len(conversation.messages) + 1,
            message_id=next(self._ids),
            client_msg_id=client_msg_id,
            sender_id=sender_id,
            content_type="text",
            body=body,
            created_at=time.time_ns() // 1_000_000,
        )
        conversation.messages.append(message)
        await self.push(f"push.conv.{conversation_id}", "message", client_json.message(message), **_headers(message))
        return message

    async def edit(self, conversation_id: int, seq: int, body: bytes) -> None:
        conversation = self.conversations[conversation_id]
        conversation.rev += 1
        message = conversation.messages[seq - 1]
        message.rev, message.body = conversation.rev, body
        view = client_json.message(message)
        await self.push(f"push.conv.{conversation_id}", "message.updated", view, **_headers(message))

    async def ListConversations(
        self, request: pb.ListConversationsRequest, context: Any
    ) -> pb.ListConversationsResponse:
        user_id = await self._enter("ListConversations")
        if user_id in self.broken:
            raise HitokError
        return self._page(user_id, int(request.cursor or 0), request.limit)

    async def BatchListConversations(self, request: pb.BatchListConversationsRequest, context: Any) -> Any:
        await self._enter("BatchListConversations")
        self.hellos.append(list(request.user_ids))
        if self.broken & set(request.user_ids):
            raise HitokError
        pages = {id: self._page(id, 0, request.limit) for id in request.user_ids if id not in self.crowded}
        return pb.BatchListConversationsResponse(pages=pages)

    def _page(self, user_id: int, start: int, limit: int) -> pb.ListConversationsResponse:
        mine = [row for row in self.conversations.values() if user_id in row.members]
        page = mine[start : start + limit]
        cursor = str(start + limit) if len(mine) > start + limit else ""
        return pb.ListConversationsResponse(conversations=[_listed(row, user_id) for row in page], next_cursor=cursor)

    async def BatchSync(self, request: pb.BatchSyncRequest, context: Any) -> pb.BatchSyncResponse:
        user_id = await self._enter("BatchSync")
        answer = pb.BatchSyncResponse()
        for point in request.points:
            conversation = self.conversations.get(point.conversation_id)
            if conversation and user_id in conversation.members:
                changed = [message for message in conversation.messages if message.rev > point.from_rev]
                limited = len(changed) > 200
                sync = answer.syncs.add(
                    conversation_id=conversation.id, from_rev=point.from_rev, to_rev=conversation.rev, limited=limited
                )
                sync.messages.extend([] if limited else changed)
        return answer

    async def GetHistory(self, request: pb.GetHistoryRequest, context: Any) -> pb.GetHistoryResponse:
        conversation = self._of(request.conversation_id, await self._enter("GetHistory"))
        before = request.before_seq or len(conversation.messages) + 1
        older = [message for message in reversed(conversation.messages) if message.seq < before]
        return pb.GetHistoryResponse(messages=older[: request.limit], rev=conversation.rev)

    async def MarkRead(self, request: pb.MarkReadRequest, context: Any) -> pb.MarkReadResponse:
        user_id = await self._enter("MarkRead")
        conversation = self._of(request.conversation_id, user_id)
        conversation.read[user_id] = max(conversation.read.get(user_id, 0), request.seq)
        data: dict[str, Any] = {"conversation_id": str(conversation.id), "user_id": str(user_id)}
        data |= {"read_seq": conversation.read[user_id], "delivered_seq": conversation.read[user_id]}
        await self.push(f"push.conv.{conversation.id}", "receipt", data, key=f"receipt:{conversation.id}:{user_id}")
        return pb.MarkReadResponse(read_seq=conversation.read[user_id])

    async def MarkDelivered(self, request: pb.MarkDeliveredRequest, context: Any) -> pb.MarkDeliveredResponse:
        user_id = await self._enter("MarkDelivered")
        conversation = self._of(request.conversation_id, user_id)
        conversation.delivered[user_id] = max(conversation.delivered.get(user_id, 0), request.seq)
        return pb.MarkDeliveredResponse(delivered_seq=conversation.delivered[user_id])

    async def BatchMarkDelivered(
        self, request: pb.BatchMarkDeliveredRequest, context: Any
    ) -> pb.BatchMarkDeliveredResponse:
        for each in request.delivered:
            conversation = self._of(each.conversation_id, each.user_id)
            conversation.delivered[each.user_id] = max(conversation.delivered.get(each.user_id, 0), each.seq)
        return pb.BatchMarkDeliveredResponse()

    async def Recall(self, request: pb.RecallRequest, context: Any) -> pb.RecallResponse:
        conversation = self._of(request.conversation_id, await self._enter("Recall"))
        conversation.rev += 1
        message = conversation.messages[request.seq - 1]
        message.rev, message.body, message.recalled_at = conversation.rev, b"null", message.created_at
        view = client_json.message(message)
        await self.push(f"push.conv.{conversation.id}", "message.recalled", view, **_headers(message))
        return pb.RecallResponse(rev=conversation.rev)

    async def GetReceipts(self, request: pb.GetReceiptsRequest, context: Any) -> pb.GetReceiptsResponse:
        conversation = self._of(request.conversation_id, await self._enter("GetReceipts"))
        members = [pb.Member(user_id=id, read_seq=conversation.read.get(id, 0)) for id in sorted(conversation.members)]
        return pb.GetReceiptsResponse(members=members)

    async def SendTyping(self, request: pb.SendTypingRequest, context: Any) -> pb.SendTypingResponse:
        user_id = await self._enter("SendTyping")
        conversation = self._of(request.conversation_id, user_id)
        data: dict[str, Any] = {"conversation_id": str(conversation.id), "user_id": str(user_id)}
        data["expires_ms"] = 6_000 if request.active else 0
        headers = {"key": f"typing:{conversation.id}:{user_id}", "except": request.connection_id}
        await self.push(f"push.conv.{conversation.id}", "typing", data, **headers)
        return pb.SendTypingResponse()

    async def BatchGetRevs(self, request: pb.BatchGetRevsRequest, context: Any) -> pb.BatchGetRevsResponse:
        await self._enter("BatchGetRevs")
        found = [self.conversations[id] for id in request.conversation_ids if id in self.conversations]
        return pb.BatchGetRevsResponse(revs=[pb.ConversationRev(conversation_id=c.id, rev=c.rev) for c in found])

    async def BatchCreateTickets(self, request: sockets_pb.BatchCreateTicketsRequest, context: Any) -> Any:
        await self._enter("BatchCreateTickets")
        tickets = [f"ticket-{next(self._ids)}" for _ in request.holders]
        self.tickets |= zip(tickets, request.holders, strict=True)
        return sockets_pb.BatchCreateTicketsResponse(tickets=tickets)

    async def BatchRedeemTickets(self, request: sockets_pb.BatchRedeemTicketsRequest, context: Any) -> Any:
        await self._enter("BatchRedeemTickets")
        holders = [self.tickets.pop(ticket, sockets_pb.TicketHolder()) for ticket in request.tickets]
        return sockets_pb.BatchRedeemTicketsResponse(holders=holders)

    async def RefreshConnections(self, request: sockets_pb.RefreshConnectionsRequest, context: Any) -> Any:
        await self._enter("RefreshConnections")
        self.reports.append([row.user_id for row in request.connections])
        if self.loses_reports:
            return sockets_pb.RefreshConnectionsResponse(lost=True)
        for row in request.connections:
            if row.requested_at:
                self.requested[row.user_id] = row.requested_at
            elif row.closed:
                self.online.pop(row.connection_id, None)
            else:
                self.online[row.connection_id] = row.user_id
        return sockets_pb.RefreshConnectionsResponse()

    async def BatchGetPresence(self, request: sockets_pb.BatchGetPresenceRequest, context: Any) -> Any:
        await self._enter("BatchGetPresence")
        rows = [
            sockets_pb.UserPresence(user_id=user_id, online=user_id in self.online.values())
            for user_id in request.user_ids
            if user_id not in self.strangers
        ]
        return sockets_pb.BatchGetPresenceResponse(presences=rows)

    async def BatchGetOnline(self, request: sockets_pb.BatchGetOnlineRequest, context: Any) -> Any:
        await self._enter("BatchGetOnline")
        online = {*self.online.values(), *self.requested}
        return sockets_pb.BatchGetOnlineResponse(user_ids=[id for id in request.user_ids if id in online])

    async def ListOnlineUsers(self, request: sockets_pb.ListOnlineUsersRequest, context: Any) -> Any:
        """Its cursors are offsets."""
        await self._enter("ListOnlineUsers")
        start = (decode_cursor(request.cursor, tuple[int]) or (request.offset,))[0]
        last_first = sorted(self.requested, key=self.requested.__getitem__, reverse=True)
        online = list(dict.fromkeys([*self.online.values(), *last_first]))
        page, more = online[start : start + request.limit], len(online) > start + request.limit
        cursor = encode_cursor(start + request.limit) if more else ""
        return sockets_pb.ListOnlineUsersResponse(user_ids=page, next_cursor=cursor)

    async def ListNotifications(self, request: sockets_pb.ListNotificationsRequest, context: Any) -> Any:
        await self._enter("ListNotifications")
        return sockets_pb.ListNotificationsResponse()


def _headers(message: pb.Message) -> dict[str, str]:
    return {"rev": str(message.rev), "seq": str(message.seq)}


def _listed(row: Conversation, user_id: int) -> pb.Conversation:
    read = row.read.get(user_id, 0)
    unread = sum(message.seq > read and message.sender_id != user_id for message in row.messages)
    return pb.Conversation(
        conversation_id=row.id,
        kind=pb.DIRECT if row.direct else pb.GROUP,
        peer_id=next(iter(row.members - {user_id}), 0) if row.direct else 0,
        group_id=0 if row.direct else 1,
        rev=row.rev,
        last_seq=len(row.messages),
        read_seq=read,
        joined_seq=row.joined.get(user_id, 0),
        delivered_seq=row.delivered.get(user_id, 0),
        unread=min(unread, 100),
        last_message=row.messages[-1] if row.messages else None,
    )


@asynccontextmanager
async def running_fake_chat(servers: Servers, nats_url: str = "") -> AsyncIterator[FakeChat]:
    settings = load(
        ServiceSettings,
        "chat",
        {
            "HITOK_POSTGRES_URL": "postgres://none",
            "HITOK_REDIS_URL": servers.redis_url,
            "HITOK_NATS_URL": nats_url or servers.nats_url,
            "HITOK_INTERNAL_SECRET": INTERNAL_SECRET,
            "HITOK_GRPC_PORT": "0",
            "HITOK_METRICS_PORT": "0",
        },
    )
    async with open_nats(settings.nats_url, "fake-chat") as nats:
        while not nats.is_connected:  # noqa: ASYNC110 (the client has no event for it)
            await asyncio.sleep(0.01)
        chat = FakeChat(nats)  # type: ignore[abstract]  # the other RPCs are unimplemented
        server, health = build(settings, CHAT_PROTOS)
        add_ConversationsServicer_to_server(chat, server)
        add_TicketsServicer_to_server(chat, server)
        add_PresenceServicer_to_server(chat, server)
        add_NotificationsServicer_to_server(chat, server)
        chat.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        await health.set_serving(True)
        yield chat
        await server.stop(0)
