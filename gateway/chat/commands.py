"""The requests of chat clients: one function for each, which serves the frame of a socket and the HTTP route alike.

They act for the caller of the current context, and raise the errors of the chat service.
"""

from typing import Annotated, Any

import grpc.aio
import structlog
from msgspec import Meta, Struct, field

from gateway.chat import sync_pages, views
from gateway.chat.cards import AskedCards, CardPage, shared_video
from gateway.chat.client import Chat
from gateway.http.errors import ParameterInvalid
from gateway.http.limits.rate_limits import per_second
from gateway.http.params import Id, PageSize
from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1 import sockets_pb2 as sockets_pb
from services.client_json import chat as client_json
from services.kit.errors import Unavailable
from services.kit.ids import MAX_ID

RECHECK_TIMEOUT = 1.0  # seconds
SEND_LIMIT = per_second(5, 20)  # of one user, over sockets and HTTP together
SEND_BUCKET = "/api/chat/send"

log = structlog.get_logger("chat")

Number = Annotated[int, Meta(ge=0, le=MAX_ID)]
ListLimit = Annotated[int, Meta(ge=1, le=100)]


class To(Struct):
    """Exactly one of the three."""

    conversation_id: Id | None = None
    user_id: Id | None = None
    group_id: Id | None = None


class Send(Struct):
    to: To
    client_msg_id: Annotated[str, Meta(max_length=64)]
    content_type: Annotated[str, Meta(max_length=32, description="text image video audio file emoji custom video_card")]
    body: Any
    reply_to_seq: Number | None = None
    mentions: Annotated[list[Id], Meta(max_length=100)] | None = None


class Edit(Struct):
    conversation_id: Id
    seq: Number
    body: Any


class OfMessage(Struct):
    conversation_id: Id
    seq: Number


class OfConversation(Struct):
    conversation_id: Id


class ListConversations(Struct):
    """`hidden`: with those that the caller has hidden."""

    cursor: str = ""
    limit: ListLimit = 100
    hidden: bool = False


class ContinueConversations(ListConversations):
    """After `ready`, which lists the hidden ones too: a client has to know them when their next message comes."""

    hidden: bool = True


class History(Struct):
    conversation_id: Id
    before_seq: Number | None = None
    limit: PageSize = 50


class Sync(Struct):
    conversation_id: Id
    from_rev: Number


class ListReceipts(Struct):
    conversation_id: Id
    after_user_id: Annotated[int, Meta(ge=0, le=MAX_ID)] = 0
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class ListNotifications(Struct):
    before: Annotated[int, Meta(ge=0, le=MAX_ID)] | None = None
    limit: PageSize = 20


class ReadNotifications(Struct):
    """The listed ones, or all."""

    notification_ids: Annotated[list[Id], Meta(max_length=500)] = field(default_factory=list)
    all: bool = False


class SubscribePresence(Struct):
    """These users, instead of those subscribed to before."""

    user_ids: Annotated[list[Id], Meta(max_length=200)]


async def send(chat: Chat, params: Send) -> views.Ack:
    to = params.to
    if sum(id is not None for id in (to.conversation_id, to.user_id, to.group_id)) != 1:
        raise ParameterInvalid("`to` names one of conversation_id, user_id and group_id")
    if to.conversation_id:
        target = pb.Target(conversation_id=to.conversation_id)
    else:
        target = pb.Target(user_id=to.user_id) if to.user_id else pb.Target(group_id=to.group_id or 0)
    request = pb.SendRequest(
        to=target,
        client_msg_id=params.client_msg_id,
        content_type=params.content_type,
        body=client_json.encode(params.body),
        reply_to_seq=params.reply_to_seq or 0,
        mentions=params.mentions,
    )
    sent = views.ack(await chat.sends.send(request))
    if video_id := shared_video(params.content_type, params.body):
        chat.cards.shared(video_id)
    return sent


async def edit(chat: Chat, params: Edit) -> views.Changed:
    body = client_json.encode(params.body)
    request = pb.EditRequest(conversation_id=params.conversation_id, seq=params.seq, body=body)
    answer = await chat.conversations.Edit(request)
    return views.Changed(str(params.conversation_id), params.seq, answer.rev)


async def recall(chat: Chat, params: OfMessage) -> views.Changed:
    request = pb.RecallRequest(conversation_id=params.conversation_id, seq=params.seq)
    answer = await chat.conversations.Recall(request)
    return views.Changed(str(params.conversation_id), params.seq, answer.rev)


