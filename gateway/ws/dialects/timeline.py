"""A user's messages by time, over all of their conversations or in one. The store numbers messages by seq, so a time
is looked up by bisection.
"""

import heapq
from collections.abc import Callable

from gateway.chat import commands
from gateway.chat.client import Chat
from gateway.ws.dialects.events import milliseconds_of
from services.client_json.chat import MessageView

MAX_READS = 60  # of history, for one answer; it is shorter if they do not suffice
PAGE = 100


class Reads:
    """Reads of history that an answer may still cost."""

    def __init__(self, chat: Chat, left: int = MAX_READS) -> None:
        self._chat, self.left = chat, left

    async def page(self, conversation_id: int, before_seq: int | None, limit: int) -> list[MessageView]:
        """The newest first; none once the reads are used up."""
        if self.left <= 0:
            return []
        self.left -= 1
        return (await commands.history(self._chat, commands.History(conversation_id, before_seq, limit))).messages


async def newest_before(chat: Chat, before: int, count: int) -> list[MessageView]:
    """The last `count` messages in the caller's conversations that are older than `before`, the newest first."""
    listed = await commands.list_conversations(chat, commands.ListConversations(hidden=True))
    reads, found = Reads(chat), list[MessageView]()
    heap: list[tuple[int, int, list[MessageView] | None]] = [
        (-min(milliseconds_of(row.last_message), before - 1), int(row.conversation_id), None)
        for row in listed.conversations
        if row.last_message
    ]
    heapq.heapify(heap)
    while heap and len(found) < count:
        _, conversation_id, page = heapq.heappop(heap)
        if page is None:
            page = await page_before(reads, conversation_id, lambda each: milliseconds_of(each) >= before, count)
        else:
            if not isinstance(page[0].recalled_at, str):
                found.append(page[0])
            page = page[1:] or await reads.page(conversation_id, page[0].seq, count)
        if page:
            heapq.heappush(heap, (-milliseconds_of(page[0]), conversation_id, page))
    return found


async def page_before(
    reads: Reads, conversation_id: int, is_later: Callable[[MessageView], bool], limit: int
) -> list[MessageView]:
    """The messages before the first one that `is_later`, the newest first."""
    page = await reads.page(conversation_id, None, PAGE)
    earlier = [message for message in page if not is_later(message)]
    if earlier or not page:
        return earlier[:limit]
    low, high = 0, page[-1].seq  # the first later one is above `low` and not above `high`
    while high - low > 1:
        middle = (low + high) // 2
        found = await reads.page(conversation_id, middle + 1, 1)
        if found and is_later(found[0]):
            high = found[0].seq
        else:
            low = middle
        if not reads.left:
            return []
    return await reads.page(conversation_id, high, limit)


async def find_message(reads: Reads, conversation_id: int, message_id: int) -> MessageView | None:
    """By its id, which grows with time, though not strictly with seq."""
    page = await reads.page(conversation_id, None, PAGE)
    if page and all(int(message.message_id) > message_id for message in page):
        before = await page_before(reads, conversation_id, lambda each: int(each.message_id) > message_id, 1)
        page = await reads.page(conversation_id, before[0].seq + PAGE // 2, PAGE) if before else []
    return next((message for message in page if int(message.message_id) == message_id), None)
