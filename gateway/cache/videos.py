"""Videos near at hand: what is public is shared by all viewers for up to a second; what only some see is not kept.

A viewer gets the shared answer only if it is his own too: he sees nothing that is not public, and no block lies
between him and an owner. The gateway that writes drops what it wrote over, the others hear of it (invalidation.py).
"""

import asyncio
import itertools
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import grpc
import grpc.aio

from gateway.cache.dataloader import DataLoader, NearCache, Recent
from gateway.cache.refresh_ahead import RefreshAheadCache
from gateway.http.errors import CommentNotFound, VideoNotFound
from protos.media.v1 import comments_pb2 as comments_pb
from protos.media.v1 import videos_pb2 as pb
from protos.media.v1.comments_pb2_grpc import CommentsStub
from protos.media.v1.videos_pb2_grpc import VideosStub
from services.kit.context import Caller

VIDEO_PROTOS = (pb.DESCRIPTOR, comments_pb.DESCRIPTOR)
TTL = 1.0  # seconds
MAX_CARDS, MAX_AUDIENCES, MAX_LIKED, MAX_HEADS, MAX_FEEDS = 20_000, 20_000, 20_000, 5_000, 100
MAX_PAIRS = 5_000  # in one question
MAX_HIDDEN = 1_000  # owners; the service lists no more
SEED_TTL, MAX_SEEDS = 3_600.0, 50_000
HEAD = 10  # comments
ADMIN = 3


class Audience(NamedTuple):
    """Whose videos a viewer does not see, if all are listed; and whether he sees more than what is public."""

    hidden: frozenset[int]
    complete: bool
    personal: bool


class Feed(NamedTuple):
    """The beginning of a list; the cards are kept apart, since they change more often."""

    ids: Sequence[int]
    owners: frozenset[int]
    next_cursor: str
    total: int


class LikedPage(NamedTuple):
    """Which of these does the user like, since his last change?"""

    user_id: int
    change: int
    video_ids: tuple[int, ...]


class LikeKey(NamedTuple):
    """The number keeps what one user does in the order in which he did it."""

    number: int
    user_id: int
    role: int
    target_id: int
    liked: bool


@dataclass(slots=True)
class Card:
    """A video, and how it was last shown: api/shortvideo/video_views.py keeps its work here."""

    video: pb.Video
    views: dict[str, Any] = field(default_factory=dict)


class Page(NamedTuple):
    cards: Sequence[Card]
    next_cursor: str
    total: int


