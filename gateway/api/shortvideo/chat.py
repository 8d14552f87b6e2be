"""api/chat/*: tickets for the WebSocket, and its main requests for clients without one (docs/chat-protocol.md)."""

from msgspec import Struct

from gateway.chat import cards, commands, marks, pins, reactions, search, views
from gateway.container import Call
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import ActorForged
from gateway.http.limits.rate_limits import per_second
from gateway.http.params import Id
from services.client_json.chat import MarkView
from services.client_json.reactions import ReactionsView

READS = per_second(5, 20)
TICKETS = per_second(1, 20)


class TicketParams(Struct):
    """The token names the user: another `user_id` is refused, the other fields are not read."""

    user_id: Id | None = None
    user_name: str = ""
    role: str | int = ""


class Ticket(Struct):
    ticket: str


@endpoint("GET", "/api/chat/ws-ticket", family=SHORT_VIDEO, limit=TICKETS)
async def get_ticket(call: Call, params: TicketParams) -> Ticket:
    """Get a ticket for `/api/chat/ws?ticket=…`, valid once within 30 s."""
    if params.user_id not in (None, call.caller.user_id):
        raise ActorForged
    return Ticket(await call.container.tickets.create(call.caller))


@endpoint("GET", "/api/chat/conversations", family=SHORT_VIDEO, limit=READS)
async def list_conversations(call: Call, params: commands.ListConversations) -> views.ConversationPage:
    """The caller's conversations without the hidden ones: the pinned ones first, then the most recently active."""
    return await commands.list_conversations(call.container.chat, params)


@endpoint("GET", "/api/chat/messages", family=SHORT_VIDEO, limit=READS)
async def list_messages(call: Call, params: commands.History) -> views.MessagePage:
    """The messages before `before_seq`, or the last ones, the newest first."""
    return await commands.history(call.container.chat, params)


@endpoint("POST", commands.SEND_BUCKET, family=SHORT_VIDEO, limit=commands.SEND_LIMIT)
async def send(call: Call, params: commands.Send) -> views.Ack:
    """Send a message; repeated with the same `client_msg_id` it is sent once."""
    return await commands.send(call.container.chat, params)


@endpoint("POST", "/api/chat/read", family=SHORT_VIDEO, limit=READS)
async def read(call: Call, params: commands.OfMessage) -> views.ReadView:
    """Mark everything up to that message as read."""
    return await commands.read(call.container.chat, params)


@endpoint("POST", "/api/chat/accept", family=SHORT_VIDEO, limit=READS)
async def accept(call: Call, params: commands.OfConversation) -> None:
    """Accept a message request: agree to hear from its sender."""
    await commands.accept(call.container.chat, params)


@endpoint("POST", "/api/chat/decline", family=SHORT_VIDEO, limit=READS)
async def decline(call: Call, params: commands.OfConversation) -> None:
    """Decline a message request: hide the conversation, of which its sender is not told."""
    await commands.decline(call.container.chat, params)


@endpoint("POST", "/api/chat/hide", family=SHORT_VIDEO, limit=READS)
async def hide(call: Call, params: marks.Hide) -> MarkView:
    """Leave a conversation out of one's list until its next message."""
    return await marks.hide(call.container.chat, params)


@endpoint("POST", "/api/chat/mute", family=SHORT_VIDEO, limit=READS)
async def mute(call: Call, params: marks.Mute) -> MarkView:
    """Mute a conversation for oneself, until a time or without an end."""
    return await marks.mute(call.container.chat, params)


@endpoint("POST", "/api/chat/pin", family=SHORT_VIDEO, limit=READS)
async def pin(call: Call, params: marks.Pin) -> MarkView:
    """Put a conversation before all others in one's list; at most 100."""
    return await marks.pin(call.container.chat, params)


@endpoint("POST", "/api/chat/delete", family=SHORT_VIDEO, limit=READS)
async def delete(call: Call, params: commands.OfConversation) -> MarkView:
    """Delete a conversation's messages for oneself alone; it comes back with its next message."""
    return await marks.delete(call.container.chat, params)


@endpoint("GET", "/api/chat/marks", family=SHORT_VIDEO, limit=READS)
async def list_marks(call: Call, params: marks.ListMarks) -> marks.MarkPage:
    """Lists the conversations that the caller hid, muted, pinned or deleted since a rev."""
    return await marks.list_marks(call.container.chat, params)


@endpoint("POST", "/api/chat/react", family=SHORT_VIDEO, limit=READS)
async def react(call: Call, params: reactions.React) -> ReactionsView:
    """React to a message with an emoji, or take it back; answers with all reactions to it."""
    return await reactions.react(call.container.chat, params)


@endpoint("GET", "/api/chat/reactors", family=SHORT_VIDEO, limit=READS)
async def list_reactors(call: Call, params: reactions.ListReactors) -> reactions.ReactorPage:
    """Lists who reacted to a message, with which emoji."""
    return await reactions.list_reactors(call.container.chat, params)


@endpoint("POST", "/api/chat/pin-message", family=SHORT_VIDEO, limit=READS)
async def pin_message(call: Call, params: pins.PinMessage) -> views.Changed:
    """Pin a message for all members, or take it off; at most 50. In a group its owner and managers may."""
    return await pins.pin_message(call.container.chat, params)


@endpoint("GET", "/api/chat/pinned-messages", family=SHORT_VIDEO, limit=READS)
async def list_pinned(call: Call, params: commands.OfConversation) -> pins.PinnedPage:
    """Lists the pinned messages of a conversation, the last pinned first."""
    return await pins.list_pinned(call.container.chat, params)


@endpoint("GET", search.BUCKET, family=SHORT_VIDEO, limit=search.LIMIT)
async def search_messages(call: Call, params: search.Search) -> search.FoundPage:
    """Search in one's messages by words, sender, content type and time, the newest first."""
    return await search.search(call.container.chat, params)


@endpoint("GET", "/api/chat/cards", family=SHORT_VIDEO, limit=READS)
async def list_cards(call: Call, params: cards.AskedCards) -> cards.CardPage:
    """What the caller may see of videos that messages share; history and searches carry it."""
    return await commands.cards(call.container.chat, params)


@endpoint("GET", "/api/chat/notifications", family=SHORT_VIDEO, limit=READS)
async def list_notifications(call: Call, params: commands.ListNotifications) -> views.NotificationPage:
    """The caller's notifications, the newest first."""
    return await commands.list_notifications(call.container.chat, params)


@endpoint("POST", "/api/chat/notifications/read", family=SHORT_VIDEO, limit=READS)
async def read_notifications(call: Call, params: commands.ReadNotifications) -> None:
    """Mark the given notifications, or all, as read."""
    await commands.read_notifications(call.container.chat, params)


endpoints = [
    get_ticket,
    list_conversations,
    list_messages,
    send,
    read,
    accept,
    decline,
    hide,
    mute,
    pin,
    delete,
    list_marks,
    react,
    list_reactors,
    pin_message,
    list_pinned,
    search_messages,
    list_cards,
    list_notifications,
    read_notifications,
]
