"""Likes: the writes of one moment travel in one call, and what a viewer likes is remembered until they change it."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.cache.hearing import LASTING, Lasting
from gateway.cache.near_caches.refresh_ahead import RefreshAheadCache
from gateway.http.errors import CommentNotFound, VideoNotFound
from protos.media.v1 import videos_pb2 as pb
from protos.media.v1.comments_pb2 import SetCommentLikesRequest
from protos.media.v1.comments_pb2_grpc import CommentsStub
from protos.media.v1.videos_pb2_grpc import VideosStub
from services.kit.batcher import Batcher
from services.kit.context import Caller
from services.kit.ttl_map import TtlMap

TTL, MAX_LIKED = 1.0, 20_000
MAX_PAIRS = 5_000  # in one RPC


class LikedKey(NamedTuple):
    """A question: which of these videos does the user like? `change` numbers the user's last change, so that each
    change makes new keys."""

    user_id: int
    change: int
    video_ids: tuple[int, ...]


class Likes:
    def __init__(self, videos: VideosStub, comments: CommentsStub, lasting: Lasting | None = None) -> None:
        self._videos, self._comments = videos, comments
        self.liked = RefreshAheadCache(self._fetch_liked, TTL, MAX_LIKED, lasting=lasting)
        self._video_likes = Batcher(self._set_video_likes, name="like videos")
        self._comment_likes = Batcher(self._set_comment_likes, name="like comments")
        self._numbers = itertools.count(1)
        self._changes: TtlMap[int, int] = TtlMap(
            2 * LASTING, MAX_LIKED
        )  # by user; kept longer than the entries of `liked`

    async def set_video_like(self, caller: Caller, video_id: int, liked: bool) -> None:
        """Returns once it is committed. A repeat changes nothing. Raises VideoNotFound."""
        outcome = await self._video_likes.submit(_change(caller, video_id, liked))
        self.changed(caller.user_id)
        if not outcome.found:
            raise VideoNotFound

    def changed(self, user_id: int) -> None:
        """What the user likes is asked for anew."""
        self._changes.put(user_id, next(self._numbers))

    async def set_comment_like(self, caller: Caller, comment_id: int, liked: bool) -> int:
        """As `set_video_like`; returns the id of the comment's video. Raises CommentNotFound."""
        outcome = await self._comment_likes.submit(_change(caller, comment_id, liked))
        if not outcome.found:
            raise CommentNotFound
        return outcome.video_id

    async def liked_by(self, viewer: Caller, video_ids: Sequence[int]) -> frozenset[int]:
        """The ids among `video_ids` that the viewer likes."""
        if not video_ids:
            return frozenset()
        key = LikedKey(viewer.user_id, self._changes.get(viewer.user_id, 0), tuple(video_ids))
        return await self.liked.load(key) or frozenset()

    async def _set_video_likes(self, changes: list[pb.LikeChange]) -> Sequence[pb.LikeOutcome]:
        return (await self._videos.SetVideoLikes(pb.SetVideoLikesRequest(changes=changes))).outcomes

    async def _set_comment_likes(self, changes: list[pb.LikeChange]) -> Sequence[pb.LikeOutcome]:
        return (await self._comments.SetCommentLikes(SetCommentLikesRequest(changes=changes))).outcomes

    async def _fetch_liked(self, keys: list[LikedKey]) -> Mapping[LikedKey, frozenset[int]]:
        pairs = [(key, video_id) for key in keys for video_id in key.video_ids]
        liked: list[bool] = []
        for start in range(0, len(pairs), MAX_PAIRS):
            asked = [pb.UserVideo(video_id=id, user_id=key.user_id) for key, id in pairs[start : start + MAX_PAIRS]]
            liked += (await self._videos.BatchGetLiked(pb.BatchGetLikedRequest(pairs=asked))).liked
        found: dict[LikedKey, set[int]] = {key: set() for key in keys}
        for (key, video_id), is_liked in zip(pairs, liked, strict=True):
            if is_liked:
                found[key].add(video_id)
        return {key: frozenset(video_ids) for key, video_ids in found.items()}


def _change(caller: Caller, target_id: int, liked: bool) -> pb.LikeChange:
    return pb.LikeChange(user_id=caller.user_id, role=caller.role, target_id=target_id, liked=liked)
