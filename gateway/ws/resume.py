"""From a hello to `ready`: no event is missed between the reads and the first live event, and none comes twice.

The gateway receives every event at all times and keeps the last ones (replay_buffer.py). So a hello notes the position
of that buffer and reads the conversations and what changed in them. Then, in one step without waiting, the connection
joins the conversations, is sent `ready`, and gets the events since that position.
"""

from collections.abc import AsyncIterator, Mapping

import grpc.aio
import structlog

from gateway.cache.dataloader import DataLoader
from gateway.chat import sync_pages
from gateway.chat.client import Chat
from gateway.ws.connection import Connection
from gateway.ws.frames import Hello, Membership, Ready, pack
from gateway.ws.hub import Hub
from gateway.ws.send_queue import MAX_DIRTY
from protos.chat.v1 import conversations_pb2 as pb
from services.client_json import chat as client_json
from services.kit.errors import AWAY

FIRST_PAGE = 100  # conversations in `ready`
GATHER_SECONDS = 0.02  # while the lists of other hellos are read
MAX_BATCH = 20  # users whose lists are read in one call
MAX_WAITING = 5_000  # users who wait for such a call; further clients are closed and asked to reconnect
PAGE = 500
MAX_CONVERSATIONS = 10_000  # of one user; the events of further ones are not delivered live
SYNC_BATCH = 20  # conversations in one call
MAX_SYNCED = 200  # conversations synced with `ready`, as long as they take no more than:
MAX_SYNC_BYTES = 512 * 1024

log = structlog.get_logger("sockets")

# By user. There is none for a user whose page is too large for an answer that holds many.
FirstPages = DataLoader[int, pb.ListConversationsResponse]


def first_pages(chat: Chat) -> FirstPages:
    async def fetch(user_ids: list[int]) -> Mapping[int, pb.ListConversationsResponse]:
        request = pb.BatchListConversationsRequest(user_ids=user_ids, limit=FIRST_PAGE)
        try:
            return dict((await chat.conversations.BatchListConversations(request)).pages)
        except grpc.aio.AioRpcError as error:
            if error.code() in AWAY or len(user_ids) == 1:
                raise
            log.exception("a batch of hellos failed", status=error.code().name)
            return {}  # one of the users may cause it, so each of them is asked for alone

    return DataLoader(fetch, GATHER_SECONDS, MAX_BATCH, MAX_WAITING)


class Resumption:
    """Brings one connection up to date: `read` first, then `finish`."""

    def __init__(self, hub: Hub, chat: Chat, first_pages: FirstPages, connection: Connection, hello: Hello) -> None:
        self._hub, self._chat, self._first_pages = hub, chat, first_pages
        self._connection, self._hello = connection, hello
        self._position = hub.replay_buffer.position
        self._first: list[client_json.ConversationView] = []
        self._next_cursor, self._marks_rev = "", 0
        self._memberships: dict[int, Membership] = {}  # with the revs that the client knows after `ready` and its syncs
        self._syncs: list[bytes] = []
        self._behind: list[int] = []  # conversations that the client has to sync itself
        self._removed: list[int] = []

    async def read(self) -> None:
        """Reads the conversations and what changed since the client's cursors. Raises the chat service's errors, and
        Unavailable.
        """
        first = await self._first_pages.load(self._connection.caller.user_id)
        async for page in pages(self._chat, FIRST_PAGE, first):
            if not self._memberships:
                self._first = [client_json.conversation(row) for row in page.conversations]
                self._next_cursor, self._marks_rev = page.next_cursor, page.marks_rev
            self._memberships |= memberships_of(page)
        known = self._memberships
        stale = {id: rev for id, rev in self._hello.cursors.items() if id not in known or known[id].rev != rev}
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
                if id in self._memberships:  # otherwise the user joined after the list was read; its event tells more
                    self._memberships[id] = self._memberships[id]._replace(rev=whole.to_rev)
                size += sum(map(len, frames))
            known = {int(whole.conversation_id) for whole in found}
            self._removed += [id for id in batch if id not in known]
        self._removed += [id for id in ids if id not in self._memberships and not self._next_cursor]
        self._behind = [id for id in ids if id in self._memberships]

    def finish(self, request_id: str | int | None, ready: Ready) -> None:
        """Makes the connection live. Waits for nothing, so that no event comes in between."""
        for id in self._removed:
            self._memberships.pop(id, None)
        ready.conversations, ready.next_cursor = self._first, self._next_cursor
        ready.removed, ready.marks_rev = [str(id) for id in self._removed], self._marks_rev
        missed = self._hub.replay_buffer.since(self._position)
        revs = self._hub.apply_membership(self._connection, self._memberships)
        self._connection.start(pack("ready", ready, request_id), *self._syncs)
        for start in range(0, len(self._behind), MAX_DIRTY):
            self._connection.request_resync(self._behind[start : start + MAX_DIRTY], "behind")
        if missed is None:
            self._connection.request_resync(None, "gap")
            return
        self._hub.replay(self._connection, revs, missed)


def memberships_of(page: pb.ListConversationsResponse) -> dict[int, Membership]:
    return {row.conversation_id: Membership(row.rev, row.joined_seq) for row in page.conversations}


async def pages(
    chat: Chat, limit: int = PAGE, first: pb.ListConversationsResponse | None = None
) -> AsyncIterator[pb.ListConversationsResponse]:
    """All conversations of the caller, the most recently active first. The first page is `first` if it is given, and
    else holds up to `limit` of them.
    """
    cursor, seen = "", 0
    while seen < MAX_CONVERSATIONS:
        request = pb.ListConversationsRequest(cursor=cursor, limit=limit)
        try:
            page, first = first or await chat.conversations.ListConversations(request), None
        except grpc.aio.AioRpcError as error:
            if not sync_pages.is_too_large(error) or limit == 1:
                raise
            limit //= 4  # the conversations have long last messages
            continue
        yield page
        seen, cursor, limit = seen + len(page.conversations), page.next_cursor, PAGE
        if not cursor:
            return
