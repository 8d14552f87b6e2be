"""What the short-video document shows of videos and comments: its sample's fields and its schema's, side by side."""

from collections.abc import Sequence
from typing import cast

import msgspec
from msgspec import Raw, Struct, field

from gateway.cache.videos import Card
from gateway.files.serving import absolute
from gateway.http.endpoint import Call
from protos.media.v1.comments_pb2 import Comment
from protos.media.v1.videos_pb2 import PRIVATE, Video, Visibility
from services.client_json.times import rfc3339

_encode = msgspec.json.Encoder().encode


class VideoView(Struct):
    """`url`, `cover`, `likes`, `comments` and `shares` are the sample's words for the schema's longer ones.

    Times in Unix seconds; `PublishTime` RFC 3339. `playback_url` plays in any browser, `hls_url` (if any) in players
    of HLS.
    """

    id: str
    title: str
    description: str
    url: str
    video_url: str
    cover: str
    cover_url: str
    playback_url: str
    hls_url: str
    likes: str
    like_count: str
    comments: str
    comment_count: str
    shares: str
    share_count: str
    view_count: str
    user_id: str
    created_at: str
    updated_at: str
    publish_time: str = field(name="PublishTime")
    type: str
    is_private: bool
    visibility: str
    is_liked: bool


class CommentView(Struct):
    """`CreatedTime` and `UpdatedTime` in Unix milliseconds, `created_at` and `updated_at` in seconds.

    `owner_id` is whose video, or comment, it answers; `reply_to_id` that comment, "0" at the top.
    """

    id: str
    created_time: str = field(name="CreatedTime")
    updated_time: str = field(name="UpdatedTime")
    content: Raw
    video_id: str
    father_id: str
    reply_to_id: str
    user_id: str
    owner_id: str
    likes: str
    like_count: str
    comments: str
    created_at: str
    updated_at: str


async def video_views(call: Call, cards: Sequence[Card]) -> list[VideoView]:
    """As the caller sees them, encoded already."""
    liked = await call.container.videos.liked(call.caller, [card.video.video_id for card in cards])
    base = absolute(call, "/")
    views = [card.views.get(base) or _encode_views(card, base) for card in cards]
    return [pair[card.video.video_id in liked] for card, pair in zip(cards, views, strict=True)]


def _encode_views(card: Card, base: str) -> tuple[VideoView, VideoView]:
    """Not liked, and liked; kept with the card, since it is shown to many."""
    card.views.clear()  # one address is enough
    views = (Raw(_encode(_video_view(card.video, base.rstrip("/"), liked))) for liked in (False, True))
    card.views[base] = pair = cast(tuple[VideoView, VideoView], tuple(views))
    return pair


def _video_view(video: Video, base: str, is_liked: bool) -> VideoView:
    url, cover, playback, hls = (
        base + url if url.startswith("/") else url
        for url in (video.video_url, video.cover_url, video.playback_url, video.hls_url)
    )
    likes, comments, shares = str(video.like_count), str(video.comment_count), str(video.share_count)
    return VideoView(
        id=str(video.video_id),
        title=video.title,
        description=video.description,
        url=url,
        video_url=url,
        cover=cover,
        cover_url=cover,
        playback_url=playback,
        hls_url=hls,
        likes=likes,
        like_count=likes,
        comments=comments,
        comment_count=comments,
        shares=shares,
        share_count=shares,
        view_count=str(video.view_count),
        user_id=str(video.owner_id),
        created_at=str(video.created_at // 1000),
        updated_at=str(video.updated_at // 1000),
        publish_time=rfc3339(video.created_at),
        type=video.type,
        is_private=video.visibility == PRIVATE,
        visibility=Visibility.Name(video.visibility).lower(),
        is_liked=is_liked,
    )


def comment_view(comment: Comment) -> CommentView:
    likes = str(comment.like_count)
    return CommentView(
        id=str(comment.comment_id),
        created_time=str(comment.created_at),
        updated_time=str(comment.updated_at),
        content=Raw(comment.content),
        video_id=str(comment.video_id),
        father_id=str(comment.father_id),
        reply_to_id=str(comment.reply_to_id),
        user_id=str(comment.user_id),
        owner_id=str(comment.owner_id),
        likes=likes,
        like_count=likes,
        comments=str(comment.reply_count),
        created_at=str(comment.created_at // 1000),
        updated_at=str(comment.updated_at // 1000),
    )
