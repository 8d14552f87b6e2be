"""`python -m deploy.demo`: fills a running hitok with users, videos and messages, over its public API.

It may be run again: it adds only what is missing, and so continues a run that was stopped.
"""

import asyncio
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from deploy.demo.contacts import make_follows, make_friends, make_groups
from deploy.demo.demo_run import DemoError, DemoRun, Progress, Visitor
from deploy.demo.messages import send_messages
from deploy.demo.progress import open_progress
from deploy.demo.story import SECONDS, SeededChoices, read_story
from deploy.demo.summary import write_summary
from deploy.demo.users import register_users
from deploy.demo.videos import upload_videos
from deploy.deployment import find_deployment, find_url
from deploy.frontend import Refused, Unreachable, open_http
from deploy.local.data_dir import load_secrets, locate_folder
from deploy.local.errors import LocalError
from deploy.local.settings_files import read_environ


def main(
    url: Annotated[str, typer.Option(help="of the gateway; default: HITOK_PUBLIC_URL, else this machine")] = "",
    seed: Annotated[int, typer.Option(help="another seed makes other users with the same names")] = 1,
    password: Annotated[str, typer.Option(help="of all users; default: generated and kept in HITOK_VAR")] = "",
    seconds: Annotated[float, typer.Option(min=0.5, max=60, help="length of each video")] = SECONDS,
) -> None:
    """Fill a running hitok with demo data."""
    try:
        url, password = url or find_url(find_deployment(read_environ())), password or find_password()
        with open_progress() as progress:
            run = asyncio.run(fill(url, seed, password, seconds, find_mails(), progress))
    except* (DemoError, LocalError, Refused, Unreachable) as errors:
        print(f"error: {explain(errors)}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(write_summary(run, url, password))


async def fill(url: str, seed: int, password: str, seconds: float, mails: Path | None, progress: Progress) -> DemoRun:
    """Raises DemoError, Refused, Unreachable, alone or in a group."""
    run = DemoRun(read_story(), SeededChoices(seed), progress)
    async with open_http(url) as http:
        await register_users(run, Visitor(http), password, mails)
        await make_friends(run)
        await make_follows(run)
        groups = await make_groups(run)
        with tempfile.TemporaryDirectory(prefix="hitok-demo-") as folder:
            await upload_videos(run, Path(folder), seconds)
        await send_messages(run, groups)
    return run


def find_mails() -> Path | None:
    mails = locate_folder(read_environ()) / "mail"
    return mails if mails.is_dir() else None


def find_password() -> str:
    """Raises LocalError."""
    var = locate_folder(read_environ())
    if not var.is_dir():
        return secrets.token_hex(8)
    return load_secrets(var, ["demo"])["demo"][:16]


def explain(errors: BaseExceptionGroup[BaseException]) -> str:
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    hint = ". Is `make run` running?" if isinstance(first, Unreachable) else ""
    return f"{first}{hint}"


if __name__ == "__main__":
    typer.run(main)
