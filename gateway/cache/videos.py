"""A cache of videos: public entries are shared by all viewers until an event drops them, other videos are not kept.

A viewer gets a shared entry only if the media service would return the same to them: admins see more, some users see
more than what is public, and a block may lie between a viewer and an owner. The gateway that writes drops the
entries itself; the other gateways hear of it (invalidation.py).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import grpc
import grpc.aio

from gateway.cache.hearing import Hearing
from gateway.cache.near_caches.near_cache import NearCache
from gateway.cache.near_caches.refresh_ahead import RefreshAheadCache
from gateway.cache.personal_feeds import FOLLOWED, FOR_YOU, PersonalFeeds, VideoCard, other_cards
from gateway.http.errors import VideoNotFound
from protos.media.v1 import comments_pb2 as comments_pb
from protos.media.v1 import videos_pb2 as pb
from protos.media.v1.comments_pb2_grpc import CommentsStub
from protos.media.v1.for_you_pb2_grpc import ForYouStub
from protos.media.v1.videos_pb2_grpc import VideosStub
from services.kit.context import Caller
from services.kit.roles import is_admin

TTL = 1.0  # seconds while no events are heard; feeds and comments always
DROP_AGAIN = (0.2, 1.0, 3.0, 10.0)  # seconds
MAX_CARDS, MAX_VIEWERS, MAX_COMMENTS, MAX_FEEDS = 20_000, 20_000, 5_000, 100
MAX_HIDDEN = 1_000  # owners; the service lists no more
COMMENT_PAGES = (10, 20, 50)  # sizes of first pages of comments that are kept

FeedKey = tuple[int, int]  # order and limit
PageKey = tuple[int, int]  # of comments: video and limit


class ViewerFilter(NamedTuple):
    """Which shared entries a viewer may get."""

    hidden_owners: frozenset[int]  # a block lies between them and the viewer
    is_complete: bool  # all of them are listed
    sees_more: bool  # than what is public


@dataclass(slots=True)
class NewestComments:
    """A page, and its JSON once it was shown, which api/shortvideo/commenting/comments.py keeps here."""

    page: comments_pb.CommentPage
    views: list[Any] | None = None


class FeedIds(NamedTuple):
    """The first page of a feed. The cards are kept apart, since their counts change more often."""

    video_ids: Sequence[int]
    owners: frozenset[int]
    next_cursor: str
    total: int


class CardPage(NamedTuple):
    cards: Sequence[VideoCard]
    next_cursor: str
    total: int
    seen_id: int = 0
    whys: Sequence[int] = ()  # of the feed made for the viewer: one for each card


class VideoCache:
    def __init__(self, videos: VideosStub, comments: CommentsStub, for_you: ForYouStub, hearing: Hearing) -> None:
        self._videos, self._comments = videos, comments
        self._cards = RefreshAheadCache(self._fetch_cards, TTL, MAX_CARDS, lasting=hearing.lasting("media"))
        related = hearing.lasting("media", "social")
        self._filters = RefreshAheadCache(self._fetch_filters, TTL, MAX_VIEWERS, lasting=related)
        self._feeds = RefreshAheadCache(self._fetch_feeds, TTL, MAX_FEEDS)
        self._personal = PersonalFeeds(videos, for_you)
        self._newest_comments = RefreshAheadCache(self._fetch_newest_comments, TTL, MAX_COMMENTS)

    @property
    def caches(self) -> dict[str, NearCache[Any, Any]]:
        """By the name that the metric hitok_cache_lookups has for each."""
        return {
            "videos": self._cards,
            "audiences": self._filters,
            "feeds": self._feeds,
            "comments": self._newest_comments,
        }

    async def card(self, viewer: Caller, video_id: int) -> VideoCard:
        """Shared or the viewer's own. Raises VideoNotFound, also for a video that the viewer may not see."""
        shared = await self._shared_card(viewer, video_id)
        if shared is not None:
            return shared
        found = await self._videos.BatchGetVideos(pb.BatchGetVideosRequest(video_ids=[video_id]))
        if not found.videos:
            raise VideoNotFound
        return VideoCard(found.videos[0])

    async def of_ids(self, viewer: Caller, video_ids: Sequence[int]) -> dict[int, pb.Video]:
        """Those that the viewer, the current caller, may see: shared ones, and the others with one call."""
        viewer_filter = await self._filter_of(viewer)
        cards = await self._cards.load_many(video_ids) if viewer_filter else {}
        hidden = viewer_filter.hidden_owners if viewer_filter else frozenset()
        found = {id: card.video for id, card in cards.items() if card.video.owner_id not in hidden}
        if rest := [id for id in video_ids if id not in found]:
            own = await self._videos.BatchGetVideos(pb.BatchGetVideosRequest(video_ids=rest))
            found |= {video.video_id: video for video in own.videos}
        return found

    async def newest_comments(self, viewer: Caller, video_id: int, limit: int) -> NewestComments | None:
        """The first `limit`; None if this viewer's, or so many, have to be read from the service."""
        if limit not in COMMENT_PAGES or await self._shared_card(viewer, video_id) is None:
            return None
        return await self._newest_comments.load((video_id, limit))

    async def first_page(self, viewer: Caller, order: int, limit: int) -> CardPage | None:
        """Of all videos, as the current caller sees them; None if all of it has to be read from the service."""
        if is_admin(viewer.role):
            return None
        viewer_filter = await self._filter_of(viewer)
        feed = await self._feeds.load((order, limit)) if viewer_filter and not viewer_filter.sees_more else None
        if viewer_filter and feed and viewer_filter.hidden_owners.isdisjoint(feed.owners):
            return await self._page(feed.video_ids, {}, feed.next_cursor, feed.total)
        own = await self._personal.load(viewer, order, limit)
        return await self._page(own.video_ids, own.others, own.next_cursor, own.total)

    async def first_followed(self, viewer: Caller, limit: int) -> CardPage | None:
        """Of those whom the current caller follows; None if a video is public no more: then the service is asked."""
        own = await self._personal.load(viewer, FOLLOWED, limit)
        return await self._page(own.video_ids, own.others, own.next_cursor, own.total, own.seen_id)

    async def first_for_you(self, viewer: Caller, limit: int) -> CardPage | None:
        """Made for the current caller; None as above."""
        own = await self._personal.load(viewer, FOR_YOU, limit)
        return await self._page(own.video_ids, own.others, own.next_cursor, own.total, whys=own.whys)

    async def with_cards(self, found: pb.VideoPage) -> CardPage | None:
        """A page that names its public videos by their ids; None as above."""
        ids = [video.video_id for video in found.videos]
        return await self._page(ids, other_cards(found), found.next_cursor, found.total, found.seen_id, found.whys)

    async def _page(
        self,
        video_ids: Sequence[int],
        others: Mapping[int, VideoCard],
        next_cursor: str,
        total: int,
        seen_id: int = 0,
        whys: Sequence[int] = (),
    ) -> CardPage | None:
        """None if a video is public no more."""
        cards = await self._cards.load_many([id for id in video_ids if id not in others] if others else video_ids)
        if len(cards) + len(others) < len(video_ids):
            return None
        found = [others.get(id) or cards[id] for id in video_ids] if others else [cards[id] for id in video_ids]
        return CardPage(found, next_cursor, total, seen_id, whys)

    def drop_video(self, video_id: int) -> None:
        """After the counts of the video changed."""
        self._cards.drop(video_id)
        self._personal.drop(video_id)

    def drop_comments(self, video_id: int) -> None:
        """After a comment under the video was added, deleted or liked."""
        self.drop_video(video_id)
        for limit in COMMENT_PAGES:
            self._newest_comments.drop((video_id, limit))

    def drop_everywhere(self, video_id: int, owner_id: int) -> None:
        """After the video was published or deleted, or its visibility changed."""
        self.drop_comments(video_id)
        self._feeds.clear()
        self._personal.clear()
        self._filters.drop(owner_id)

    def drop_viewers(self, *user_ids: int) -> None:
        """After a friendship or a block between the users began or ended.

        The media service learns of it at the same time: what it answers now may be older. So it is dropped again.
        """
        for user_id in user_ids:
            self._filters.drop(user_id)
            self._personal.drop_viewer(user_id)
            for seconds in DROP_AGAIN:
                asyncio.get_running_loop().call_later(seconds, self._filters.drop, user_id)

    def drop_followed(self, user_id: int) -> None:
        """After the user began or ceased to follow another."""
        self._personal.drop_viewer(user_id)

    def drop_seen(self, user_id: int) -> None:
        """After the user watched a video, marked what they have seen, or set what their feed has."""
        self._personal.drop(user_id)

    async def _shared_card(self, viewer: Caller, video_id: int) -> VideoCard | None:
        viewer_filter = await self._filter_of(viewer)
        card = await self._cards.load(video_id) if viewer_filter else None
        return card if card and viewer_filter and card.video.owner_id not in viewer_filter.hidden_owners else None

    async def _filter_of(self, viewer: Caller) -> ViewerFilter | None:
        """None if the viewer gets no shared entry at all."""
        if is_admin(viewer.role):
            return None
        found = await self._filters.load(viewer.user_id)
        return found if found and found.is_complete else None

    async def _fetch_cards(self, video_ids: list[int]) -> Mapping[int, VideoCard]:
        """Without a caller in the context, so only public videos are found."""
        found = await self._videos.BatchGetVideos(pb.BatchGetVideosRequest(video_ids=video_ids))
        return {video.video_id: VideoCard(video) for video in found.videos}

    async def _fetch_filters(self, user_ids: list[int]) -> Mapping[int, ViewerFilter]:
        found = (await self._videos.BatchGetAudiences(pb.BatchGetAudiencesRequest(user_ids=user_ids))).audiences
        return {
            user_id: ViewerFilter(
                frozenset(audience.hidden_owner_ids), len(audience.hidden_owner_ids) < MAX_HIDDEN, audience.personal
            )
            for user_id, audience in zip(user_ids, found, strict=True)
        }

    async def _fetch_feeds(self, keys: list[FeedKey]) -> Mapping[FeedKey, FeedIds]:
        requests = [pb.ListVideosRequest(order=pb.VideoOrder.ValueType(order), limit=limit) for order, limit in keys]
        pages = await asyncio.gather(*map(self._videos.ListVideos, requests))
        return {key: _feed_ids(page) for key, page in zip(keys, pages, strict=True)}

    async def _fetch_newest_comments(self, keys: list[PageKey]) -> Mapping[PageKey, NewestComments]:
        requests = [comments_pb.ListCommentsRequest(id=id, limit=limit) for id, limit in keys]
        pages = await asyncio.gather(*map(self._comments.ListComments, requests), return_exceptions=True)
        found = {}
        for key, page in zip(keys, pages, strict=True):
            if isinstance(page, comments_pb.CommentPage):
                found[key] = NewestComments(page)
            elif not isinstance(page, grpc.aio.AioRpcError) or page.code() is not grpc.StatusCode.NOT_FOUND:
                raise page
        return found


def _feed_ids(page: pb.VideoPage) -> FeedIds:
    owners = frozenset(video.owner_id for video in page.videos)
    return FeedIds([video.video_id for video in page.videos], owners, page.next_cursor, page.total)
