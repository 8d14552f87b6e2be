"""First pages of feeds that are a viewer's own, for a few seconds: of all videos, for viewers who see more than what is
public, or less, of those whom they follow, and what is made for them.

A page names its public videos by their ids, since their cards are shared; it holds only the cards of the others. Events
drop it; TTL is how long a viewer may be shown an old one if an event was lost, or the mark of what they have seen if
they set it through another gateway.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple

from protos.media.v1 import videos_pb2 as pb
from protos.media.v1.for_you_pb2 import ListForYouRequest
from protos.media.v1.for_you_pb2_grpc import ForYouStub
from protos.media.v1.videos_pb2_grpc import VideosStub
from services.kit.context import Caller
from services.kit.ttl_map import TtlMap

TTL = 5.0  # seconds
SETTLE = 2.0  # seconds after a change between users, until the media service has surely heard of it, too
FOLLOWED, FOR_YOU = -1, -2  # the orders of the videos of those whom the viewer follows, and of those made for them
MAX_PAGES, MAX_DROPS = 5_000, 50_000

Key = tuple[int, int, int]  # viewer, order and limit


@dataclass(slots=True)
class VideoCard:
    """A video, and its JSON as it was last shown, which api/shortvideo/video_views.py keeps here."""

    video: pb.Video
    views: dict[str, Any] = field(default_factory=dict)


class PersonalPage(NamedTuple):
    """`others`: the cards of the videos that are not public."""

    asked_at: float
    video_ids: Sequence[int]
    others: Mapping[int, VideoCard]
    next_cursor: str
    total: int
    seen_id: int  # of those whom the viewer follows: the newest that they have seen
    whys: Sequence[int]  # of those made for the viewer: one for each video


class PersonalFeeds:
    """What was asked for before a drop is not used after it, even if it arrives later."""

    def __init__(self, videos: VideosStub, for_you: ForYouStub) -> None:
        self._videos, self._for_you = videos, for_you
        self._pages: TtlMap[Key, PersonalPage] = TtlMap(TTL, MAX_PAGES)
        self._dropped: TtlMap[int, float] = TtlMap(2 * TTL, MAX_DROPS)  # when, by the id of a video or a viewer
        self._unsettled: TtlMap[int, bool] = TtlMap(SETTLE, MAX_DROPS)  # by viewer
        self._cleared_at = 0.0
        self._asking: dict[Key, tuple[float, asyncio.Task[PersonalPage]]] = {}

    async def load(self, viewer: Caller, order: int, limit: int) -> PersonalPage:
        """Calls the media service in the name of the current caller, who has to be the viewer."""
        key = (viewer.user_id, order, limit)
        page = self._pages.get(key)
        if page is None or not self._is_valid(viewer.user_id, page):
            arrived_at = monotonic()
            page = await asyncio.shield(self._ask(key))  # others may wait for it
            if page.asked_at < arrived_at and not self._is_valid(viewer.user_id, page):
                page = await asyncio.shield(self._ask(key))
        return page

    def _ask(self, key: Key) -> asyncio.Task[PersonalPage]:
        """One call serves all who ask meanwhile, but none who asks after a drop."""
        asked_at, task = self._asking.get(key, (0.0, None))
        if task is None or asked_at <= max(self._cleared_at, self._dropped.get(key[0], 0.0)):
            asked_at = monotonic()
            task = asyncio.create_task(self._fetch(asked_at, *key[1:]))
            self._asking[key] = (asked_at, task)
            task.add_done_callback(lambda done: self._keep(key, done))
        return task

    def _keep(self, key: Key, done: asyncio.Task[PersonalPage]) -> None:
        if self._asking.get(key, (0.0, None))[1] is done:  # else a later call took its place, and may have ended
            del self._asking[key]
            if not done.cancelled() and done.exception() is None and not self._unsettled.get(key[0]):
                self._pages.put(key, done.result())

    async def _fetch(self, asked_at: float, order: int, limit: int) -> PersonalPage:
        if order == FOLLOWED:
            followed = pb.ListFollowedVideosRequest(limit=limit, public_as_ids=True)
            found = await self._videos.ListFollowedVideos(followed)
        elif order == FOR_YOU:
            found = await self._for_you.ListForYou(ListForYouRequest(limit=limit, public_as_ids=True))
        else:
            request = pb.ListVideosRequest(order=pb.VideoOrder.ValueType(order), limit=limit, public_as_ids=True)
            found = await self._videos.ListVideos(request)
        video_ids = [video.video_id for video in found.videos]
        page = (found.next_cursor, found.total, found.seen_id, found.whys)
        return PersonalPage(asked_at, video_ids, other_cards(found), *page)

    def _is_valid(self, viewer_id: int, page: PersonalPage) -> bool:
        dropped = (self._dropped.get(id, 0.0) for id in (viewer_id, *page.others))
        return page.asked_at > max(self._cleared_at, *dropped)

    def drop(self, id: int) -> None:
        """A video's counts have changed, or what a viewer has seen."""
        self._dropped.put(id, monotonic())

    def drop_viewer(self, id: int) -> None:
        """A viewer's relationships have changed: until the media service knows, no page of theirs is kept."""
        self._unsettled.put(id, True)
        self.drop(id)

    def clear(self) -> None:
        """A video was published or deleted, or its visibility changed."""
        self._cleared_at = monotonic()
        self._pages.clear()


def other_cards(page: pb.VideoPage) -> dict[int, VideoCard]:
    """The cards of those videos of a page that it names not only by their ids."""
    return {video.video_id: VideoCard(video) for video in page.videos if video.owner_id}
