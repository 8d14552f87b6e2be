"""api/videos/for-you*: the feed that is made for the caller, and why it has a video."""

from msgspec import Struct

from gateway.api.shortvideo.feeds import FEED, MAX_SIZE, ListSize
from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.video_views import VideoPage, page_fields, shown_cards
from gateway.cache.personal_feeds import VideoCard
from gateway.cache.videos import CardPage
from gateway.container import Call
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.params import Id
from protos.media.v1 import for_you_pb2 as pb
from protos.media.v1 import videos_pb2

WHYS: dict[int, str] = {
    videos_pb2.WHY_FOLLOWED: "followed",
    videos_pb2.WHY_NEAR: "near",
    videos_pb2.WHY_TAG: "tag",
    videos_pb2.WHY_AUTHOR: "author",
    videos_pb2.WHY_POPULAR: "popular",
    videos_pb2.WHY_FRESH: "fresh",
    videos_pb2.WHY_LATEST: "latest",
}


class ForYouPaging(Struct):
    """Pages follow each other by the cursor alone."""

    page_size: ListSize = 10
    cursor: str = ""
    page = 1
    has_page_after = True

    @property
    def limit(self) -> int:
        return min(self.page_size, MAX_SIZE)


class ForYouPage(VideoPage):
    """`whys` has a word for each video: followed, near (liked by those who like what the caller likes), tag, author,
    popular, fresh, or latest for callers who want the order of time. for-you-why says more. `total` is not counted."""

    whys: list[str]


class OneVideoId(Struct):
    video_id: Id


class ScorePart(Struct):
    """`value` is -1 to 1."""

    name: str
    value: float
    weight: float


class Explanation(Struct):
    """`tag` goes with tags of the caller's taste, `liked_video_id` is the caller's video that is near to this one; each
    is empty or "0" without. `score` is the sum of the parts, each times its weight, times `fatigue`. A video that is
    `seen` or `kept_out` is not in the feed."""

    why: str
    tag: str
    liked_video_id: str
    score: float
    fatigue: float
    parts: list[ScorePart]
    seen: bool
    kept_out: bool


@endpoint("GET", "/api/videos/for-you", family=SHORT_VIDEO, limit=FEED)
async def for_you(call: Call, params: ForYouPaging) -> ForYouPage:
    """Public videos chosen for the caller, without those that they have watched, muted or kept out."""
    found = await _find(call, params)
    shown, whys = shown_cards(call, found, await call.container.muted_by(call.caller)), found.whys
    if shown is not found.cards:
        of_cards = {card.video.video_id: why for card, why in zip(found.cards, whys, strict=True)}
        whys = [of_cards[card.video.video_id] for card in shown]
    return ForYouPage(*await page_fields(call, params, found, shown), [WHYS[why] for why in whys])


async def _find(call: Call, params: ForYouPaging) -> CardPage:
    """The cards come from the cache that all viewers share, unless one has just become private."""
    stub, cache = call.container.for_you, call.container.video_cache
    request = pb.ListForYouRequest(cursor=params.cursor, limit=params.limit)
    if not params.cursor:
        page = await cache.first_for_you(call.caller, params.limit)
    else:
        page = await cache.with_cards(await stub.ListForYou(_as_ids(request)))
    if page is not None:
        return page
    found = await stub.ListForYou(request)
    cards = [VideoCard(video) for video in found.videos]
    return CardPage(cards, found.next_cursor, found.total, whys=found.whys)


def _as_ids(request: pb.ListForYouRequest) -> pb.ListForYouRequest:
    return pb.ListForYouRequest(cursor=request.cursor, limit=request.limit, public_as_ids=True)


@endpoint("GET", "/api/videos/for-you-why", family=SHORT_VIDEO, limit=OURS)
async def for_you_why(call: Call, params: OneVideoId) -> Explanation:
    """Why the feed shows the caller a video, with the parts of its score, as they are now."""
    found = await call.container.for_you.ExplainVideo(pb.ExplainVideoRequest(video_id=params.video_id))
    parts = [ScorePart(part.name, round(part.value, 4), part.weight) for part in found.parts]
    numbers = (round(found.score, 4), round(found.fatigue, 4))
    return Explanation(
        WHYS[found.why], found.tag, str(found.liked_video_id), *numbers, parts, found.seen, found.kept_out
    )


endpoints = [for_you, for_you_why]
