"""Videos as answers show them: the row, its file and the file's renditions."""

from typing import Any

from sqlalchemy import Select, and_, case, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import aliased

from services.media.files.filetypes import VIDEO
from services.media.models import READY, Derivative, Object
from services.media.videos.models import Caption, Video

OURS = "/media/"
HASH_IN_URL = (len(OURS) + 1, 64)  # of a path of ours: where the hash begins, and its length

_file, _own_cover = aliased(Object), aliased(Object)
_cover, _cover_file = aliased(Derivative), aliased(Object)
_playback, _playback_file = aliased(Derivative), aliased(Object)
_hls, _storyboard = aliased(Derivative), aliased(Derivative)


def _of_cover(made: Any, own: Any, unknown: object) -> Any:
    """A fact of the cover that is shown: the one made of the video, or the one at `cover_url`, which may be an outside
    url, of which nothing is known."""
    return func.coalesce(case((Video.cover_url == "", made), else_=own), unknown)


_about = func.json_build_array(Caption.language, Caption.label, Caption.object_hash + ".vtt")
_captions = (
    select(func.json_agg(aggregate_order_by(_about, Caption.language)))
    .where(Caption.video_id == Video.id)
    .correlate(Video)
    .scalar_subquery()
)

# A video with its file and what processing made of it, if anything. An outside url has no file, and is ready.
CARDS = (
    select(
        Video.__table__,
        func.coalesce(_file.kind, VIDEO).label("kind"),
        func.coalesce(_file.state, READY).label("status"),
        func.coalesce(_file.reason, "").label("reason"),
        _of_cover(func.coalesce(func.nullif(_file.blurhash, ""), _cover_file.blurhash), _own_cover.blurhash, "").label(
            "blurhash"
        ),
        _of_cover(_cover_file.width, _own_cover.width, 0).label("cover_width"),
        _of_cover(_cover_file.height, _own_cover.height, 0).label("cover_height"),
        *(func.coalesce(getattr(_file, name), 0).label(name) for name in ("width", "height", "duration")),
        (_cover_file.hash + "." + _cover_file.extension).label("cover_file"),
        (_playback_file.hash + "." + _playback_file.extension).label("playback_file"),
        (func.coalesce(Video.captioned_hls, _hls.object_hash) + ".m3u8").label("hls_file"),
        (_storyboard.object_hash + ".tiles").label("storyboard_file"),
        _captions.label("captions"),
    )
    .outerjoin(_file, _file.hash == Video.object_hash)
    .outerjoin(_own_cover, and_(Video.cover_url != "", _own_cover.hash == func.substr(Video.cover_url, *HASH_IN_URL)))
    .outerjoin(_cover, and_(_cover.source_hash == Video.object_hash, _cover.profile == "cover"))
    .outerjoin(_cover_file, _cover_file.hash == _cover.object_hash)
    .outerjoin(_playback, and_(_playback.source_hash == Video.object_hash, _playback.profile == "playback"))
    .outerjoin(_playback_file, _playback_file.hash == _playback.object_hash)
    .outerjoin(_hls, and_(_hls.source_hash == Video.object_hash, _hls.profile == "hls"))
    .outerjoin(_storyboard, and_(_storyboard.source_hash == Video.object_hash, _storyboard.profile == "storyboard"))
)


def made_cover(hash: str) -> Select[Any]:
    """The name of the cover that was made of a file."""
    made = select(_cover_file.hash + "." + _cover_file.extension).join(_cover, _cover.object_hash == _cover_file.hash)
    return made.where(_cover.source_hash == hash, _cover.profile == "cover")