class Videos:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.service, self.comments = VideosStub(channel), CommentsStub(channel)
        self._cards = RefreshAheadCache(self._fetch_cards, TTL, MAX_CARDS)
        self._audiences = RefreshAheadCache(self._fetch_audiences, TTL, MAX_AUDIENCES)
        self._feeds = RefreshAheadCache(self._fetch_feeds, TTL, MAX_FEEDS)
        self._liked = RefreshAheadCache(self._fetch_liked, TTL, MAX_LIKED)
        self._heads = RefreshAheadCache(self._fetch_heads, TTL, MAX_HEADS)
        self._video_likes = DataLoader(self._set_video_likes)
        self._comment_likes = DataLoader(self._set_comment_likes)
        self._seeds: Recent[int, int] = Recent(SEED_TTL, MAX_SEEDS)
        self._changes: Recent[int, int] = Recent(2 * TTL, MAX_LIKED)  # each user's last; what is kept ends sooner
        self._numbers = itertools.count(1)

    @property
    def caches(self) -> dict[str, NearCache[Any, Any]]:
        return {
            "videos": self._cards,
            "audiences": self._audiences,
            "feeds": self._feeds,
            "liked": self._liked,
            "comments": self._heads,
        }

    async def get(self, viewer: Caller, video_id: int) -> Card:
        """Raises VideoNotFound."""
        shared = await self._get_shared(viewer, video_id)
        if shared is not None:
            return shared
        found = await self.service.BatchGetVideos(pb.BatchGetVideosRequest(video_ids=[video_id]))
        if not found.videos:
            raise VideoNotFound
        return Card(found.videos[0])

    async def _get_shared(self, viewer: Caller, video_id: int) -> Card | None:
        audience = await self._audience(viewer)
        card = await self._cards.load(video_id) if audience else None
        return card if card and audience and card.video.owner_id not in audience.hidden else None

    async def _audience(self, viewer: Caller) -> Audience | None:
        """None for him who gets nothing that is shared."""
        if viewer.role >= ADMIN:
            return None
        audience = await self._audiences.load(viewer.user_id)
        return audience if audience and audience.complete else None

    async def head(self, viewer: Caller, video_id: int) -> comments_pb.CommentPage | None:
        """The newest comments, as many as HEAD; None if the viewer has to ask for himself."""
        if await self._get_shared(viewer, video_id) is None:
            return None
        return await self._heads.load(video_id)

    async def feed(self, viewer: Caller, order: int, limit: int) -> Page | None:
        """The first page; None if the viewer has to ask for himself."""
        audience = await self._audience(viewer)
        if audience is None or audience.personal:
            return None
        feed = await self._feeds.load((order, limit))
        if feed is None or not audience.hidden.isdisjoint(feed.owners):
            return None
        cards = await self._cards.load_many(feed.ids)
        if len(cards) < len(feed.ids):
            return None
        return Page([cards[id] for id in feed.ids], feed.next_cursor, feed.total)

    async def liked(self, viewer: Caller, video_ids: Sequence[int]) -> frozenset[int]:
        """Those that the viewer likes."""
        if not video_ids:
            return frozenset()
        page = LikedPage(viewer.user_id, self._changes.get(viewer.user_id) or 0, tuple(video_ids))
        return await self._liked.load(page) or frozenset()

    async def like(self, caller: Caller, video_id: int, liked: bool) -> None:
        """Travels with others' likes. Raises VideoNotFound."""
        outcome = await self._video_likes.load(self._key(caller, video_id, liked))
        self._cards.drop(video_id)
        self._changes.put(caller.user_id, next(self._numbers))
        if outcome is None or not outcome.found:
            raise VideoNotFound

    async def like_comment(self, caller: Caller, comment_id: int, liked: bool) -> None:
        """As `like`. Raises CommentNotFound."""
        outcome = await self._comment_likes.load(self._key(caller, comment_id, liked))
        if outcome is None or not outcome.found:
            raise CommentNotFound
        self._heads.drop(outcome.video_id)

    def _key(self, caller: Caller, target_id: int, liked: bool) -> LikeKey:
        return LikeKey(next(self._numbers), caller.user_id, caller.role, target_id, liked)

    def seed(self, caller: Caller, fresh: bool) -> int:
        """Where the caller's random list begins: anew, or as it did when it was last begun."""
        seed = None if fresh else self._seeds.get(caller.session_id)
        if seed is None:
            seed = secrets.randbits(63)
            self._seeds.put(caller.session_id, seed)
        return seed

    def drop_video(self, video_id: int) -> None:
        """Its counts changed."""
        self._cards.drop(video_id)

    def drop_comments(self, video_id: int) -> None:
        """There are others now."""
        self._cards.drop(video_id)
        self._heads.drop(video_id)

    def drop_lists(self, video_id: int, owner_id: int) -> None:
        """It came, went, or is for others now."""
        self.drop_comments(video_id)
        self._feeds.clear()
        self._audiences.drop(owner_id)

    def drop_audience(self, *user_ids: int) -> None:
        """They stand otherwise to each other."""
        for user_id in user_ids:
            self._audiences.drop(user_id)

    async def _fetch_cards(self, video_ids: list[int]) -> Mapping[int, Card]:
        found = await self.service.BatchGetVideos(pb.BatchGetVideosRequest(video_ids=video_ids))
        return {video.video_id: Card(video) for video in found.videos}

    async def _fetch_audiences(self, user_ids: list[int]) -> Mapping[int, Audience]:
        found = (await self.service.BatchGetAudiences(pb.BatchGetAudiencesRequest(user_ids=user_ids))).audiences
        return {
            user_id: Audience(
                frozenset(audience.hidden_owner_ids), len(audience.hidden_owner_ids) < MAX_HIDDEN, audience.personal
            )
            for user_id, audience in zip(user_ids, found, strict=True)
        }

    async def _fetch_feeds(self, wanted: list[tuple[int, int]]) -> Mapping[tuple[int, int], Feed]:
        requests = [pb.ListVideosRequest(order=pb.VideoOrder.ValueType(order), limit=limit) for order, limit in wanted]
        pages = await asyncio.gather(*map(self.service.ListVideos, requests))
        return {key: _feed(page) for key, page in zip(wanted, pages, strict=True)}

    async def _fetch_liked(self, pages: list[LikedPage]) -> Mapping[LikedPage, frozenset[int]]:
        pairs = [(page, id) for page in pages for id in page.video_ids]
        liked: list[bool] = []
        for some in (pairs[at : at + MAX_PAIRS] for at in range(0, len(pairs), MAX_PAIRS)):
            asked = [pb.UserVideo(video_id=id, user_id=page.user_id) for page, id in some]
            liked += (await self.service.BatchGetLiked(pb.BatchGetLikedRequest(pairs=asked))).liked
        found: dict[LikedPage, set[int]] = {page: set() for page in pages}
        for (page, id), is_liked in zip(pairs, liked, strict=True):
            if is_liked:
                found[page].add(id)
        return {page: frozenset(ids) for page, ids in found.items()}

    async def _fetch_heads(self, video_ids: list[int]) -> Mapping[int, comments_pb.CommentPage]:
        requests = [comments_pb.ListCommentsRequest(id=id, limit=HEAD) for id in video_ids]
        pages = await asyncio.gather(*map(self.comments.ListComments, requests), return_exceptions=True)
        found = {}
        for video_id, page in zip(video_ids, pages, strict=True):
            if isinstance(page, comments_pb.CommentPage):
                found[video_id] = page
            elif not isinstance(page, grpc.aio.AioRpcError) or page.code() is not grpc.StatusCode.NOT_FOUND:
                raise page
        return found

    async def _set_video_likes(self, keys: list[LikeKey]) -> Mapping[LikeKey, pb.LikeOutcome]:
        answer = await self.service.SetVideoLikes(pb.SetVideoLikesRequest(changes=map(_change, keys)))
        return dict(zip(keys, answer.outcomes, strict=True))

    async def _set_comment_likes(self, keys: list[LikeKey]) -> Mapping[LikeKey, pb.LikeOutcome]:
        answer = await self.comments.SetCommentLikes(comments_pb.SetCommentLikesRequest(changes=map(_change, keys)))
        return dict(zip(keys, answer.outcomes, strict=True))


def _feed(page: pb.VideoPage) -> Feed:
    owners = frozenset(video.owner_id for video in page.videos)
    return Feed([video.video_id for video in page.videos], owners, page.next_cursor, page.total)


def _change(key: LikeKey) -> pb.LikeChange:
    return pb.LikeChange(user_id=key.user_id, role=key.role, target_id=key.target_id, liked=key.liked)
