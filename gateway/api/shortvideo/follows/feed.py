"""api/videos/following-*: the videos of those whom the caller follows, and how many of them are new."""

from msgspec import Struct

from gateway.api.shortvideo.feeds import FEED, VideoPaging
from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.video_views import VideoPage, page_fields, shown_cards
from gateway.cache.videos import CardPage
from gateway.container import Call
from gateway.http.endpoint import NoParams, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.params import Id
from protos.media.v1 import videos_pb2 as pb


class FollowingPage(VideoPage):
    """Videos with a higher id than `seen_id` are new to the caller; "0": they have marked none."""

    seen_id: str


class Unseen(Struct):
    """`more`: there are more than those counted."""

    count: int
    more: bool


class SeenVideo(Struct):
    video_id: Id


MOST = 99  # counted


@endpoint("GET", "/api/videos/following-videos", family=SHORT_VIDEO, limit=FEED)
async def following_videos(call: Call, params: VideoPaging) -> FollowingPage:
    """The videos of those whom the caller follows, the newest first, without what they muted."""
    found = await _find(call, params)
    cards = shown_cards(call, found, await call.container.muted_by(call.caller))
    return FollowingPage(*await page_fields(call, params, found, cards), str(found.seen_id))


async def _find(call: Call, params: VideoPaging) -> CardPage | pb.VideoPage:
    """The cards of public videos come from the cache that all viewers share."""
    if params.is_beyond_pages:
        return pb.VideoPage()
    videos, cache = call.container.videos, call.container.video_cache
    request = pb.ListFollowedVideosRequest(cursor=params.cursor, limit=params.limit, offset=params.offset)
    if params.page == 1 and not params.cursor:
        page = await cache.first_followed(call.caller, params.limit)
    else:
        request.public_as_ids = True
        page = await cache.with_cards(await videos.ListFollowedVideos(request))
        request.public_as_ids = False
    return page or await videos.ListFollowedVideos(request)


@endpoint("GET", "/api/videos/following-unseen", family=SHORT_VIDEO, limit=OURS)
async def following_unseen(call: Call, params: NoParams) -> Unseen:
    """How many videos of those whom the caller follows are new to them, up to 99: for a mark beside the feed."""
    count = (await call.container.videos.CountUnseen(pb.CountUnseenRequest())).count
    return Unseen(count, count >= MOST)


@endpoint("POST", "/api/videos/mark-following-seen", family=SHORT_VIDEO, limit=OURS)
async def mark_following_seen(call: Call, params: SeenVideo) -> None:
    """Mark a video of that feed, and all older ones, as seen; an older mark changes nothing."""
    await call.container.videos.MarkSeen(pb.MarkSeenRequest(video_id=params.video_id))
    call.container.video_cache.drop_seen(call.caller.user_id)


endpoints = [following_videos, following_unseen, mark_following_seen]
