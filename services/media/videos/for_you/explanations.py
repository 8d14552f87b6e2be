"""Why the feed would show a video to a viewer, for people and for those who look into the feed."""

from typing import NamedTuple

from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.media.errors import VideoNotFound
from services.media.videos.for_you import feed, scoring
from services.media.videos.for_you.candidates import find_one
from services.media.videos.for_you.pool import Pool


class Explanation(NamedTuple):
    """`parts`: by the names of scoring.WEIGHTS. `tag` and `seed_id` go with the reason."""

    why: int
    parts: dict[str, float]
    fatigue: float
    tag: str
    seed_id: int
    is_seen: bool
    is_kept_out: bool

    @property
    def score(self) -> float:
        return scoring.total(self.parts) * self.fatigue


async def explain_video(connection: AsyncConnection, viewer: Caller, pool: Pool, video_id: int) -> Explanation:
    """As the feed would rate it now. Raises VideoNotFound."""
    known = await feed.read_viewer(connection, viewer.user_id, with_acts=True)
    taste = await feed.taste_of_viewer(connection, known, pool)
    video = await find_one(connection, viewer.user_id, taste, pool, video_id)
    if video is None:
        raise VideoNotFound
    parts = scoring.parts_of(video, taste, pool)
    tags = scoring.tags_of(video, taste)
    return Explanation(
        scoring.why_of(parts, video.view_count < scoring.FEW_VIEWS),
        parts,
        scoring.fatigue_of(video, taste),
        max(tags, key=lambda tag: tags[tag], default=""),
        video.seed_id,
        video.is_seen,
        known.kept_out.has(video.id, video.owner_id, video.tags),
    )
