"""v1/im/*: the history and the conversations of hichat's clients (docs/contract/compat.md), beside their socket."""

from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta, Struct, field

from gateway.api.hichat.users import READS
from gateway.chat import commands, marks
from gateway.chat.client import Chat
from gateway.container import Call
from gateway.http.endpoint import NoParams, endpoint
from gateway.http.envelopes import CHAT_SOCIAL
from gateway.http.errors import ActorForged, MessageNotFound, ParameterInvalid
from gateway.http.limits.rate_limits import per_second
from gateway.http.params import Id, PageSize
from gateway.ws.dialects.events import milliseconds_of
from gateway.ws.dialects.hichat_content import DERIVATIVE, ORIGINAL, Numbering, msg_of
from gateway.ws.dialects.read_records import readers_of
from gateway.ws.dialects.timeline import Reads, find_message, page_before
from services.client_json.chat import ConversationView, MessageView

WRITES = per_second(5, 20)
MAX_PAGES = 10  # of 100 conversations
MAX_NANOSECONDS = 2**63 - 1
NANOSECONDS = 1_000_000  # in a millisecond

Nanoseconds = Annotated[int, Meta(ge=0, le=MAX_NANOSECONDS, description="Unix nanoseconds; 0: no bound")]


class ListMessages(Struct):
    """With `msgId` that message alone; else those between the two times, in either order, the newest first."""

    conversation_id: Id = field(name="conversationId")
    message_id: Id | None = field(name="msgId", default=None)
    start: Nanoseconds = field(name="startSendTime", default=0)
    end: Nanoseconds = field(name="endSendTime", default=0)
    count: PageSize = 20


class OfMessage(Struct):
    """`conversationId` makes it quick: without it the caller's conversations are searched."""

    message_id: Id = field(name="msgId")
    conversation_id: Id | None = field(name="conversationId", default=None)


class SetUp(Struct):
    """`sendId`: the caller. `recvId`: a user or a group."""

    receiver_id: Id = field(name="recvId")
    chat_type: int = field(name="chatType")
    sender_id: Id | None = field(name="sendId", default=None)


class LoggedMessage(Struct):
    id: str
    conversation_id: str = field(name="conversationId")
    sender_id: str = field(name="sendId")
    receiver_id: str = field(name="recvId")
    msg_type: int = field(name="msgType")
    content: str = field(name="msgContent")
    chat_type: int = field(name="chatType")
    sent_at: int = field(name="sendTime")  # Unix nanoseconds


class ChatLog(Struct):
    messages: list[LoggedMessage] = field(name="list")


class ReadRecords(Struct):
    """User ids, without the sender's."""

    readers: list[str] = field(name="reads")
    others: list[str] = field(name="unReads")


class ConversationState(Struct):
    """`seq`: of its last message; `read`: up to which the caller has read."""

    conversation_id: str = field(name="conversationId")
    chat_type: int = field(name="chatType")
    is_shown: bool = field(name="isShow")
    seq: int
    read: int


class ConversationStates(Struct):
    states: dict[str, ConversationState] = field(name="conversationList")


class ConversationChange(Struct):
    read: Annotated[int, Meta(ge=0)] = 0
    is_shown: bool | None = field(name="isShow", default=None)


class ChangeConversations(Struct):
    """For each conversation by id: `read`, how far the caller has read, which never goes back; `isShow` false hides it
    until its next message."""

    changes: Annotated[dict[str, ConversationChange], Meta(max_length=100)] = field(name="conversationList")


@endpoint("GET", "/v1/im/chatlog", family=CHAT_SOCIAL, limit=READS)
async def list_messages(call: Call, params: ListMessages) -> ChatLog:
    """A conversation's messages, the newest first."""
    chat, reads = call.container.chat, Reads(call.container.chat)
    if params.message_id:
        found = await find_message(reads, params.conversation_id, params.message_id)
        messages = [found] if found else []
    else:
        latest, earliest = max(params.start, params.end), min(params.start, params.end)
        before = latest or MAX_NANOSECONDS
        messages = await page_before(
            reads, params.conversation_id, lambda each: milliseconds_of(each) * NANOSECONDS >= before, params.count
        )
        messages = [each for each in messages if milliseconds_of(each) * NANOSECONDS >= earliest]
    conversation = await _conversation(chat, params.conversation_id)
    return ChatLog([_logged(call, each, conversation) for each in messages if not isinstance(each.recalled_at, str)])


