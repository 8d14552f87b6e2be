"""The ids of those whose name begins with a text, then of those who have it inside, else of those a slip away."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple, Self

from msgspec import Meta
from sqlalchemy import TextClause, text

from services.kit.cursor import decode_cursor, encode_cursor
from services.kit.ids import Id
from services.kit.sql.connection import AsyncConnection
from services.kit.texts.text_search import plain, slips_of

MAX_QUERY, MAX_GRAMS, MAX_WORDS = 60, 20, 6
MAX_CANDIDATES = 1_000  # names that have the parts of a text, of which those that have the whole are found
MAX_SLIPS = 20  # names
LAST = "\U0010ffff"  # sorts after every character that may follow a prefix
SPACED = str.maketrans("_.-", "   ")

BEGINNING = """SELECT {form} AS form, id FROM {table}
 WHERE {form} >= :form AND {form} < :form || :last
 AND ({form}, id) > (:after, :after_id) AND id <> ALL (CAST(:without AS bigint[])) AND {where}
 ORDER BY {form}, id LIMIT :limit"""
# A space of the text also finds the signs that separate words in names; a sign finds only itself.
INSIDE = """SELECT form, id FROM (SELECT {form} AS form, id FROM {table}
  WHERE name_grams({key}) @@ CAST(:grams AS tsquery)
   AND id <> ALL (CAST(:without AS bigint[])) AND {where} LIMIT :candidates) AS candidate
 WHERE NOT form ^@ :form AND strpos(CASE WHEN :signs THEN form ELSE translate(form, '_.-', '   ') END, :form) > 0
  AND (form, id) > (:after, :after_id) ORDER BY form, id LIMIT :limit"""
SLIPS = """SELECT id FROM {table} WHERE name_grams({key}) @@ CAST(:grams AS tsquery)
   AND id <> ALL (CAST(:without AS bigint[])) AND {where}
 ORDER BY {form}, id LIMIT :limit"""

Form = Annotated[str, Meta(pattern=r"^[^\0]*$", max_length=200)]  # PostgreSQL compares no text with a NUL
Tier = Annotated[int, Meta(ge=0, le=1)]


class NameSearch(NamedTuple):
    """The statements for one table."""

    beginning: TextClause
    inside: TextClause
    slips: TextClause

    @classmethod
    def of(cls, table: str, key: str, where: str) -> Self:
        """`key`: the column with the folded names; `where`: which rows may be found."""
        parts = {"table": table, "key": key, "form": f'name_form({key}) COLLATE "C"', "where": where}
        return cls(*(text(part.format(**parts)) for part in (BEGINNING, INSIDE, SLIPS)))

    async def find(
        self, connection: AsyncConnection, key: str, cursor: str, limit: int, without: Sequence[int] = ()
    ) -> tuple[Sequence[int], str]:
        """A page of ids for a folded text, except those in `without`, and the next page's cursor.

        Raises CursorInvalid.
        """
        tier, *after = decode_cursor(cursor, tuple[Tier, Form, Id]) or (0, "", 0)
        form = plain(key)[:MAX_QUERY]
        if not form or "\0" in form:
            return [], ""
        found: list[tuple[int, str, int]] = []
        values: dict[str, object] = {"form": form, "without": list(without), "after": after[0], "after_id": after[1]}
        if tier == 0:
            begin = await connection.execute(self.beginning, values | {"last": LAST, "limit": limit + 1})
            found = [(0, *row) for row in begin]
            values |= {"after": "", "after_id": 0}
        if len(found) <= limit and (grams := grams_of(form)):
            values |= {"grams": grams, "signs": form != form.translate(SPACED), "candidates": MAX_CANDIDATES}
            inside = await connection.execute(self.inside, values | {"limit": limit + 1 - len(found)})
            found += [(1, *row) for row in inside]
        if not found and not cursor:
            return await self._find_slips(connection, form, values), ""
        return [id for *_, id in found[:limit]], encode_cursor(*found[limit - 1]) if len(found) > limit else ""

    async def _find_slips(self, connection: AsyncConnection, form: str, values: dict[str, object]) -> Sequence[int]:
        if not (slips := slips_query(form)):
            return []
        values = {"grams": slips, "limit": MAX_SLIPS, "without": values["without"]}
        return (await connection.execute(self.slips, values)).scalars().all()


def grams_of(form: str) -> str:
    """A tsquery for names that have all parts of the text; "" for one ASCII character, which half of them have."""
    spaced, size = form.translate(SPACED), min(len(form), 3)
    if size == 1 and spaced.isascii():
        return ""
    grams = dict.fromkeys(spaced[i : i + size] for i in range(len(spaced) - size + 1))
    return " & ".join(_quoted(gram) for gram in list(grams)[:MAX_GRAMS])


def slips_query(form: str) -> str:
    """A tsquery for names with all of these words, at most one inner letter of each wrong; "" else ""."""
    words = [slips_of(word) for word in form.translate(SPACED).split()[:MAX_WORDS]]
    if form != form.translate(SPACED) or not any(len(slips) > 1 for slips in words):  # signs stand for themselves
        return ""
    return " & ".join(f"({' | '.join(_quoted(slip) for slip in slips)})" for slips in words)


def _quoted(gram: str) -> str:
    return "'" + gram.replace("\\", "\\\\").replace("'", "''") + "'"
