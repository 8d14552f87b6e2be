"""Users and their data, created through the routes or, where that is not the point, at the service."""

import base64
import json
from pathlib import Path
from typing import Any

from httpx import AsyncClient

from protos.user.v1.accounts_pb2 import Tokens
from services.kit import tokens
from services.user import admin, roles
from services.user.accounts import lock_account
from tests.support.gateway import JWT_SECRET, FrontEnd
from tests.support.user import PASSWORD, Running, email_account, mailed_code, new_name, new_phone, phone_account


class Person(FrontEnd):
    """A user with an account by email or by phone; `password` is PASSWORD."""

    def __init__(self, http: AsyncClient, issued: Tokens, *, name: str = "", phone: str = "") -> None:
        super().__init__(http, issued.atoken)
        self.id = str(issued.user_id)
        self.name, self.email, self.phone = name, f"{name}@example.com" if name else "", phone

    @property
    def session_id(self) -> str:
        return str(claims_of(self.token)["sid"])


async def by_email(http: AsyncClient, user: Running) -> Person:
    name = new_name()
    return Person(http, await email_account(user, name), name=name)


async def by_phone(http: AsyncClient, user: Running) -> Person:
    phone = new_phone()
    return Person(http, await phone_account(user, phone), phone=phone)


async def an_admin(http: AsyncClient, user: Running) -> Person:
    person = await by_email(http, user)
    async with user.service.database.transaction() as connection:
        account = await lock_account(connection, int(person.id))
        await roles.change_role(connection, account, 3, by_user_id=None)
    return person


async def disable(user: Running, person: Person) -> None:
    async with user.service.database.transaction() as connection:
        await admin.set_disabled(connection, await lock_account(connection, int(person.id)), True)


async def ask_code(front: FrontEnd, user: Running, address: str) -> str:
    """The code mailed to the address."""
    assert await front.post("/api/login/send-code", email=address) == {}
    return mailed_code(Path(user.settings.var), address)


async def log_in(front: FrontEnd, person: Person) -> tuple[str, str]:
    """Another session: its atoken and rtoken."""
    data = await front.post("/api/login/login", email=person.email, password=PASSWORD)
    return data["atoken"], data["rtoken"]


def claims_of(token: str) -> dict[str, Any]:
    """Unverified."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def forged(person: Person, **changes: Any) -> str:
    """A token made with these changes to the arguments of tokens.issue."""
    arguments: dict[str, Any] = {
        "user_id": int(person.id),
        "username": person.name,
        "role": 0,
        "session_id": int(person.session_id),
        "token_class": "atoken",
        "lifetime": 600,
    }
    return tokens.issue(changes.pop("secret", JWT_SECRET), **arguments | changes)[0]
