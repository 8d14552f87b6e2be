"""The operator's commands: `python -m services.media <command>`."""

import typer

from protos.social.v1 import friends_pb2
from protos.social.v1.friends_pb2_grpc import FriendsStub
from services.kit.db import Database
from services.kit.process.commands import CommandLine, count_faults
from services.kit.rpc.channel import open_channel
from services.media.config import SERVICE, MediaSettings
from services.media.maintenance import counter_audit, filling, sweeper
from services.media.maintenance.metadata_cleaning import Cleaned, clean_metadata
from services.media.relationships import backfill
from services.media.service import MIGRATIONS
from services.media.storage import open_storage
from services.media.video_commands import video

commands = CommandLine(SERVICE, MediaSettings, MIGRATIONS)
commands.app.add_typer(video, name="video")

FAULTS = {
    "objects that are ready although a job is open": """
        SELECT count(*) FROM object JOIN job ON object_hash = hash
        WHERE state = 2 AND due_at IS NOT NULL AND profile IN ('cover', 'playback')""",
    "objects in processing without an open job": """
        SELECT count(*) FROM object WHERE state = 1
        AND NOT EXISTS (SELECT FROM job WHERE object_hash = hash AND due_at IS NOT NULL)""",
    "resumable uploads whose parts do not add up": """
        SELECT count(*) FROM partial_upload LEFT JOIN
        (SELECT upload_id, sum(size) AS kept FROM part GROUP BY upload_id) parts ON upload_id = id
        WHERE object_hash IS NULL AND received <> coalesce(kept, 0)""",
    **counter_audit.FAULTS,
}


async def check(database: Database, settings: MediaSettings) -> dict[str, int]:
    with open_storage(settings) as storage:
        missing = await sweeper.count_missing(database, storage)
    async with database.transaction() as connection:
        return await count_faults(connection, FAULTS) | {"objects whose file is not in the store": missing}


commands.add_check(check)


@commands.app.command("copy-standings")
def copy_standings() -> None:
    """Copy all friendships, follows and blocks from the social service. The media service may run meanwhile."""

    async def copy(database: Database, settings: MediaSettings) -> int:
        async with open_channel(settings.social_target, settings, (friends_pb2.DESCRIPTOR,)) as channel:
            return await backfill.copy_standings(database, FriendsStub(channel))

    typer.echo(f"{commands.run(copy)} pairs of users")


@commands.app.command("clean-metadata")
def clean(after: str = typer.Option("", help="go on after this hash, from the log of an interrupted run")) -> None:
    """Remove places, devices and people from files stored by releases that kept them. The service may run meanwhile."""

    async def work(database: Database, settings: MediaSettings) -> Cleaned:
        with open_storage(settings) as storage:
            return await clean_metadata(database, settings, storage, after)

    done = commands.run(work)
    typer.echo(f"{done.looked_at} files: {done.changed} cleaned, {done.left} left as they are")


@commands.app.command("fill")
def fill_in(
    after: str = typer.Option("", help="go on after this hash, from the log of an interrupted run"),
    most: int = typer.Option(1_000, help="add at most so many jobs; run it again when they are done"),
) -> None:
    """Make what files of earlier releases lack: blurhashes, animations, covers, storyboards, the sizes of videos.
    The service has to run, and does the jobs."""

    async def work(database: Database, settings: MediaSettings) -> filling.Filled:
        with open_storage(settings) as storage:
            return await filling.fill(database, settings, storage, after, most)

    done = commands.run(work)
    typer.echo(f"{done.described} files described, {done.jobs} jobs added, {done.left} files left as they are")


@commands.app.command()
def repair() -> None:
    """Correct wrong counters by counting the rows. Nobody can write meanwhile."""

    async def work(database: Database, _: MediaSettings) -> dict[str, int]:
        async with database.transaction() as connection:
            return await counter_audit.repair(connection)

    for counter, count in commands.run(work).items():
        typer.echo(f"{count} {counter}")
