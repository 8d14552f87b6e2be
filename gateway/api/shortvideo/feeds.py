"""api/videos and the other lists of videos."""

from typing import Annotated

from msgspec import Meta, Struct

from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.video_views import VideoView, video_views
from gateway.cache.videos import Card
from gateway.cache.videos import Page as Cards
from gateway.http.endpoint import Call, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import ParameterInvalid
from gateway.http.params import Id, OptionalId, PageNumber, Text
from gateway.http.rate_limits import per_second
from protos.media.v1 import videos_pb2 as pb

FEED = per_second(20, 100)  # the document names none
MAX_SIZE = 50
MAX_OFFSET = 5_000  # videos that can be reached by page; the cursor goes on

ORDERS = {
    "": pb.LATEST,
    "latest": pb.LATEST,
    "created_at": pb.LATEST,
    "popular": pb.POPULAR,
    "likes": pb.POPULAR,
    "random": pb.RANDOM,
}

Size = Annotated[int, Meta(ge=1, description=f"at most {MAX_SIZE}; more is taken as that")]


class Part(Struct, kw_only=True):
    """By the documented pages, or by the cursor that the last page gave, which misses and repeats nothing."""

    page: PageNumber = 1
    page_size: Size = 10
    cursor: str = ""

    @property
    def limit(self) -> int:
        return min(self.page_size, MAX_SIZE)

    @property
    def offset(self) -> int:
        return 0 if self.cursor else (self.page - 1) * self.limit


class ListVideos(Part, kw_only=True):
    """`seed` of a random list: where it begins; without one each first page begins anew."""

    order_by: str = ""
    seed: OptionalId = 0


class OfUser(Part, kw_only=True):
    """Whose, by either name; the caller's own without one."""

    user_id: Id | None = None
    id: Id | None = None


class Search(Part, kw_only=True):
    query: Text


class VideoPage(Struct):
    """`next_cursor` is empty on the last page. `total` is "0" of what was searched and of what the caller likes:
    neither is counted, since a count would read them all; `has_more` tells."""

    data: list[VideoView]
    page: str
    page_size: str
    total: str
    has_more: bool
    next_cursor: str


async def _page(call: Call, part: Part, found: pb.VideoPage | Cards) -> VideoPage:
    cards = found.cards if isinstance(found, Cards) else [Card(video) for video in found.videos]
    more = bool(found.next_cursor) and (bool(part.cursor) or part.offset + part.limit < MAX_OFFSET)
    views = await video_views(call, cards)
    return VideoPage(views, str(part.page), str(part.limit), str(found.total), more, found.next_cursor)


@endpoint("GET", "/api/videos", family=SHORT_VIDEO, limit=FEED)
async def list_videos(call: Call, params: ListVideos) -> VideoPage:
    """The videos that the caller may see: latest (created_at), popular (likes) or random."""
    order = ORDERS.get(params.order_by)
    if order is None:
        raise ParameterInvalid
    videos = call.container.videos
    if order != pb.RANDOM and params.page == 1 and not params.cursor:
        shared = await videos.feed(call.caller, order, params.limit)
        if shared is not None:
            return await _page(call, params, shared)
    if params.offset >= MAX_OFFSET:
        return await _page(call, params, pb.VideoPage())
    seed = params.seed
    if order == pb.RANDOM and not seed and not params.cursor:
        seed = videos.seed(call.caller, fresh=params.page == 1)
    request = pb.ListVideosRequest(
        order=order, cursor=params.cursor, limit=params.limit, offset=params.offset, seed=seed
    )
    return await _page(call, params, await videos.service.ListVideos(request))


@endpoint("GET", "/api/videos/user-videos", family=SHORT_VIDEO, limit=FEED)
async def user_videos(call: Call, params: OfUser) -> VideoPage:
    """One user's, the newest first; the caller's own without an id."""
    if params.offset >= MAX_OFFSET:
        return await _page(call, params, pb.VideoPage())
    user_id = params.user_id or params.id or call.caller.user_id
    request = pb.ListUserVideosRequest(user_id=user_id, cursor=params.cursor, limit=params.limit, offset=params.offset)
    return await _page(call, params, await call.container.videos.service.ListUserVideos(request))


@endpoint("GET", "/api/videos/liked-videos", family=SHORT_VIDEO, limit=FEED)
async def liked_videos(call: Call, params: Part) -> VideoPage:
    """Those that the caller likes, the last liked first."""
    if params.offset >= MAX_OFFSET:
        return await _page(call, params, pb.VideoPage())
    request = pb.ListLikedVideosRequest(cursor=params.cursor, limit=params.limit, offset=params.offset)
    return await _page(call, params, await call.container.videos.service.ListLikedVideos(request))


@endpoint("GET", "/api/videos/search-videos", family=SHORT_VIDEO, limit=OURS)
async def search_videos(call: Call, params: Search) -> VideoPage:
    """By words of the title and the description, the newest first; `total` is not known."""
    if params.offset >= MAX_OFFSET:
        return await _page(call, params, pb.VideoPage())
    request = pb.SearchVideosRequest(query=params.query, cursor=params.cursor, limit=params.limit, offset=params.offset)
    return await _page(call, params, await call.container.videos.service.SearchVideos(request))


endpoints = [list_videos, user_videos, liked_videos, search_videos]
