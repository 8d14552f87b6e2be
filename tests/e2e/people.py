"""Users made as a front end makes them, over HTTP."""

from collections.abc import Callable

import httpx

from tests.support.gateway import FrontEnd
from tests.support.user import new_name, new_phone


class Person(FrontEnd):
    def __init__(self, http: httpx.AsyncClient, token: str, name: str, password: str) -> None:
        super().__init__(http, token)
        self.name, self.email, self.password = name, f"{name}@example.com", password

    @property
    def login(self) -> dict[str, str]:
        return {"email": self.email, "password": self.password}


async def register(http: httpx.AsyncClient, code_for: Callable[[str], str], password: str = "correct horse") -> Person:
    name, visitor = new_name(), FrontEnd(http)
    await visitor.post("/api/login/send-code", email=f"{name}@example.com")
    code = code_for(f"{name}@example.com")
    data = await visitor.post(
        "/api/login/register", email=f"{name}@example.com", code=code, password=password, username=name
    )
    return Person(http, data["atoken"], name, password)


async def register_by_phone(http: httpx.AsyncClient, password: str = "correct horse") -> tuple[FrontEnd, str]:
    phone = new_phone()
    data = await FrontEnd(http).chat("POST", "/api/v1/user/register", json={"phone": phone, "password": password})
    return FrontEnd(http, data["token"]), phone
