"""Whatever comes, the family's envelope with a fitting code goes back, never 500, and nothing is half-written."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.gateway.people import Person, by_email
from tests.gateway.routes import ROUTES, Route, every_route, every_route_with_a_body
from tests.support.gateway import FrontEnd, RunningGateway, refusal_of
from tests.support.user import PASSWORD, Running, execute, new_name

JSON = {"Content-Type": "application/json"}
CHAT_INVALID = 100002
MISSING, EMPTY, MISTYPED, INVALID = 10004, 10002, 10003, 10001
GETS = [route for route in ROUTES if route.method == "GET" and route.fields]
every_get = pytest.mark.parametrize("route", [pytest.param(route, id=route.path) for route in GETS])


@pytest.fixture(scope="module")
async def alice(gateway: RunningGateway, user: Running) -> Person:
    return await by_email(gateway.http, user)


@pytest.fixture(autouse=True)
async def _nothing_is_written(user: Running) -> AsyncIterator[None]:
    before = await all_of_it(user)
    yield
    assert await all_of_it(user) == before


async def all_of_it(user: Running) -> list[Any]:
    """What is kept of accounts and sessions, but for when they were last seen."""
    accounts = "SELECT to_jsonb(a) - 'heartbeat_at' AS row FROM account a ORDER BY id"
    sessions = "SELECT to_jsonb(s) - 'last_seen_at' AS row FROM session s ORDER BY id"
    return [row.row for query in (accounts, sessions) for row in await execute(user, query)]


async def send(route: Route, alice: Person, **options: Any) -> httpx.Response:
    """As a user where one is needed."""
    front = alice if route.auth else FrontEnd(alice.http)
    return await front.call(route.method, route.path, **options)


async def is_refused(route: Route, alice: Person, code: int, status: int = 400, **options: Any) -> None:
    response = await send(route, alice, **options)
    expected = status, CHAT_INVALID if route.chat else code
    assert refusal_of(route.path, response) == expected, (options, response.text)


async def is_refused_somehow(route: Route, alice: Person, **options: Any) -> None:
    response = await send(route, alice, **options)
    status, _ = refusal_of(route.path, response)
    assert 400 <= status < 500, (str(options)[:200], response.text)


@every_route_with_a_body
async def test_a_missing_field(alice: Person, route: Route) -> None:
    for field in route.fields:
        if field.required:
            body = {key: value for key, value in route.body.items() if key != field.name}
            await is_refused(route, alice, MISSING, json=body)
    if any(field.required for field in route.fields):
        await is_refused(route, alice, MISSING, json={})
        await is_refused(route, alice, MISSING)


@every_route_with_a_body
async def test_an_empty_field(alice: Person, route: Route) -> None:
    for field in route.fields:
        if not field.may_be_empty:
            await is_refused(route, alice, EMPTY, json=route.body | {field.name: ""})


@every_route_with_a_body
async def test_a_field_of_another_type(alice: Person, route: Route) -> None:
    for field in route.fields:
        wrong: list[object] = [[], {}, ["x"], {"x": 1}, True]
        wrong += [1, 1.5, 0] if field.is_text else ["abc", 1.5, "1.5", "0x1f", "一"]
        wrong += [None] if field.required else []
        for value in wrong:
            await is_refused(route, alice, MISTYPED, json=route.body | {field.name: value})


@every_route_with_a_body
async def test_a_number_out_of_bounds(alice: Person, route: Route) -> None:
    for field in route.fields:
        if not field.is_text:
            for number in (-1, 2**63, 2**64, -(2**64), 10**400):
                for value in (number, str(number)):
                    await is_refused_somehow(route, alice, content=spelt(route.body | {field.name: value}))


def spelt(body: object) -> bytes:
    return json.dumps(body).encode()


@every_route_with_a_body
@pytest.mark.parametrize("size", [5_000, 1_000_000])
async def test_a_text_far_too_long(alice: Person, route: Route, size: int) -> None:
    for field in route.fields:
        if field.is_text:
            await is_refused_somehow(route, alice, json=route.body | {field.name: "x" * size})


@every_route_with_a_body
async def test_a_nul_in_any_text(alice: Person, route: Route) -> None:
    for field in route.fields:
        if field.is_text:
            await is_refused(route, alice, INVALID, json=route.body | {field.name: "a\0b"})
    await is_refused(route, alice, INVALID, json=route.body | {"unknown": ["a\0b"]})
    await is_refused(route, alice, INVALID, json=route.body | {"\0": 1})


@every_route_with_a_body
@pytest.mark.parametrize(
    "spoilt", [b'"\\ud800"', b'"\\udfff x"', b'"\\ud83d\\ud83d"', b'"\xff\xfe"', b'"\xed\xa0\x80"']
)
async def test_a_text_that_is_no_unicode(alice: Person, route: Route, spoilt: bytes) -> None:
    for field in route.fields:
        body = spelt(route.body | {field.name: "HERE"}).replace(b'"HERE"', spoilt)
        await is_refused(route, alice, INVALID, content=body, headers=JSON)


@every_route
@pytest.mark.parametrize(
    "body",
    [
        b"{not json",
        b"[]",
        b'"text"',
        b"1",
        b"null",
        b"true",
        b"{}{}",
        b"\xef\xbb\xbf{}",
        b"{'a':1}",
        b'{"a":NaN}',
        b"\x00",
        b" ",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_a_body_that_is_no_object(alice: Person, route: Route, body: bytes) -> None:
    await is_refused(route, alice, INVALID, content=body, headers=JSON)


@every_route
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x", "/"])
async def test_another_content_type(alice: Person, route: Route, kind: str) -> None:
    await is_refused(route, alice, 10028, 415, content=b"{}", headers={"Content-Type": kind})


@every_route
async def test_a_body_of_more_than_a_megabyte(alice: Person, route: Route) -> None:
    body = b'{"a":"' + b"x" * 1_048_576 + b'"}'
    await is_refused(route, alice, 10027, 413, content=body, headers=JSON)


@every_route
async def test_a_chunked_body_of_more_than_a_megabyte(alice: Person, route: Route) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"a":"'
        for _ in range(20):
            yield b"x" * 65_536
        yield b'"}'

    await is_refused(route, alice, 10027, 413, content=chunks(), headers=JSON)


@every_get
async def test_a_spoilt_query(alice: Person, route: Route) -> None:
    name = "id" if route.fields[0].name == "id" else "limit"
    for query, code in (
        (f"{name}=abc", MISTYPED),
        (f"{name}=%zz", MISTYPED),
        (f"{name}=%", MISTYPED),
        (f"{name}=%ff%fe", MISTYPED),
        (f"{name}=%ed%a0%80", MISTYPED),
        (f"{name}=1&x=%00", INVALID),
        (f"{name}=%00", INVALID),
        (f"{name}=0", INVALID),
        (f"{name}=-1", INVALID),
        (f"{name}=1.5", MISTYPED),
        ("&".join(f"x{number}=1" for number in range(200)), INVALID),
    ):
        await is_refused(replace(route, path=f"{route.path}?{query}"), alice, code)


PASSWORD_FIELDS = {
    "/api/login/register": "password",
    "/api/login/reset-password": "password",
    "/api/user/change-password": "new_password",
    "/api/v1/user/register": "password",
}


@pytest.mark.parametrize("password", ["short", "x" * 73, "密" * 25, "🔑" * 19], ids=["5", "73", "75", "76"])
@pytest.mark.parametrize("path", PASSWORD_FIELDS)
async def test_a_new_password_of_less_than_6_or_more_than_72_bytes(alice: Person, path: str, password: str) -> None:
    route = next(route for route in ROUTES if route.path == path)
    await is_refused(route, alice, INVALID, json=route.body | {PASSWORD_FIELDS[path]: password})


async def test_a_password_given_at_login_is_never_cut(visitor: FrontEnd, alice: Person) -> None:
    for password in (PASSWORD + "x", PASSWORD + "x" * 80, "x" * 100_000):
        body = {"email": alice.email, "password": password}
        await visitor.refused("POST", "/api/login/login", 401, 10009, json=body)


@pytest.mark.parametrize(
    ("path", "field", "value", "code"),
    [
        *(
            (path, "email", address, 10007)
            for path in ("/api/login/send-code", "/api/login/register", "/api/login/login", "/api/user/bind-email")
            for address in (
                "nobody",
                "a@b",
                "a b@example.com",
                "x" * 250 + "@example.com",
                "a@example.com\r\nBcc: b@c.de",
            )
        ),
        *(
            ("/api/login/register", "username", name, INVALID)
            for name in ("x" * 31, " ", "\u200b", "a\nb", "a\u202eb", "名" * 31)
        ),
        *(
            ("/api/user/set-profile", field, value, INVALID)
            for field, value in (
                ("username", ""),
                ("username", "x" * 31),
                ("bio", "x" * 501),
                ("avatar", "javascript:alert(1)"),
                ("avatar", "https://example.com/" + "x" * 2_048),
                ("avatar", "http://[::1"),
            )
        ),
        *(("/api/user/bind-phone", "phone", phone, INVALID) for phone in ("abc", "1", "110", "+1 555 0100", "9" * 500)),
        *(
            ("/api/user/sessions", "cursor", cursor, INVALID)
            for cursor in ("x", "WyJ4Il0", "é", "!" * 5_000, "WzEuNV0")
        ),
        *(("/api/user/sessions", "limit", limit, INVALID) for limit in (0, 101, 2**70)),
    ],
)
async def test_a_value_that_no_account_can_have(
    visitor: FrontEnd, alice: Person, path: str, field: str, value: object, code: int
) -> None:
    route = next(route for route in ROUTES if route.path == path)
    body = {name: good for name, good in route.body.items() if path != "/api/user/set-profile" and name != field}
    await is_refused(route, alice, code, json=body | {field: value})


async def test_a_phone_or_sex_that_nobody_has(visitor: FrontEnd) -> None:
    body = {"phone": "17512345678", "password": PASSWORD}
    for change in (
        {"phone": "123"},
        {"sex": 3},
        {"sex": -1},
        {"sex": 2**40},
        {"nickname": "x" * 31},
        {"avatar": "x:y"},
    ):
        await visitor.refused("POST", "/api/v1/user/register", 400, CHAT_INVALID, json=body | change)


async def test_a_nested_profile_is_checked_like_a_flat_one(alice: Person) -> None:
    for user, code in (("x", MISTYPED), ([], MISTYPED), ({"bio": 1}, MISTYPED), ({"id": "x"}, MISTYPED)):
        await alice.refused("POST", "/api/user/set-profile", 400, code, json={"user": user})


async def test_one_bad_field_changes_none_of_the_good_ones(alice: Person) -> None:
    for bad in ({"avatar": "x:y"}, {"bio": "x" * 501}, {"email": "other@example.com"}):
        body = {"username": new_name(), "bio": "changed"} | bad
        response = await alice.call("POST", "/api/user/set-profile", json=body)
        assert response.status_code == 400


def nested(levels: int) -> bytes:
    """An object of that depth."""
    return b'{"x":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@every_route
async def test_json_deeper_than_32_levels(alice: Person, route: Route) -> None:
    for levels in (33, 60, 900):
        await is_refused(route, alice, INVALID, content=nested(levels), headers=JSON)
    await is_refused(route, alice, INVALID, content=b'{"x":' + b'{"y":[' * 16 + b"]}" * 16 + b"}", headers=JSON)


async def test_json_of_32_levels_or_with_many_brackets_is_taken(alice: Person) -> None:
    wide = b'{"x":[' + b"[]," * 100 + b'"' + b"[" * 100 + b'"]}'
    for body in (nested(32), wide):
        assert (await alice.call("GET", "/api/user/get-my-info", content=body, headers=JSON)).status_code == 200
