"""api/tags/*: the videos with a tag, the tags of the day, and tags while a user types."""

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct

from gateway.api.shortvideo.feeds import FEED, VideoPaging
from gateway.api.shortvideo.video_views import VideoPage, video_page
from gateway.cache.videos import CardPage
from gateway.container import Call
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.params import Text
from protos.media.v1 import tags_pb2 as pb
from protos.media.v1 import videos_pb2


class OfTag(VideoPaging, kw_only=True):
    """`tag`, with or without its sign, in any case."""

    tag: Text


class TypedTag(Struct):
    """What a user has typed of a tag, with or without its sign."""

    query: Text
    limit: Annotated[int, Meta(ge=1, le=50)] = 10


class FirstTags(Struct):
    limit: Annotated[int, Meta(ge=1, le=50)] = 10


class TagView(Struct):
    """`video_count`: of public videos."""

    tag: str
    video_count: str


class Tags(Struct):
    tags: list[TagView]


@endpoint("GET", "/api/tags/videos", family=SHORT_VIDEO, limit=FEED)
async def tag_videos(call: Call, params: OfTag) -> VideoPage:
    """The videos with a tag that the caller may see and has not muted, the newest first; `total` counts public ones."""
    return await video_page(call, params, await _find(call, params), await call.container.muted_by(call.caller))


async def _find(call: Call, params: OfTag) -> CardPage | videos_pb2.VideoPage:
    if params.is_beyond_pages:
        return videos_pb2.VideoPage()
    paging = {"cursor": params.cursor, "limit": params.limit, "offset": params.offset}
    request = pb.ListTagVideosRequest(name=params.tag, public_as_ids=True, **paging)  # type: ignore[arg-type]
    page = await call.container.video_cache.with_cards(await call.container.tags.ListTagVideos(request))
    request.public_as_ids = False
    return page or await call.container.tags.ListTagVideos(request)


@endpoint("GET", "/api/tags/trending", family=SHORT_VIDEO, limit=FEED)
async def trending_tags(call: Call, params: FirstTags) -> Tags:
    """The tags that most authors used in the last days: each author counts once a day, and half as much a day later."""
    found = await call.container.trending.load(params.limit) or ()
    return await shown_tags(call, found)


@endpoint("GET", "/api/tags/suggest", family=SHORT_VIDEO, limit=FEED)
async def suggest_tags(call: Call, params: TypedTag) -> Tags:
    """Tags of public videos that begin with what a user types, those of the most videos first."""
    request = pb.SuggestTagsRequest(typed=params.query, limit=params.limit)
    return await shown_tags(call, (await call.container.tags.SuggestTags(request)).tags)


async def shown_tags(call: Call, tags: Iterable[pb.Tag]) -> Tags:
    """Without those that the caller muted as words."""
    muted = await call.container.muted_by(call.caller)
    return Tags([TagView(tag.name, str(tag.video_count)) for tag in tags if not muted.hides(0, tag.name)])


endpoints = [tag_videos, trending_tags, suggest_tags]
