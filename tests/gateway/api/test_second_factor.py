"""Second factors over HTTP: how a login asks for a code, and what a moderator without one may do."""

from collections.abc import AsyncIterator
from pathlib import Path

import pyotp
import pytest

from tests.support.gateway import FrontEnd, RunningGateway, gateway_settings, running_gateway
from tests.support.servers import Servers
from tests.support.user import PASSWORD, Running, email_account, execute, new_name, running_user_service, user_settings

USER = "/api/user/"


@pytest.fixture
async def strict(servers: Servers, tmp_path: Path) -> AsyncIterator[tuple[Running, RunningGateway]]:
    """Roles from 3 on need a second factor."""
    settings = user_settings(servers.create_database("strict"), servers, tmp_path, HITOK_SECOND_FACTOR_ROLE="3")
    async with running_user_service(settings) as user:
        async with running_gateway(gateway_settings(servers, HITOK_USER_TARGET=user.target)) as gateway:
            yield user, gateway


async def test_whose_role_needs_one_may_only_turn_one_on(strict: tuple[Running, RunningGateway]) -> None:
    user, gateway = strict
    name = new_name()
    made = await email_account(user, name)
    await execute(user, "UPDATE account SET role = 3 WHERE id = :id", id=made.user_id)
    person, visitor = FrontEnd(gateway.http, made.atoken), FrontEnd(gateway.http)
    login = {"email": f"{name}@example.com", "password": PASSWORD}

    await person.refused("GET", USER + "sessions", 403, 10074)
    await person.refused("POST", USER + "set-profile", 403, 10074, json={"bio": "x"})
    await person.get(USER + "get-my-info")
    assert (await person.get(USER + "second-factor")) == {"on": False, "required": True, "recovery_codes": 0}
    await person.refused("POST", USER + "begin-second-factor", 401, 10009, json={"password": "wrong password"})
    begun = await person.post(USER + "begin-second-factor", password=PASSWORD)
    assert begun["uri"].startswith("otpauth://totp/") and begun["secret"] in begun["uri"]
    await person.refused("POST", USER + "turn-on-second-factor", 401, 10073, json={"second_code": "1"})
    codes = await person.post(USER + "turn-on-second-factor", second_code=pyotp.TOTP(begun["secret"]).now())
    await person.get(USER + "sessions")

    await visitor.refused("POST", "/api/login/login", 401, 10072, json=login)
    await visitor.refused("POST", "/api/login/login", 401, 10073, json=login | {"second_code": "1"})
    tokens = await visitor.post("/api/login/login", **login, second_code=codes["codes"][0])
    again = visitor.with_token(tokens["atoken"])
    assert (await again.get(USER + "second-factor"))["recovery_codes"] == 9
    off = {"password": PASSWORD, "second_code": codes["codes"][1]}
    await again.refused("POST", USER + "turn-off-second-factor", 403, -20008, json=off)
    renewed = await again.post(USER + "renew-recovery-codes", **off)
    assert not set(renewed["codes"]) & set(codes["codes"])


async def test_refresh_tokens_rotate_only_for_who_asks(strict: tuple[Running, RunningGateway]) -> None:
    user, gateway = strict
    name, visitor = new_name(), FrontEnd(gateway.http)
    await email_account(user, name)
    login = {"email": f"{name}@example.com", "password": PASSWORD}
    tokens = await visitor.post("/api/login/login", **login)
    assert set(await visitor.post("/api/login/refresh-token", rtoken=tokens["rtoken"])) == {"atoken"}
    rotated = await visitor.post("/api/login/refresh-token", rtoken=tokens["rtoken"], rotate=True)
    await visitor.post("/api/login/refresh-token", rtoken=rotated["rtoken"], rotate=True)
    reused = {"rtoken": tokens["rtoken"], "rotate": True}
    await visitor.refused("POST", "/api/login/refresh-token", 401, -20002, json=reused)

    here, _ = [visitor.with_token((await visitor.post("/api/login/login", **login))["atoken"]) for _ in range(2)]
    await here.post(USER + "revoke-other-sessions")
    (session,) = (await here.get(USER + "sessions"))["sessions"]
    assert session["current"] and session["network"] == "127.0.0.0/24"


async def test_the_routes_take_a_token(strict: tuple[Running, RunningGateway]) -> None:
    visitor = FrontEnd(strict[1].http)
    await visitor.refused("GET", USER + "second-factor", 401, -20001)
    for route in ("begin-second-factor", "turn-on-second-factor", "turn-off-second-factor", "renew-recovery-codes"):
        await visitor.refused("POST", USER + route, 401, -20001, json={})
