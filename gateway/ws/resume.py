"""From a hello to `ready`: nothing is missed between what was read and what is heard, and nothing comes twice.

The gateway hears every event all the time and keeps the last ones (recent.py). So: note the position, read
the list and what changed, then in one step join the rooms, say `ready`, and pass on what came by meanwhile.
"""

from collections.abc import AsyncIterator, Mapping

import grpc.aio
import structlog

from gateway.cache.dataloader import DataLoader
from gateway.chat import sync_pages, views
from gateway.chat.client import Chat
from gateway.ws.connection import Connection
from gateway.ws.frames import Hello, Place, Ready, pack
from gateway.ws.hub import Hub
from protos.chat.v1 import conversations_pb2 as pb
from services.kit.errors import AWAY

FIRST_PAGE = 100  # conversations in `ready`
GATHER = 0.02  # seconds, while others' hellos are being read
HELLOS = 20  # users whose lists are read in one call
MAX_HELLOS = 5_000  # users who wait for that; it is better for a further one to come again
PAGE = 500
MAX_CONVERSATIONS = 10_000  # of one user, whose events are heard
SYNC_BATCH = 20  # conversations in one call
MAX_SYNCED = 200  # conversations brought up to date unasked; and no more than:
MAX_SYNC_BYTES = 512 * 1024

log = structlog.get_logger("sockets")

FirstPages = DataLoader[
    int, pb.ListConversationsResponse
]  # by user; none for one whom an answer for many does not hold


def first_pages(chat: Chat) -> FirstPages:
    async def fetch(user_ids: list[int]) -> Mapping[int, pb.ListConversationsResponse]:
        request = pb.BatchListConversationsRequest(user_ids=user_ids, limit=FIRST_PAGE)
        try:
            return dict((await chat.conversations.BatchListConversations(request)).pages)
        except grpc.aio.AioRpcError as error:
            if error.code() in AWAY or len(user_ids) == 1:
                raise
            log.exception("a batch of hellos failed", status=error.code().name)
            return {}  # one of them is to blame, and the others shall not suffer: each is asked for by himself

    return DataLoader(fetch, GATHER, HELLOS, MAX_HELLOS)


class Resumption:
    """The reads of one hello, gathered; `finish` waits for nothing."""

    def __init__(self, hub: Hub, chat: Chat, firsts: FirstPages, connection: Connection, hello: Hello) -> None:
        self._hub, self._chat, self._firsts = hub, chat, firsts
        self._connection, self._hello = connection, hello
        self._position = hub.recent.position
        self._first: list[views.ConversationView] = []
        self._next_cursor = ""
        self._places: dict[int, Place] = {}  # what the client knows once it has read all of it
        self._syncs: list[bytes] = []
        self._behind: list[int] = []  # left for the client to sync
        self._removed: list[int] = []

    async def read(self) -> None:
        """Raises the chat service's errors, and Unavailable."""
        first = await self._firsts.load(self._connection.caller.user_id)
        async for page in pages(self._chat, FIRST_PAGE, first):
            if not self._places:
                self._first = [views.conversation(row) for row in page.conversations]
                self._next_cursor = page.next_cursor
            self._places |= places_of(page)
        places = self._places
        stale = {id: rev for id, rev in self._hello.cursors.items() if id not in places or places[id].rev != rev}
        await self._read_changes(stale)

    async def _read_changes(self, stale: dict[int, int]) -> None:
        ids, size = list(stale), 0
        while ids and len(self._syncs) < MAX_SYNCED and size < MAX_SYNC_BYTES:
            batch, ids = ids[:SYNC_BATCH], ids[SYNC_BATCH:]
            found = await sync_pages.batch_sync(self._chat, {id: stale[id] for id in batch})
            for whole in found:
                frames = [pack("sync", part) for part in sync_pages.parts(whole)]
                self._syncs += frames
                id = int(whole.conversation_id)
                if id in self._places:  # else he joined it after the list was read, of which he is told
                    self._places[id] = self._places[id]._replace(rev=whole.to_rev)
                size += sum(map(len, frames))
            known = {int(whole.conversation_id) for whole in found}
            self._removed += [id for id in batch if id not in known]
        self._removed += [id for id in ids if id not in self._places and not self._next_cursor]
        self._behind = [id for id in ids if id in self._places]

    def finish(self, request_id: str | int | None, ready: Ready) -> None:
        """In one step, so that no event comes between."""
        for id in self._removed:
            self._places.pop(id, None)
        ready.conversations, ready.next_cursor = self._first, self._next_cursor
        ready.removed = [str(id) for id in self._removed]
        missed = self._hub.recent.since(self._position)
        revs = self._hub.settle(self._connection, self._places)
        self._connection.start(pack("ready", ready, request_id), *self._syncs)
        for start in range(0, len(self._behind), 500):
            self._connection.doubt(self._behind[start : start + 500], "behind")
        if missed is None:
            self._connection.doubt(None, "gap")
            return
        self._hub.replay(self._connection, revs, missed)


def places_of(page: pb.ListConversationsResponse) -> dict[int, Place]:
    return {row.conversation_id: Place(row.rev, row.joined_seq) for row in page.conversations}


async def pages(
    chat: Chat, limit: int = PAGE, known: pb.ListConversationsResponse | None = None
) -> AsyncIterator[pb.ListConversationsResponse]:
    """All of the caller's conversations, the most recently active first; `limit` of them, or those known, to begin."""
    cursor, seen = "", 0
    while seen < MAX_CONVERSATIONS:
        request = pb.ListConversationsRequest(cursor=cursor, limit=limit)
        try:
            page, known = known or await chat.conversations.ListConversations(request), None
        except grpc.aio.AioRpcError as error:
            if not sync_pages.is_too_large(error) or limit == 1:
                raise
            limit //= 4  # long last messages
            continue
        yield page
        seen, cursor, limit = seen + len(page.conversations), page.next_cursor, PAGE
        if not cursor:
            return
