"""api/videos/pin-video: the videos that come first in the list of one's own."""

from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.videos import OfVideo, check_actor, drop_cached
from gateway.container import Call
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from protos.media.v1 import videos_pb2 as pb


class PinVideo(OfVideo, kw_only=True):
    """`pinned` false takes it off."""

    pinned: bool = True


@endpoint("POST", "/api/videos/pin-video", family=SHORT_VIDEO, limit=OURS)
async def pin_video(call: Call, params: PinVideo) -> None:
    """Put one's own video first in the list of one's videos, or take it off; at most three."""
    check_actor(call, params)
    request = pb.PinVideoRequest(video_id=params.video_id, pinned=params.pinned)
    drop_cached(call, await call.container.videos.PinVideo(request))


endpoints = [pin_video]