@endpoint("GET", "/v1/im/chatlog/readRecords", family=CHAT_SOCIAL, limit=READS)
async def list_readers(call: Call, params: OfMessage) -> ReadRecords:
    """Lists the members who have read a message and those who have not."""
    message = await _find(call.container.chat, params)
    readers, others = list[str](), list[str]()
    for user_id, read_seq in await readers_of(call.container.chat, int(message.conversation_id)):
        if user_id != message.sender_id:
            (readers if read_seq >= message.seq else others).append(user_id)
    return ReadRecords(readers, others)


@endpoint("POST", "/v1/im/setup/conversation", family=CHAT_SOCIAL, limit=WRITES)
async def set_up_conversation(call: Call, params: SetUp) -> None:
    """Check that a conversation can begin. The first message makes it."""
    numbering = _numbering(call)
    if params.sender_id not in (None, call.caller.user_id):
        raise ActorForged
    if params.chat_type == numbering.single:
        await call.container.require_user(params.receiver_id)
    elif params.chat_type != numbering.group:
        raise ParameterInvalid("chatType")


@endpoint("GET", "/v1/im/conversation", family=CHAT_SOCIAL, limit=READS)
async def list_conversation_states(call: Call, params: NoParams) -> ConversationStates:
    """The caller's last 1,000 conversations, by id."""
    numbering = _numbering(call)
    return ConversationStates(
        {
            row.conversation_id: ConversationState(
                row.conversation_id, _chat_type(row, numbering), row.hidden is not True, row.last_seq, row.read_seq
            )
            async for row in _conversations(call.container.chat)
        }
    )


@endpoint("PUT", "/v1/im/conversation", family=CHAT_SOCIAL, limit=WRITES)
async def change_conversations(call: Call, params: ChangeConversations) -> None:
    """Mark conversations as read, up to a message's number each, hide them or show them again."""
    for conversation_id, change in params.changes.items():
        if not conversation_id.isascii() or not conversation_id.isdecimal() or len(conversation_id) > 18:
            raise ParameterInvalid("conversationList")
        if change.read:
            await commands.read(call.container.chat, commands.OfMessage(int(conversation_id), change.read))
        if change.is_shown is not None:
            await marks.hide(call.container.chat, marks.Hide(int(conversation_id), hidden=not change.is_shown))


def _numbering(call: Call) -> Numbering:
    return DERIVATIVE if "hichat-derivative" in call.container.settings.compat else ORIGINAL


def _chat_type(row: ConversationView, numbering: Numbering) -> int:
    return numbering.single if row.kind == "direct" else numbering.group


def _logged(call: Call, message: MessageView, conversation: ConversationView | None) -> LoggedMessage:
    numbering = _numbering(call)
    msg, me = msg_of(message, numbering), str(call.caller.user_id)
    is_direct = conversation is not None and isinstance(conversation.peer_id, str)
    if conversation is None:
        receiver = ""
    elif is_direct:
        receiver = str(conversation.peer_id) if message.sender_id == me else me
    else:
        receiver = str(conversation.group_id)
    return LoggedMessage(
        id=message.message_id,
        conversation_id=message.conversation_id,
        sender_id=message.sender_id,
        receiver_id=receiver,
        msg_type=int(msg.mType or 0),
        content=str(msg.content),
        chat_type=numbering.single if is_direct else numbering.group,
        sent_at=milliseconds_of(message) * NANOSECONDS,
    )


async def _find(chat: Chat, params: OfMessage) -> MessageView:
    """Raises MessageNotFound."""
    reads = Reads(chat)
    if params.conversation_id:
        found = await find_message(reads, params.conversation_id, params.message_id)
        if found:
            return found
        raise MessageNotFound
    async for row in _conversations(chat):
        if row.last_message and int(row.last_message.message_id) >= params.message_id and reads.left:
            found = await find_message(reads, int(row.conversation_id), params.message_id)
            if found:
                return found
    raise MessageNotFound


async def _conversation(chat: Chat, conversation_id: int) -> ConversationView | None:
    async for row in _conversations(chat):
        if row.conversation_id == str(conversation_id):
            return row
    return None


async def _conversations(chat: Chat) -> AsyncIterator[ConversationView]:
    """The most recently active first."""
    cursor = ""
    for _ in range(MAX_PAGES):
        page = await commands.list_conversations(chat, commands.ListConversations(cursor, hidden=True))
        for row in page.conversations:
            yield row
        cursor = page.next_cursor
        if not cursor:
            return


endpoints = [list_messages, list_readers, set_up_conversation, list_conversation_states, change_conversations]
