"""What the operator's commands print of videos."""

import asyncio
import json

from typer.testing import CliRunner, Result

from protos.media.v1 import videos_pb2 as pb
from services.media.admin import commands
from tests.support import videos as v
from tests.support.social import new_user
from tests.support.user import environment
from tests.support.videos import Videos, execute, publish


async def run(videos: Videos, *words: str) -> Result:
    environ = environment(videos.service.settings)
    return await asyncio.to_thread(CliRunner(env=environ).invoke, commands.app, ("video", *words))


async def test_videos_are_listed_and_shown(videos: Videos) -> None:
    owner = new_user()
    first = (await publish(videos, owner, pb.PUBLIC, title="one")).video_id
    second = (await publish(videos, owner, pb.PRIVATE, title="two")).video_id
    await v.comment(videos, owner, first)
    await execute(videos, "UPDATE video SET visibility = 3, publish_as = 2 WHERE id = :id", id=second)
    lines = (await run(videos, "list", "--owner", str(owner))).stdout.splitlines()
    shown = [line.split("\t") for line in lines]
    assert [(int(line[0]), line[1], *line[3:]) for line in shown] == [
        (second, f"of {owner}", "hidden", "two"),
        (first, f"of {owner}", "public", "one"),
    ]
    assert len((await run(videos, "list", "--owner", str(owner), "--hidden")).stdout.splitlines()) == 1
    known = json.loads((await run(videos, "show", str(first))).stdout)
    assert (known["owner_id"], known["visibility"], known["live_comments"]) == (owner, "public", 1)
    missing = await run(videos, "show", "7")
    assert (missing.exit_code, missing.stderr) == (2, "error: no such video: 7\n")
    await execute(videos, "UPDATE video SET visibility = 2, publish_as = NULL WHERE id = :id", id=second)
