"""JSON of videos: the fields of the short-video document's samples and of its schemas, side by side."""

from collections.abc import Sequence
from typing import Protocol, cast

import msgspec
from msgspec import Raw, Struct, field

from gateway.api.shortvideo.texts.entities import TextEntity, text_entities
from gateway.cache.mutes import NOTHING, Muted
from gateway.cache.personal_feeds import VideoCard
from gateway.cache.videos import CardPage
from gateway.container import Call
from gateway.files.urls import absolute
from protos.media.v1 import videos_pb2 as pb
from protos.media.v1.objects_pb2 import State
from protos.media.v1.videos_pb2 import PRIVATE, Video, Visibility
from services.client_json.times import rfc3339

WHO_MAY_COMMENT = {
    pb.COMMENTS_EVERYONE: "everyone",
    pb.COMMENTS_FOLLOWERS: "followers",
    pb.COMMENTS_FRIENDS: "friends",
    pb.COMMENTS_NOBODY: "nobody",
}
STATES = {State.PROCESSING: "processing", State.READY: "ready", State.FAILED: "failed"}

_encode = msgspec.json.Encoder().encode


class CaptionsView(Struct):
    """`language` is a tag such as zh-Hant (BCP 47), `url` that of a WebVTT file."""

    language: str
    label: str
    url: str


class VideoView(Struct):
    """The sample's `url`, `cover`, `likes`, `comments` and `shares` repeat the schema's longer names.

    Times in Unix seconds; `PublishTime` RFC 3339; `CreatedTime` and `UpdatedTime` in Unix milliseconds. `playback_url`
    plays in any browser, `hls_url` in HLS players; each is empty while there is nothing to play.
    `captions` are in `hls_url`, too.
    `storyboard_url` is WebVTT, whose cues name tiles of a sheet of small pictures, for scrubbing. `status` is
    processing, ready or failed (for the `reason`); only its owner sees a video that is not ready. `width` and `height`
    in pixels and `duration` in milliseconds are 0 if not known, as of an outside url; so is `blurhash` empty.
    `blurhash`, `cover_width` and `cover_height` are those of the cover. `title_entities` and `description_entities` say
    where these texts have tags and mentions. `who_may_comment`, beside the owner: everyone, followers, friends or
    nobody. A `pinned` video is first in the list of its owner's.
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
    storyboard_url: str
    captions: list[CaptionsView]
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
    created_time: str = field(name="CreatedTime")
    updated_time: str = field(name="UpdatedTime")
    publish_time: str = field(name="PublishTime")
    type: str
    status: str
    reason: str
    width: int
    height: int
    duration: int
    blurhash: str
    cover_width: int
    cover_height: int
    is_private: bool
    visibility: str
    is_liked: bool
    who_may_comment: str
    pinned: bool
    title_entities: list[TextEntity]
    description_entities: list[TextEntity]


class VideoPage(Struct):
    """`next_cursor` is empty on the last page. `total` is "0" for a search and for liked videos: counting them would
    mean reading all of them, so use `has_more`."""

    data: list[VideoView]
    page: str
    page_size: str
    total: str
    has_more: bool
    next_cursor: str


class Paging(Protocol):
    """The fields of a request that its page repeats or depends on."""

    @property
    def page(self) -> int: ...

    @property
    def limit(self) -> int: ...

    @property
    def has_page_after(self) -> bool: ...


async def video_page(call: Call, paging: Paging, found: pb.VideoPage | CardPage, muted: Muted = NOTHING) -> VideoPage:
    """The page without what `muted` hides, so it may be short; the caller's own videos stay."""
    return VideoPage(*await page_fields(call, paging, found, shown_cards(call, found, muted)))


async def page_fields(
    call: Call, paging: Paging, found: pb.VideoPage | CardPage, cards: Sequence[VideoCard]
) -> tuple[list[VideoView], str, str, str, bool, str]:
    """Those of a VideoPage that shows these cards of what was found."""
    has_more = bool(found.next_cursor) and paging.has_page_after
    views = await video_views(call, cards)
    return views, str(paging.page), str(paging.limit), str(found.total), has_more, found.next_cursor


def shown_cards(call: Call, found: pb.VideoPage | CardPage, muted: Muted) -> Sequence[VideoCard]:
    """Those that `muted` does not hide from the caller."""
    cards = found.cards if isinstance(found, CardPage) else [VideoCard(video) for video in found.videos]
    if muted is NOTHING:
        return cards
    me = call.caller.user_id
    return [card for card in cards if card.video.owner_id == me or not _is_hidden(muted, card.video)]


def _is_hidden(muted: Muted, video: Video) -> bool:
    return muted.hides(video.owner_id, video.title, video.description)


async def video_views(call: Call, cards: Sequence[VideoCard]) -> list[VideoView]:
    """The cards as the caller sees them, already encoded."""
    liked = await call.container.likes.liked_by(call.caller, [card.video.video_id for card in cards])
    base = absolute(call, "/")
    views = [card.views.get(base) or _encode_views(card, base) for card in cards]
    return [pair[card.video.video_id in liked] for card, pair in zip(cards, views, strict=True)]


def _encode_views(card: VideoCard, base: str) -> tuple[VideoView, VideoView]:
    """Not liked, and liked. They are kept with the card, since many viewers are shown the same."""
    card.views.clear()  # those for one base url are enough
    views = (Raw(_encode(_video_view(card.video, base.rstrip("/"), liked))) for liked in (False, True))
    card.views[base] = pair = cast(tuple[VideoView, VideoView], tuple(views))
    return pair


def _video_view(video: Video, base: str, is_liked: bool) -> VideoView:
    url, cover, playback, hls, storyboard = (
        base + url if url.startswith("/") else url
        for url in (video.video_url, video.cover_url, video.playback_url, video.hls_url, video.storyboard_url)
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
        storyboard_url=storyboard,
        captions=[CaptionsView(of.language, of.label, base + of.url) for of in video.captions],
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
        created_time=str(video.created_at),
        updated_time=str(video.updated_at),
        publish_time=rfc3339(video.created_at),
        type=video.type,
        status=STATES[video.status],
        reason=video.reason,
        width=video.width,
        height=video.height,
        duration=video.duration,
        blurhash=video.blurhash,
        cover_width=video.cover_width,
        cover_height=video.cover_height,
        is_private=video.visibility == PRIVATE,
        visibility=Visibility.Name(video.visibility).lower(),
        is_liked=is_liked,
        who_may_comment=WHO_MAY_COMMENT[video.who_may_comment],
        pinned=video.pinned,
        title_entities=text_entities(video.title, video.mentions),
        description_entities=text_entities(video.description, video.mentions),
    )
