"""api/videos and the other lists of videos."""

from typing import Annotated

from msgspec import Meta, Struct

from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.video_views import VideoPage, video_page
from gateway.cache.videos import CardPage
from gateway.container import Call
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.limits.rate_limits import per_second
from gateway.http.params import Id, OptionalId, PageNumber, Text
from protos.media.v1 import videos_pb2 as pb

FEED = per_second(20, 100)  # the document states no limit
MAX_SIZE = 50
MAX_OFFSET = 5_000  # videos that can be reached by `page`; the cursor goes further

ORDERS = {  # any other order_by is LATEST: clients of the original send names of their own
    "latest": pb.LATEST,
    "created_at": pb.LATEST,
    "popular": pb.POPULAR,
    "likes": pb.POPULAR,
    "random": pb.RANDOM,
}

ListSize = Annotated[int, Meta(ge=1, description=f"at most {MAX_SIZE}; a larger value counts as {MAX_SIZE}")]


class VideoPaging(Struct, kw_only=True):
    """A list by the documented pages, or by the cursor of its last page, which neither skips nor repeats a video."""

    page: PageNumber = 1
    page_size: ListSize = 10
    cursor: str = ""

    @property
    def limit(self) -> int:
        return min(self.page_size, MAX_SIZE)

    @property
    def offset(self) -> int:
        return 0 if self.cursor else (self.page - 1) * self.limit

    @property
    def is_beyond_pages(self) -> bool:
        return self.offset >= MAX_OFFSET

    @property
    def has_page_after(self) -> bool:
        """Whether a client can request the page after this one."""
        return bool(self.cursor) or self.offset + self.limit < MAX_OFFSET


class ListVideos(VideoPaging, kw_only=True):
    """`seed`: where a random list begins; without it each first page begins at a new place."""

    order_by: str = ""
    seed: OptionalId = 0


class OfUser(VideoPaging, kw_only=True):
    """The owner, by either name of the field; without one the caller."""

    user_id: Id | None = None
    id: Id | None = None


class Search(VideoPaging, kw_only=True):
    query: Text


@endpoint("GET", "/api/videos", family=SHORT_VIDEO, limit=FEED)
async def list_videos(call: Call, params: ListVideos) -> VideoPage:
    """The videos that the caller may see and has not muted: latest (created_at), popular (likes) or random; any other
    order is latest."""
    order, muted = ORDERS.get(params.order_by, pb.LATEST), await call.container.muted_by(call.caller)
    if order != pb.RANDOM and params.page == 1 and not params.cursor:
        shared = await call.container.video_cache.first_page(call.caller, order, params.limit)
        if shared is not None:
            return await video_page(call, params, shared, muted)
    if params.is_beyond_pages:
        return await video_page(call, params, pb.VideoPage())
    seed = params.seed
    if order == pb.RANDOM and not seed and not params.cursor:
        seeds, session_id = call.container.seeds, call.caller.session_id
        seed = await (seeds.begin(session_id) if params.page == 1 else seeds.last(session_id))
    request = pb.ListVideosRequest(
        order=order, cursor=params.cursor, limit=params.limit, offset=params.offset, seed=seed
    )
    return await video_page(call, params, await _read(call, request), muted)


async def _read(call: Call, request: pb.ListVideosRequest) -> CardPage | pb.VideoPage:
    """The cards of public videos come from the cache that all viewers share, unless one has just become private."""
    videos, cache = call.container.videos, call.container.video_cache
    request.public_as_ids = True
    if page := await cache.with_cards(await videos.ListVideos(request)):
        return page
    request.public_as_ids = False
    return await videos.ListVideos(request)


@endpoint("GET", "/api/videos/user-videos", family=SHORT_VIDEO, limit=FEED)
async def user_videos(call: Call, params: OfUser) -> VideoPage:
    """The videos of one user, the newest first; without an id the caller's own."""
    if params.is_beyond_pages:
        return await video_page(call, params, pb.VideoPage())
    user_id = params.user_id or params.id or call.caller.user_id
    request = pb.ListUserVideosRequest(user_id=user_id, cursor=params.cursor, limit=params.limit, offset=params.offset)
    return await video_page(call, params, await call.container.videos.ListUserVideos(request))


@endpoint("GET", "/api/videos/liked-videos", family=SHORT_VIDEO, limit=FEED)
async def liked_videos(call: Call, params: VideoPaging) -> VideoPage:
    """The videos that the caller likes, the last liked first."""
    if params.is_beyond_pages:
        return await video_page(call, params, pb.VideoPage())
    videos, cache = call.container.videos, call.container.video_cache
    request = pb.ListLikedVideosRequest(cursor=params.cursor, limit=params.limit, offset=params.offset)
    request.public_as_ids = True
    page = await cache.with_cards(await videos.ListLikedVideos(request))
    request.public_as_ids = False
    return await video_page(call, params, page or await videos.ListLikedVideos(request))


@endpoint("GET", "/api/videos/search-videos", family=SHORT_VIDEO, limit=OURS)
async def search_videos(call: Call, params: Search) -> VideoPage:
    """Videos by words of their title and description, the most relevant first; `total` is not counted."""
    if params.is_beyond_pages:
        return await video_page(call, params, pb.VideoPage())
    muted = await call.container.muted_by(call.caller)
    request = pb.SearchVideosRequest(query=params.query, cursor=params.cursor, limit=params.limit, offset=params.offset)
    return await video_page(call, params, await call.container.videos.SearchVideos(request), muted)


endpoints = [list_videos, user_videos, liked_videos, search_videos]
