"""The card of a video that a message shares, as clients see it."""

from msgspec import Struct

from protos.media.v1.videos_pb2 import Video

VIDEO_CARD = "video_card"  # the content type of such a message, whose body names the video


class CardView(Struct):
    """What this reader may see of the video now. `available` false: nothing, because it is deleted, hidden or not for
    them; then everything but `video_id` is empty. `cover_url` is a path, `duration` in milliseconds."""

    video_id: str
    available: bool
    user_id: str = ""
    title: str = ""
    cover_url: str = ""
    blurhash: str = ""
    cover_width: int = 0
    cover_height: int = 0
    duration: int = 0


def card(video_id: int, video: Video | None) -> CardView:
    if video is None:
        return CardView(str(video_id), available=False)
    about = (str(video.owner_id), video.title, video.cover_url, video.blurhash)
    return CardView(str(video_id), True, *about, video.cover_width, video.cover_height, video.duration)
