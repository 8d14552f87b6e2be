"""The operator's commands: `python -m services.user moderation <command>`. They override the claims of moderators."""

from collections.abc import Awaitable, Callable

import typer

from services.kit.config import ConfigError, refuse
from services.kit.db import Database, next_node
from services.kit.errors import HitokError
from services.kit.ids import IdGenerator
from services.kit.process.commands import CommandLine
from services.kit.roles import SUPER_ADMIN
from services.kit.sql.connection import AsyncConnection
from services.user.accounts import lock_account
from services.user.audit.operators import operator
from services.user.config import SERVICE, UserSettings
from services.user.moderation import acts, cases, decisions, reversals
from services.user.moderation.acts import KINDS, Moderator
from services.user.moderation.decisions import Decision
from services.user.moderation.errors import ReportInvalid
from services.user.moderation.reports import Subject, open_case
from services.user.service import MIGRATIONS

CASE = typer.Argument(help="number of the case, as `cases` prints it")
ACT = typer.Argument(help="number of the act, as `acts` prints it")
VERB = typer.Argument(help=" ".join(acts.DECISIONS))
NOTE = typer.Option("", help="why; the owner reads it, and the audit keeps it")
SECONDS = typer.Option(86_400, help="of a suspension")
LIMIT = typer.Option(50, min=1, max=100, help="how many at most")


moderation = typer.Typer(help="Reports, and what moderators decide (docs/moderation.md).")


@moderation.command("cases")
def list_cases(limit: int = LIMIT) -> None:
    """Print the open cases, the oldest first: number, what, of whom, how often reported."""

    async def work(connection: AsyncConnection, _: Moderator) -> None:
        for row in await cases.oldest_open(connection, limit):
            typer.echo(f"{row.id}\t{KINDS[row.kind]} {row.subject_id}\tof {row.owner_id}\t{row.report_count} reports")

    _run(work)


@moderation.command("acts")
def list_acts(limit: int = LIMIT) -> None:
    """Print what was done, the newest first: number, when, what, on what, of whom, why."""

    async def work(connection: AsyncConnection, _: Moderator) -> None:
        for row in await acts.newest(connection, limit=limit):
            state = " (taken back)" if row.reversed_at else ""
            what = f"{row.verb} {KINDS[row.kind]} {row.subject_id} of {row.owner_id}"
            typer.echo(f"{row.id}\t{row.created_at:%F %T}\t{what}{state}\t{row.note}")

    _run(work)


@moderation.command("decide")
def decide(case: int = CASE, verb: str = VERB, note: str = NOTE, seconds: int = SECONDS) -> None:
    """Decide a case and close it."""

    async def work(connection: AsyncConnection, moderator: Moderator) -> None:
        new_id = IdGenerator(await next_node(connection))
        decision = Decision(verb, note, keep_open=False, seconds=seconds)
        act = await decisions.carry_out(connection, new_id, moderator, case, decision)
        typer.echo(f"done: act {act.id}")

    _run(work)


@moderation.command("act")
def act_unasked(
    kind: str = typer.Argument(help=" ".join(KINDS[1:])),
    subject: int = typer.Argument(metavar="ID"),
    verb: str = VERB,
    owner: int = typer.Option(help="user id of the owner, as `video show` and `group show` print it"),
    note: str = NOTE,
    seconds: int = SECONDS,
) -> None:
    """Act on a thing that nobody has reported; the owner hears of it as of any decision, and may appeal."""

    async def work(connection: AsyncConnection, moderator: Moderator) -> None:
        if kind not in KINDS[1:]:
            raise ReportInvalid(field="kind")
        await lock_account(connection, owner)
        new_id = IdGenerator(await next_node(connection))
        case = await open_case(connection, new_id(), Subject(KINDS.index(kind), subject, owner, 0, 0, ""))
        decision = Decision(verb, note, keep_open=False, seconds=seconds)
        act = await decisions.carry_out(connection, new_id, moderator, case.id, decision)
        typer.echo(f"done: act {act.id}")

    _run(work)


@moderation.command("reverse")
def reverse(act: int = ACT, note: str = NOTE) -> None:
    """Take a decision back."""

    async def work(connection: AsyncConnection, moderator: Moderator) -> None:
        await reversals.take_back(connection, act, moderator, note)
        typer.echo(f"done: act {act} is taken back")

    _run(work)


def _run(work: Callable[[AsyncConnection, Moderator], Awaitable[None]]) -> None:
    """In one transaction; a refusal ends it with one line."""

    async def in_transaction(database: Database, _: UserSettings) -> None:
        async with database.transaction() as connection:
            await work(connection, Moderator(None, SUPER_ADMIN, operator()))

    try:
        CommandLine(SERVICE, UserSettings, MIGRATIONS).run(in_transaction)
    except HitokError as error:
        refuse(ConfigError(f"{error.reason}: {error}"))
