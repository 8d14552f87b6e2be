"""The operator's commands on videos: `python -m services.media video <command>`.

They only read. Hiding and removing is a moderator's act, which the owner hears of and may appeal: `python -m
services.user moderation act video ID hide` (docs/moderation.md).
"""

from typing import Any

import msgspec
import typer
from sqlalchemy import Row, func, select

from services.kit.config import ConfigError, refuse
from services.kit.process.commands import CommandLine
from services.kit.sql.connection import AsyncConnection
from services.media.config import SERVICE, MediaSettings
from services.media.models import HIDDEN
from services.media.service import MIGRATIONS
from services.media.videos.models import Comment, Video

VISIBILITIES = ("public", "friends", "private", "hidden")
UNSHOWN = {"words", "score", "visibility"}  # the search's and the feed's

video = typer.Typer(help="What is known of videos. `python -m services.user moderation act video …` hides or removes.")


@video.command()
def show(video_id: int = typer.Argument(metavar="ID")) -> None:
    """Print what the media service knows about a video, as JSON; a deleted one is empty."""

    async def look(connection: AsyncConnection) -> dict[str, Any]:
        row = (await connection.execute(select(Video.__table__).where(Video.id == video_id))).one_or_none()
        if row is None:
            refuse(ConfigError(f"no such video: {video_id}"))
        comments = select(func.count()).where(Comment.video_id == video_id, Comment.deleted_at.is_(None))
        count = (await connection.execute(comments)).scalar_one()
        known = {name: value for name, value in row._mapping.items() if name not in UNSHOWN}
        return known | {"visibility": VISIBILITIES[row.visibility], "live_comments": count}

    known = CommandLine(SERVICE, MediaSettings, MIGRATIONS).read(look)
    typer.echo(msgspec.json.format(msgspec.json.encode(known)).decode())


@video.command("list")
def list_videos(
    owner: int = typer.Option(0, help="only of this user, by id"),
    hidden: bool = typer.Option(False, "--hidden", help="only those that moderators hid"),
    limit: int = typer.Option(50, min=1, max=1_000, help="how many at most"),
) -> None:
    """Print videos, the newest first: id, owner, when, who may see it, title."""

    query = select(Video.__table__).where(Video.deleted_at.is_(None)).order_by(Video.id.desc()).limit(limit)
    query = query.where(Video.owner_id == owner) if owner else query
    query = query.where(Video.visibility == HIDDEN) if hidden else query
    for row in CommandLine(SERVICE, MediaSettings, MIGRATIONS).read(lambda connection: connection.execute(query)):
        typer.echo(_line(row))


def _line(row: Row[Any]) -> str:
    return f"{row.id}\tof {row.owner_id}\t{row.created_at:%F %T}\t{VISIBILITIES[row.visibility]}\t{row.title}"
