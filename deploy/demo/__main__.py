"""`python -m deploy.demo`: fills a running hitok with people, films and talk, over its public API.

What is there already is left as it is, so it may be run again, and goes on where it was stopped.
"""

import asyncio
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from deploy.demo.contacts import befriend, gather_groups
from deploy.demo.films import show_films
from deploy.demo.people import arrive
from deploy.demo.progress import open_progress
from deploy.demo.stage import DemoError, Progress, Stage
from deploy.demo.story import SECONDS, Draw, read_story
from deploy.demo.summary import write_farewell
from deploy.demo.talks import talk
from deploy.frontend import FrontEnd, Refused, Unreachable, open_http
from deploy.local.data_dir import load_secrets, locate_folder
from deploy.local.errors import LocalError
from deploy.local.services import SERVICES


def main(
    url: Annotated[str, typer.Option(help="of the gateway; without one that of `make run`")] = "",
    seed: Annotated[int, typer.Option(help="another seed makes other people of the same names")] = 1,
    password: Annotated[str, typer.Option(help="of all of them; without one it is made and kept in HITOK_VAR")] = "",
    seconds: Annotated[float, typer.Option(min=0.5, max=60, help="length of each film")] = SECONDS,
) -> None:
    """Fill a running hitok with demo data."""
    try:
        url, password = url or find_url(), password or find_password()
        with open_progress() as progress:
            stage = asyncio.run(perform(url, seed, password, seconds, find_mails(), progress))
    except* (DemoError, LocalError, Refused, Unreachable) as errors:
        print(f"error: {explain(errors)}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(write_farewell(stage, url, password))


async def perform(url: str, seed: int, password: str, seconds: float, mails: Path | None, progress: Progress) -> Stage:
    """Raises DemoError, Refused, Unreachable, alone or in a group."""
    stage = Stage(read_story(), Draw(seed), progress)
    async with open_http(url) as http:
        await arrive(stage, FrontEnd(http), password, mails)
        await befriend(stage)
        groups = await gather_groups(stage)
        with tempfile.TemporaryDirectory(prefix="hitok-demo-") as folder:
            await show_films(stage, Path(folder), seconds)
        await talk(stage, groups)
    return stage


def find_url() -> str:
    gateway = next(service for service in SERVICES if service.health == "http")
    return f"http://127.0.0.1:{gateway.read_ports(os.environ)[0]}"


def find_mails() -> Path | None:
    mails = locate_folder(os.environ) / "mail"
    return mails if mails.is_dir() else None


def find_password() -> str:
    """Raises LocalError."""
    var = locate_folder(os.environ)
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
