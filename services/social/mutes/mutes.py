"""Mutes: users and words that a user does not want to see. Nobody else learns of it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Row, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from services.kit import pages
from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.kit.texts.text_search import fold
from services.social import events
from services.social.errors import MuteLimitReached, SelfMute, UserNotFound, WordInvalid
from services.social.locks import lock_users
from services.social.models import Mute, MutedWord
from services.social.queries import ME, paged, read_page

MAX_USERS, MAX_WORDS = 1_000, 200  # muted by one user
MAX_WORD = 50  # characters


class ListedMute(NamedTuple):
    id: int
    muted_id: int


_mine = select(Mute.id, Mute.muted_id).where(Mute.user_id == ME, Mute.id < bindparam("before", type_=BigInteger))
MUTES: Statement[ListedMute] = Statement(paged(_mine.order_by(Mute.id.desc())), ListedMute)


async def mute_user(connection: AsyncConnection, caller: Caller, user_id: int) -> None:
    """Raises SelfMute, UserNotFound, MuteLimitReached."""
    if user_id == caller.user_id:
        raise SelfMute
    if user_id <= 0:
        raise UserNotFound
    await lock_users(connection, caller.user_id)
    row = insert(Mute).values(user_id=caller.user_id, muted_id=user_id).on_conflict_do_nothing()
    if (await connection.execute(row)).rowcount:
        await _require_room(connection, Mute, caller, MAX_USERS)
        await events.user_muted(connection, caller.user_id, user_id, True)


async def unmute_user(connection: AsyncConnection, caller: Caller, user_id: int) -> None:
    await lock_users(connection, caller.user_id)
    gone = delete(Mute).where(Mute.user_id == caller.user_id, Mute.muted_id == user_id)
    if (await connection.execute(gone)).rowcount:
        await events.user_muted(connection, caller.user_id, user_id, False)


async def list_users(connection: AsyncConnection, caller: Caller, cursor: str, limit: int) -> tuple[list[int], str]:
    """The last muted first. Raises CursorInvalid."""
    rows, next_cursor = await read_page(
        connection, MUTES, limit, cursor, me=caller.user_id, before=pages.id_before(cursor)
    )
    return [row.muted_id for row in rows], next_cursor


async def mute_word(connection: AsyncConnection, caller: Caller, word: str) -> None:
    """Raises WordInvalid, MuteLimitReached."""
    folded = _folded(word)
    await lock_users(connection, caller.user_id)
    row = insert(MutedWord).values(user_id=caller.user_id, word=folded).on_conflict_do_nothing()
    if (await connection.execute(row)).rowcount:
        await _require_room(connection, MutedWord, caller, MAX_WORDS)
        await events.words_muted(connection, caller.user_id, await list_words(connection, caller))


async def unmute_word(connection: AsyncConnection, caller: Caller, word: str) -> None:
    """Raises WordInvalid."""
    folded = _folded(word)
    await lock_users(connection, caller.user_id)
    gone = delete(MutedWord).where(MutedWord.user_id == caller.user_id, MutedWord.word == folded)
    if (await connection.execute(gone)).rowcount:
        await events.words_muted(connection, caller.user_id, await list_words(connection, caller))


async def list_words(connection: AsyncConnection, caller: Caller) -> Sequence[str]:
    query = select(MutedWord.word).where(MutedWord.user_id == caller.user_id).order_by(MutedWord.word)
    return (await connection.execute(query)).scalars().all()


async def batch_get(
    connection: AsyncConnection, user_ids: Sequence[int]
) -> tuple[Mapping[int, list[int]], Mapping[int, list[str]]]:
    """Which users and which words each of these users muted. Raises BatchTooLarge."""
    pages.check_batch(user_ids)
    muted = select(Mute.user_id, Mute.muted_id).where(Mute.user_id.in_(user_ids))
    words = select(MutedWord.user_id, MutedWord.word).where(MutedWord.user_id.in_(user_ids))
    return _by_user((await connection.execute(muted)).all()), _by_user((await connection.execute(words)).all())


def _by_user(rows: Sequence[Row[int, Any]]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for user_id, what in rows:
        found.setdefault(user_id, []).append(what)
    return found


def _folded(word: str) -> str:
    """As it is compared. Raises WordInvalid."""
    folded = " ".join(fold(word[: 4 * MAX_WORD]).split())
    if not 0 < len(folded) <= MAX_WORD or "\0" in folded or len(word) > 4 * MAX_WORD:
        raise WordInvalid
    return folded


async def _require_room(connection: AsyncConnection, model: Any, caller: Caller, most: int) -> None:
    """Raises MuteLimitReached."""
    count = select(func.count()).select_from(model).where(model.user_id == caller.user_id)
    if (await connection.execute(count)).scalar_one() > most:
        raise MuteLimitReached
