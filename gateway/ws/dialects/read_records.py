"""The readers of a message as hichat's clients know them: a bitmap in base64, one bit for the hash of each reader."""

from base64 import b64encode
from collections.abc import Iterable

from gateway.chat import commands
from gateway.chat.client import Chat
from gateway.ws.dialects.catch_up import messages_between
from services.client_json.chat import MessageView

SIZE = 250  # bytes
SEED = 131_313
MAX_MESSAGES = 50  # that one receipt tells of; the client read what is older before
MAX_READERS = 500


def bitmap(user_ids: Iterable[str]) -> str:
    bits = bytearray(SIZE)
    for user_id in user_ids:
        place = _hash(user_id) % (SIZE * 8)
        bits[place // 8] |= 1 << place % 8
    return b64encode(bits).decode()


def _hash(text: str) -> int:
    """BKDR, whose last 31 bits count."""
    value = 0
    for character in text:
        value = value * SEED + ord(character) & 0x7FFF_FFFF
    return value


async def readers_of(chat: Chat, conversation_id: int) -> list[tuple[str, int]]:
    """The members and the seq up to which each has read."""
    page = await commands.receipts(chat, commands.ListReceipts(conversation_id, limit=MAX_READERS))
    return [(member.user_id, member.read_seq) for member in page.members if not member.left]


def record(message: MessageView, readers: Iterable[tuple[str, int]]) -> str:
    return bitmap(user_id for user_id, read_seq in readers if read_seq >= message.seq and user_id != message.sender_id)


async def records_of_own(chat: Chat, conversation_id: int, user_id: int, after: int, upto: int) -> dict[str, str]:
    """By message id, for the user's own messages up to the seq `upto`, without those up to `after`."""
    messages = await messages_between(chat, conversation_id, max(after, upto - MAX_MESSAGES), upto + 1)
    own = [message for message in messages if message.sender_id == str(user_id)]
    readers = await readers_of(chat, conversation_id) if own else []
    return {message.message_id: record(message, readers) for message in own}