async def list_conversations(chat: Chat, params: ListConversations) -> views.ConversationPage:
    request = pb.ListConversationsRequest(cursor=params.cursor, limit=params.limit, shown_only=not params.hidden)
    page = await chat.conversations.ListConversations(request)
    return views.ConversationPage([client_json.conversation(row) for row in page.conversations], page.next_cursor)


async def history(chat: Chat, params: History) -> views.MessagePage:
    """A page is bounded in bytes too, so that long messages neither flood the socket nor exceed what gRPC carries."""
    limit = params.limit
    while True:
        request = pb.GetHistoryRequest(
            conversation_id=params.conversation_id, before_seq=params.before_seq or 0, limit=limit
        )
        try:
            page = await chat.conversations.GetHistory(request)
            break
        except grpc.aio.AioRpcError as error:
            if not sync_pages.is_too_large(error) or limit == 1:
                raise
            limit //= 4
    messages = [client_json.message(row) for row in page.messages]
    messages = messages[: sync_pages.fitting(messages)]
    await chat.cards.fill(messages)
    oldest = messages[-1].seq if messages else 1
    return views.MessagePage(messages, page.rev, more=oldest > 1 and bool(messages))


async def sync(chat: Chat, params: Sync) -> views.SyncView:
    found = await sync_pages.batch_sync(chat, {params.conversation_id: params.from_rev})
    if not found:
        # The caller is no member of it. This call raises the reason.
        await chat.conversations.GetHistory(pb.GetHistoryRequest(conversation_id=params.conversation_id, limit=1))
        raise Unavailable
    return next(iter(sync_pages.parts(found[0])))


async def read(chat: Chat, params: OfMessage) -> views.ReadView:
    request = pb.MarkReadRequest(conversation_id=params.conversation_id, seq=params.seq)
    answer = await chat.conversations.MarkRead(request)
    return views.ReadView(answer.read_seq, answer.unread)


async def delivered(chat: Chat, params: OfMessage) -> views.DeliveredView:
    request = pb.MarkDeliveredRequest(conversation_id=params.conversation_id, seq=params.seq)
    return views.DeliveredView((await chat.conversations.MarkDelivered(request)).delivered_seq)


async def accept(chat: Chat, params: OfConversation) -> None:
    await chat.conversations.AnswerRequest(pb.AnswerRequestRequest(conversation_id=params.conversation_id, accept=True))


async def decline(chat: Chat, params: OfConversation) -> None:
    await chat.conversations.AnswerRequest(pb.AnswerRequestRequest(conversation_id=params.conversation_id))


async def typing(chat: Chat, conversation_id: int, active: bool, connection_id: str) -> None:
    """`connection_id`: the caller's socket, which is not told."""
    request = pb.SendTypingRequest(conversation_id=conversation_id, active=active, connection_id=connection_id)
    await chat.conversations.SendTyping(request)


async def receipts(chat: Chat, params: ListReceipts) -> views.ReceiptPage:
    request = pb.GetReceiptsRequest(
        conversation_id=params.conversation_id, after_user_id=params.after_user_id, limit=params.limit
    )
    page = await chat.conversations.GetReceipts(request)
    return views.ReceiptPage([client_json.member(row) for row in page.members])


async def recheck(chat: Chat, group_id: int = 0, user_id: int = 0) -> None:
    """Makes the chat service apply a change of a membership, of a group (no `user_id`) or of a friendship (no
    `group_id`) before the route answers. If the chat service is away, it learns of the change by its event.
    """
    try:
        await chat.conversations.Recheck(pb.RecheckRequest(group_id=group_id, user_id=user_id), timeout=RECHECK_TIMEOUT)
    except grpc.aio.AioRpcError as error:
        log.warning(
            "recheck failed, the event will repair it", status=error.code().name, group_id=group_id, user_id=user_id
        )


async def list_notifications(chat: Chat, params: ListNotifications) -> views.NotificationPage:
    request = sockets_pb.ListNotificationsRequest(before=params.before or 0, limit=params.limit)
    page = await chat.notifications.ListNotifications(request)
    return views.NotificationPage([client_json.notification(row) for row in page.notifications], page.unread)


async def read_notifications(chat: Chat, params: ReadNotifications) -> None:
    request = sockets_pb.MarkNotificationsReadRequest(notification_ids=params.notification_ids, all=params.all)
    await chat.notifications.MarkNotificationsRead(request)


async def cards(chat: Chat, params: AskedCards) -> CardPage:
    return CardPage(await chat.cards.of(params.video_ids))


async def presences(chat: Chat, params: SubscribePresence) -> views.PresencePage:
    request = sockets_pb.BatchGetPresenceRequest(user_ids=params.user_ids)
    return views.PresencePage(views.presences((await chat.presence.BatchGetPresence(request)).presences))
