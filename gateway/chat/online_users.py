"""The users who are online, as the chat service reports them. While it or Valkey is away, nobody counts as online."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import grpc.aio
import structlog

from gateway.cache.near_caches.near_cache import NearCache
from gateway.cache.sights import ANYBODY, Sights
from gateway.chat.client import Chat
from gateway.chat.presence_reporter import PresenceReporter
from protos.chat.v1 import sockets_pb2 as pb
from services.kit.errors import AWAY

PAGE_TTL, MAX_PAGES = 1.0, 100
MAX_BATCH = 10_000  # users in one call
TIMEOUT = 1.0  # seconds

log = structlog.get_logger("presence")


class FirstPage(NamedTuple):
    """`version` is the reporter's, so that a user of this gateway appears on the page as soon as they connect."""

    offset: int
    limit: int
    version: int


class Page(NamedTuple):
    user_ids: Sequence[int]
    next_cursor: str


NOBODY = Page((), "")


class OnlineUsers:
    def __init__(self, chat: Chat, reporter: PresenceReporter, sights: Sights) -> None:
        self._chat, self._reporter, self._sights = chat, reporter, sights
        self._pages = NearCache(self._fetch_pages, PAGE_TTL, MAX_PAGES)

    async def page(self, viewer_id: int, cursor: str, offset: int, limit: int) -> Page:
        """Those with a WebSocket and the last seen come first; up to a second old. Without those who do not show it to
        everyone, or between whom and the viewer (0: unknown) a block is, so a page may be short. Raises CursorInvalid
        (as the chat service's AioRpcError).
        """
        await self._reporter.flush()
        if cursor:
            page = await self._fetch_page(cursor, offset, limit)
        else:
            page = await self._pages.load(FirstPage(offset, limit, self._reporter.version)) or NOBODY
        if not viewer_id or not page.user_ids:
            return page
        sights = await self._sights.of(viewer_id, page.user_ids)
        shown = [id for id in page.user_ids if id == viewer_id or (id in sights and not sights[id].blocked)]
        return Page(shown, page.next_cursor)

    async def among(self, user_ids: Sequence[int]) -> set[int]:
        """Those of the users who are online. The caller of the route has to be allowed to see all of `user_ids`."""
        await self._reporter.flush()
        online: set[int] = set()
        try:
            for start in range(0, len(user_ids), MAX_BATCH):
                request = pb.BatchGetOnlineRequest(user_ids=user_ids[start : start + MAX_BATCH])
                online.update((await self._chat.presence.BatchGetOnline(request, timeout=TIMEOUT)).user_ids)
        except grpc.aio.AioRpcError as error:
            _log_if_away(error)
        return online

    async def _fetch_pages(self, keys: Iterable[FirstPage]) -> Mapping[FirstPage, Page]:
        return {key: await self._fetch_page("", key.offset, key.limit) for key in keys}

    async def _fetch_page(self, cursor: str, offset: int, limit: int) -> Page:
        request = pb.ListOnlineUsersRequest(cursor=cursor, offset=offset, limit=limit)
        try:
            page = await self._chat.presence.ListOnlineUsers(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            _log_if_away(error)
            return NOBODY
        sights = await self._sights.of(ANYBODY, page.user_ids)
        shown = [id for id in page.user_ids if id in sights and sights[id].presence_is_public]
        return Page(shown, page.next_cursor)


def _log_if_away(error: grpc.aio.AioRpcError) -> None:
    """Raises an error that does not come from the chat service being away."""
    if error.code() not in AWAY:
        raise error
    log.warning("nobody is known online", status=error.code().name)
