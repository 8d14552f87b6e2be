"""api/videos: what the caller keeps out of the feed made for them, its order, and a new beginning."""

from typing import Annotated

from msgspec import Meta, Struct

from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.videos import VIDEO
from gateway.container import Call
from gateway.http.endpoint import NoParams, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import ParameterInvalid, ParameterMissing
from gateway.http.params import OptionalId
from protos.media.v1 import for_you_pb2 as pb


class NotInterested(Struct):
    """One of `video_id`, `author_id` and `tag`. `undone` lets it come again."""

    video_id: OptionalId = 0
    author_id: OptionalId = 0
    tag: str = ""
    undone: bool = False


class KeptOutPaging(Struct):
    cursor: str = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class KeptOut(Struct):
    """One of the three; the others are "0" or empty. `created_at` in Unix seconds."""

    video_id: str
    author_id: str
    tag: str
    created_at: str


class KeptOutPage(Struct):
    """The last kept out first; a user keeps out 500 at most."""

    data: list[KeptOut]
    next_cursor: str


class Settings(Struct):
    """`chronological`: the feed is the public videos, the newest first, and what the caller watches is not kept."""

    chronological: bool


@endpoint("POST", "/api/videos/not-interested", family=SHORT_VIDEO, limit=VIDEO)
async def not_interested(call: Call, params: NotInterested) -> None:
    """Keep a video, all of an author's or all with a tag out of the feed made for the caller; nobody is told."""
    given = [name for name in ("video_id", "author_id", "tag") if getattr(params, name)]
    if not given:
        raise ParameterMissing(field="video_id")
    if len(given) > 1:
        raise ParameterInvalid(field=given[1])
    if params.author_id and not params.undone:
        await call.container.require_user(params.author_id)
    request = pb.SetNotInterestedRequest(undone=params.undone)
    setattr(request, {"author_id": "owner_id"}.get(given[0], given[0]), getattr(params, given[0]))
    await call.container.for_you.SetNotInterested(request)
    call.container.video_cache.drop_seen(call.caller.user_id)


@endpoint("GET", "/api/videos/kept-out", family=SHORT_VIDEO, limit=OURS)
async def kept_out(call: Call, params: KeptOutPaging) -> KeptOutPage:
    """What the caller keeps out of the feed made for them."""
    request = pb.ListNotInterestedRequest(cursor=params.cursor, limit=params.limit)
    found = await call.container.for_you.ListNotInterested(request)
    items = [
        KeptOut(str(each.video_id), str(each.owner_id), each.tag, str(each.created_at // 1000)) for each in found.items
    ]
    return KeptOutPage(items, found.next_cursor)


@endpoint("GET", "/api/videos/for-you-settings", family=SHORT_VIDEO, limit=OURS)
async def for_you_settings(call: Call, params: NoParams) -> Settings:
    """How the caller wants the feed made for them."""
    return Settings((await call.container.for_you.GetForYouSettings(pb.GetForYouSettingsRequest())).chronological)


@endpoint("POST", "/api/videos/set-for-you-settings", family=SHORT_VIDEO, limit=OURS)
async def set_for_you_settings(call: Call, params: Settings) -> None:
    """Choose between a feed made for the caller and the order of time."""
    await call.container.for_you.SetForYouSettings(pb.ForYouSettings(chronological=params.chronological))
    call.container.video_cache.drop_seen(call.caller.user_id)


@endpoint("POST", "/api/videos/reset-for-you", family=SHORT_VIDEO, limit=OURS)
async def reset_for_you(call: Call, params: NoParams) -> None:
    """Forget what the caller watched and kept out; what they liked, shared, saved or commented counts no more."""
    await call.container.for_you.ResetForYou(pb.ResetForYouRequest())
    call.container.video_cache.drop_seen(call.caller.user_id)


endpoints = [not_interested, kept_out, for_you_settings, set_for_you_settings, reset_for_you]
