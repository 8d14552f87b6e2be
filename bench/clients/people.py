"""Accounts for a measurement, and their HTTP requests."""

import asyncio
import base64
import json
import secrets
import time
import uuid
from collections.abc import Iterable
from typing import Any, TypedDict

import httpx


class Person(TypedDict):
    name: str
    token: str
    id: str


async def register_all(http: httpx.AsyncClient, number: int) -> list[Person]:
    free = asyncio.Semaphore(8)

    async def run() -> Person:
        async with free:
            return await register(http)

    return list(await asyncio.gather(*(run() for _ in range(number))))


async def register(http: httpx.AsyncClient) -> Person:
    phone, name = f"175{secrets.randbelow(10**8):08}", "b" + secrets.token_hex(6)
    account = {"nickname": name, "phone": phone, "password": "correct horse"}
    while (answer := await http.post("/api/v1/user/register", json=account)).status_code == 503:  # noqa: ASYNC110
        await asyncio.sleep(1)  # more passwords wait than can be hashed in time
    token = answer.raise_for_status().json()["data"]["token"]
    part = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return {"name": name, "token": token, "id": claims["userid"]}


async def post(http: httpx.AsyncClient, person: Person, path: str, **body: Any) -> Any:
    answer = await http.post(path, json=body, headers={"Authorization": f"Bearer {person['token']}"})
    return answer.raise_for_status().json()["data"]


async def make_group(http: httpx.AsyncClient, owner: Person, members: Iterable[Person] = ()) -> str:
    """The id of a new one."""
    await post(http, owner, "/api/contact/create-community", name=f"b{time.time_ns()}")
    group = str((await post(http, owner, "/api/contact/load-community"))["groups"][0]["id"])
    for member in members:
        await post(http, member, "/api/contact/join-community", community_id=group)
    return group


def message(to: dict[str, str], text: str = "how do you do") -> dict[str, Any]:
    """The data of a `send`."""
    return {"to": to, "client_msg_id": str(uuid.uuid4()), "content_type": "text", "body": {"text": text}}
