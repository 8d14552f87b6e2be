"""api/chat/*: tickets to the socket, and its most needed requests for those without one (docs/chat-protocol.md)."""

from msgspec import Struct

from gateway.chat import requests, views
from gateway.endpoint import Call, endpoint
from gateway.envelopes import SHORT_VIDEO
from gateway.errors import ActorForged
from gateway.limits import per_second
from gateway.params import Id
from gateway.ws.dialogue import SEND_BUCKET, SENDS

READS = per_second(5, 20)
TICKETS = per_second(1, 20)


class TicketParams(Struct):
    """All known from the token already; another's `user_id` is refused, the rest is not looked at."""

    user_id: Id | None = None
    user_name: str = ""
    role: str | int = ""


class Ticket(Struct):
    ticket: str


@endpoint("GET", "/api/chat/ws-ticket", family=SHORT_VIDEO, limit=TICKETS)
async def get_ticket(call: Call, params: TicketParams) -> Ticket:
    """A ticket to `/api/chat/ws?ticket=…`, good once and for 30 s."""
    if params.user_id not in (None, call.caller.user_id):
        raise ActorForged
    return Ticket(await call.gateway.tickets.create(call.caller))


@endpoint("GET", "/api/chat/conversations", family=SHORT_VIDEO, limit=READS)
async def list_conversations(call: Call, params: requests.ListConversations) -> views.ConversationPage:
    """One's conversations, the most recently active first."""
    return await requests.list_conversations(call.gateway.chat, params)


@endpoint("GET", "/api/chat/messages", family=SHORT_VIDEO, limit=READS)
async def list_messages(call: Call, params: requests.History) -> views.MessagePage:
    """The messages before one, the newest first."""
    return await requests.history(call.gateway.chat, params)


@endpoint("POST", SEND_BUCKET, family=SHORT_VIDEO, limit=SENDS)
async def send(call: Call, params: requests.Send) -> views.Ack:
    """Send a message; again with the same `client_msg_id` it is sent once."""
    return await requests.send(call.gateway.chat, params)


@endpoint("POST", "/api/chat/read", family=SHORT_VIDEO, limit=READS)
async def read(call: Call, params: requests.OfMessage) -> views.ReadView:
    """Everything up to that message is read."""
    return await requests.read(call.gateway.chat, params)


@endpoint("GET", "/api/chat/notifications", family=SHORT_VIDEO, limit=READS)
async def list_notifications(call: Call, params: requests.ListNotifications) -> views.NotificationPage:
    """One's notifications, the newest first."""
    return await requests.list_notifications(call.gateway.chat, params)


@endpoint("POST", "/api/chat/notifications/read", family=SHORT_VIDEO, limit=READS)
async def read_notifications(call: Call, params: requests.ReadNotifications) -> None:
    """Those are read, or all."""
    await requests.read_notifications(call.gateway.chat, params)


endpoints = [
    get_ticket,
    list_conversations,
    list_messages,
    send,
    read,
    list_notifications,
    read_notifications,
]
