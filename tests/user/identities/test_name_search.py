"""Finding users by a part of their name, without its accents, and despite a slip."""

import sys
import unicodedata

import pytest

from services.kit.texts.text_search import fold, plain, slips_of
from services.name_search.queries import grams_of
from tests.support.user import Running, execute, new_name, phone_account
from tests.user.identities.test_search import found, search

SOME = ["Zoë", "sale_now", "İstanbul_Fan", "Café.Noir", "小红书用户", "🔥hot", "Łukasz", "jonathan"]


@pytest.fixture(scope="module")
async def stem(user: Running) -> str:
    """Ends all names of this module, so that others are told apart."""
    made = "." + new_name()[1:9]
    for name in SOME:
        await phone_account(user, nickname=name + made)
    return made


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("oë", ["Zoë"]),
        ("oe", ["Zoë"]),
        ("ZOE", ["Zoë"]),
        ("sale now", ["sale_now"]),
        ("sale_now", ["sale_now"]),
        ("now", ["sale_now"]),
        ("istanbul", ["İstanbul_Fan"]),
        ("stanbul fan", ["İstanbul_Fan"]),
        ("cafe", ["Café.Noir"]),
        ("cafe noir", ["Café.Noir"]),
        ("红书", ["小红书用户"]),
        ("书", ["小红书用户"]),
        ("🔥", ["🔥hot"]),
        ("lukasz", ["Łukasz"]),
        ("jonahtan", ["jonathan"]),
        ("jonatan", ["jonathan"]),
        ("jonaathan", ["jonathan"]),
        ("jonithan", ["jonathan"]),
        ("johan", []),
        ("zo_e", []),
    ],
)
async def test_what_finds_a_name(user: Running, stem: str, query: str, names: list[str]) -> None:
    page = await search(user, query, limit=100)
    assert [each.username.removesuffix(stem) for each in page.users if each.username.endswith(stem)] == names


async def test_what_begins_comes_before_what_has_it_inside_and_pages_hold_each_once(user: Running) -> None:
    part = new_name()
    for name in (f"é{part}", f"a{part}", f"{part}b", f"{part}", f"x_{part}", f"{part}a"):
        await phone_account(user, nickname=name)
    expected = [part, f"{part}a", f"{part}b", f"a{part}", f"é{part}", f"x_{part}"]
    assert await found(user, part) == expected
    names, cursor = [], ""
    while True:
        page = await search(user, part, cursor, limit=2)
        names += [each.username for each in page.users]
        if not (cursor := page.next_cursor):
            break
    assert names == expected


async def test_the_database_folds_like_the_service(user: Running) -> None:
    """Every assigned character that Python knows, unless it is none by itself."""
    chars = [chr(code) for code in range(1, sys.maxunicode + 1) if unicodedata.category(chr(code)) not in ("Cs", "Cn")]
    folded = [fold(f"a{c}b") for c in chars]
    rows = await execute(
        user,
        "SELECT name_form(t) FROM unnest(CAST(:texts AS text[])) WITH ORDINALITY AS u (t, n) ORDER BY n",
        texts=folded,
    )
    differ = [c for c, text, (form,) in zip(chars, folded, rows, strict=True) if plain(text) != form]
    assert differ == []


async def test_the_database_takes_names_apart_like_the_service(user: Running) -> None:
    for name in ("zoe", "sale_now", "小红书", "ab", "a1b2c3", "it's", "back\\slash"):
        (row,) = await execute(
            user,
            "SELECT name_grams(:name) @@ CAST(:grams AS tsquery), tsvector_to_array(name_grams(:name))",
            name=name,
            grams=grams_of(name),
        )
        assert row[0]
        slips = {slip for word in name.replace("_", " ").split() for slip in slips_of(word)}
        assert {gram for gram in row[1] if gram.startswith("~")} == slips


async def test_the_index_gives_the_beginning_and_the_order(user: Running) -> None:
    form = 'name_form(username_key) COLLATE "C"'
    plan = await execute(
        user,
        f"EXPLAIN SELECT id FROM account WHERE {form} >= 'a' AND {form} < 'b'"
        f" AND deleted_at IS NULL AND disabled_at IS NULL ORDER BY {form}, id LIMIT 21",
    )
    shown = "\n".join(row[0] for row in plan)
    assert "account_form" in shown and "Sort" not in shown, shown
