"""Which tokens are let in, and with which code the others are not."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import cast

import jwt
import pytest

from gateway.app import ENDPOINTS
from gateway.cache.sessions import session_verdicts
from gateway.http.auth import MAX_TOKENS, Authenticator
from protos.user.v1.accounts_pb2 import CheckSessionsRequest, CheckSessionsResponse, RevokeSessionRequest
from protos.user.v1.accounts_pb2_grpc import SessionsStub
from services.kit import tokens
from services.kit.context import Caller
from tests.gateway.people import Person, by_email, claims_of, disable, forged, log_in
from tests.support.clock import stopped
from tests.support.gateway import (
    JWT_SECRET,
    FrontEnd,
    RunningGateway,
    gateway_settings,
    running_gateway,
    until_it_hears,
)
from tests.support.servers import Servers
from tests.support.user import PASSWORD, Running, acting

ME = "/api/user/get-my-info"
OTHER_KEY = "another-secret-that-is-long-enough"
LOGIN = ("send-code", "send-phone-code", "register", "login", "refresh-token", "reset-password", "undo-email-change")
FOR_ANYBODY = {
    *(f"/api/login/{name}" for name in LOGIN),
    *("/api/v1/user/register", "/api/v2/user/login", "/api/moderation/appeal-by-password"),
    "/api/contact/get-user-list-online",  # those who show it to everyone
}


@pytest.fixture
async def alice(gateway: RunningGateway, user: Running) -> Person:
    return await by_email(gateway.http, user)


@pytest.fixture(scope="module")
async def second_gateway(servers: Servers, user: Running) -> AsyncIterator[RunningGateway]:
    async with running_gateway(gateway_settings(servers, HITOK_USER_TARGET=user.target)) as running:
        await until_it_hears(running)
        yield running


@pytest.fixture(scope="module")
async def deaf_gateway(servers: Servers, user: Running) -> AsyncIterator[RunningGateway]:
    """It hears no events: its NATS is away."""
    away = gateway_settings(servers, HITOK_USER_TARGET=user.target, HITOK_NATS_URL="nats://127.0.0.1:1")
    async with running_gateway(away) as running:
        yield running


@pytest.mark.parametrize("path", [ME, "/api/v1/user/detail"])
async def test_the_token_comes_as_bearer_or_bare(alice: Person, path: str) -> None:
    for header in (f"Bearer {alice.token}", alice.token, f"bearer {alice.token}", f"  Bearer   {alice.token} "):
        response = await alice.call("GET", path, headers={"Authorization": header})
        assert response.status_code == 200, header


def unsigned(person: Person) -> str:
    return jwt.encode(claims_of(person.token), "", "none")


def of_another_key(person: Person) -> str:
    return forged(person, secret=OTHER_KEY)


def of_another_algorithm(person: Person) -> str:
    return jwt.encode(claims_of(person.token), JWT_SECRET * 2, "HS512")


def with_claims(**changes: object) -> Callable[[Person], str]:
    def make(person: Person) -> str:
        claims = {key: value for key, value in (claims_of(person.token) | changes).items() if value is not None}
        return jwt.encode(claims, JWT_SECRET, "HS256")

    return make


def cut(person: Person) -> str:
    return person.token[:-2]


def with_another_payload(person: Person) -> str:
    head, _, signature = person.token.split(".")
    return ".".join((head, forged(person, role=4, secret=OTHER_KEY).split(".")[1], signature))


def of_another_user(person: Person) -> str:
    return forged(person, user_id=int(person.id) + 1)


def of_no_session(person: Person) -> str:
    return forged(person, session_id=1)


REFUSED: list[tuple[str, int, Callable[[Person], str]]] = [
    ("nothing", -20001, lambda _: ""),
    ("blanks", -20001, lambda _: "   "),
    ("Bearer alone", -20001, lambda _: "Bearer"),
    ("Bearer and a blank", -20001, lambda _: "Bearer "),
    ("another scheme", -20004, lambda _: "Basic dXNlcjpwYXNz"),
    ("two tokens", -20004, lambda person: f"Bearer {person.token} {person.token}"),
    ("5000 characters", -20004, lambda _: "x" * 5_000),
    ("no token", -20002, lambda _: "not.a.token"),
    ("one word", -20002, lambda _: "token"),
    ("latin-1", -20002, lambda _: "Bearer tökén"),
    ("alg none", -20002, unsigned),
    ("another key", -20002, of_another_key),
    ("another algorithm", -20002, of_another_algorithm),
    ("a cut signature", -20002, cut),
    ("another payload", -20002, with_another_payload),
    ("another user of this session", -20002, of_another_user),
    ("a session that never was", -20002, of_no_session),
    ("no exp", -20002, with_claims(exp=None)),
    ("no session", -20002, with_claims(sid=None)),
    ("a session that is no number", -20002, with_claims(sid="x")),
    ("a session beyond 64 bits", -20002, with_claims(sid=str(2**70))),
    ("a negative session", -20002, with_claims(sid="-1")),
    ("a session of 5000 digits", -20002, with_claims(sid="9" * 2_500)),
    ("a user beyond 64 bits", -20002, with_claims(userid=str(2**70))),
    ("an unknown class", -20002, with_claims(**{"class": "other"})),
    ("not valid yet", -20002, with_claims(nbf=int(time.time()) + 600)),
    ("expired", -20000, lambda person: forged(person, lifetime=-1)),
    ("a refresh token", -20003, lambda person: forged(person, token_class="rtoken")),
    ("an expired refresh token", -20000, lambda person: forged(person, token_class="rtoken", lifetime=-1)),
]


@pytest.mark.parametrize(("code", "make"), [pytest.param(code, make, id=id) for id, code, make in REFUSED])
async def test_any_other_token_is_refused_in_both_families(
    visitor: FrontEnd, alice: Person, code: int, make: Callable[[Person], str]
) -> None:
    # Bytes: httpx would refuse what is not ASCII.
    headers = {b"Authorization": make(alice).encode("latin-1")}

    await visitor.refused("GET", ME, 401, code, headers=headers)
    await visitor.refused("GET", "/api/v1/user/detail", 401, 100003, headers=headers)


async def test_every_route_that_is_for_users_refuses_a_visitor(visitor: FrontEnd) -> None:
    """But for those that anybody may call, where a new one has to be added."""
    declared = [handler.opt["endpoint"] for handler in ENDPOINTS]
    assert {route.paths[0] for route in declared if not route.auth} == FOR_ANYBODY
    for route in declared:
        for path in route.paths if route.auth else ():
            answer = await visitor.call(route.method, path)
            assert answer.status_code == 401 and answer.headers["x-error"].startswith("TOKEN_MISSING"), path


async def test_a_wrong_token_goes_before_a_wrong_parameter(visitor: FrontEnd) -> None:
    await visitor.refused("POST", "/api/user/set-role", 401, -20001, content=b"{not json")


async def test_a_refused_refresh_token_has_a_code_of_its_own(visitor: FrontEnd, alice: Person) -> None:
    atoken, rtoken = await log_in(visitor, alice)
    session = int(claims_of(rtoken)["sid"])
    for token, status, code in (
        (atoken, 401, -20003),
        (forged(alice, session_id=session, token_class="rtoken", lifetime=-1), 401, -20006),
        (forged(alice, session_id=session, token_class="rtoken", secret=OTHER_KEY), 401, -20002),
        (forged(alice, session_id=1, token_class="rtoken"), 401, -20002),
        ("not.a.token", 401, -20002),
        ("", 400, 10002),
    ):
        await visitor.refused("POST", "/api/login/refresh-token", status, code, json={"rtoken": token})


async def test_a_token_dies_with_its_account(visitor: FrontEnd, user: Running, gateway: RunningGateway) -> None:
    disabled, deleted = [await by_email(gateway.http, user) for _ in range(2)]
    for person in (disabled, deleted):
        await person.get(ME)

    await disable(user, disabled)
    await deleted.post("/api/user/delete-account", password=PASSWORD)

    await refused_soon(disabled)
    await refused_soon(deleted)
    login = {"email": disabled.email, "password": PASSWORD}
    await visitor.refused("POST", "/api/login/login", 403, 10024, json=login)


async def test_a_revoked_session_dies_on_another_gateway_as_soon_as_it_hears(
    second_gateway: RunningGateway, visitor: FrontEnd, alice: Person
) -> None:
    there = FrontEnd(second_gateway.http, (await log_in(visitor, alice))[0])
    await there.get(ME)

    with stopped(second_gateway.container.verdicts):
        await alice.post("/api/user/revoke-session", session_id=claims_of(there.token)["sid"])

        await refused_soon(there)


async def test_a_revoked_session_dies_within_five_seconds_on_a_gateway_that_hears_nothing(
    deaf_gateway: RunningGateway, visitor: FrontEnd, alice: Person
) -> None:
    there = FrontEnd(deaf_gateway.http, (await log_in(visitor, alice))[0])
    with stopped(deaf_gateway.container.verdicts) as clock:
        await there.get(ME)

        await alice.post("/api/user/revoke-session", session_id=claims_of(there.token)["sid"])

        await there.get(ME)
        clock.advance(5)
        await there.refused("GET", ME, 401, -20002)


async def test_who_ends_a_session_sees_it_end_at_once_even_there(
    deaf_gateway: RunningGateway, visitor: FrontEnd, alice: Person, user: Running
) -> None:
    me = FrontEnd(deaf_gateway.http, alice.token)
    revoked, logged_out = [FrontEnd(deaf_gateway.http, (await log_in(visitor, alice))[0]) for _ in range(2)]
    bob = await by_email(deaf_gateway.http, user)
    for front in (me, revoked, logged_out, bob):
        await front.get(ME)

    await me.post("/api/user/revoke-session", session_id=claims_of(revoked.token)["sid"])
    await logged_out.post("/api/login/logout")
    await bob.post("/api/user/delete-account", password=PASSWORD)

    for front in (revoked, logged_out, bob):
        await front.refused("GET", ME, 401, -20002)
    await me.get(ME)


async def test_a_role_taken_away_is_gone_whatever_the_token_says(
    gateway: RunningGateway, user: Running, alice: Person
) -> None:
    bob = await by_email(gateway.http, user)
    front = FrontEnd(gateway.http, forged(bob, role=4))

    assert (await front.get("/api/user/get-user-info", id=alice.id))["email"] == ""
    await front.refused("POST", "/api/user/set-role", 403, -20008, json={"id": alice.id, "role": 2})


async def test_many_requests_at_once_ask_for_the_session_once(user: Running, alice: Person) -> None:
    asked: list[list[int]] = []

    class Counting:
        async def CheckSessions(self, request: CheckSessionsRequest) -> CheckSessionsResponse:
            asked.append(list(request.session_ids))
            return await user.sessions.CheckSessions(request)

    authenticator = Authenticator(JWT_SECRET, session_verdicts(cast(SessionsStub, Counting())))
    claims = authenticator.read(alice.token)

    callers = await asyncio.gather(*(authenticator.authenticate(claims) for _ in range(50)))

    assert set(callers) == {Caller(int(alice.id), 0, int(alice.session_id))}
    assert asked == [[int(alice.session_id)]]


def test_a_remembered_token_expires_on_time(user: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = Authenticator(JWT_SECRET, session_verdicts(user.sessions))
    token, expires_at = tokens.issue(
        JWT_SECRET, user_id=1, username="", role=0, session_id=1, token_class="atoken", lifetime=600
    )
    authenticator.read(token)

    monkeypatch.setattr(time, "time", lambda: float(expires_at))

    with pytest.raises(tokens.TokenExpired):
        authenticator.read(token)


def test_remembered_tokens_are_bounded(user: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.http.auth.MAX_TOKENS", 10)
    authenticator = Authenticator(JWT_SECRET, session_verdicts(user.sessions))
    for session in range(1, 31):
        token, _ = tokens.issue(
            JWT_SECRET, user_id=1, username="", role=0, session_id=session, token_class="atoken", lifetime=600
        )
        authenticator.read(token)

    assert len(authenticator._claims) == 10
    assert MAX_TOKENS <= 20_000


async def refused_soon(front: FrontEnd) -> None:
    ends = time.monotonic() + 30
    while (response := await front.call("GET", ME)).status_code == 200:
        assert time.monotonic() < ends, "the token is still good"
        await asyncio.sleep(0.02)
    assert (response.status_code, response.json()["code"]) == (401, -20002)


async def test_a_session_ended_at_the_service_dies_here_too(
    gateway: RunningGateway, user: Running, alice: Person
) -> None:
    """As by the operator's command, or another gateway."""
    await until_it_hears(gateway)
    me = Caller(int(alice.id), 0, int(alice.session_id))
    with stopped(gateway.container.verdicts):
        await alice.get(ME)

        with acting(me):
            await user.sessions.RevokeSession(RevokeSessionRequest(session_id=me.session_id))

        await refused_soon(alice)
