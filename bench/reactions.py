"""How fast is one message of a group reacted to, and the reaction taken back, through the gateway? Aim: at least 0.5 of
a gRPC echo."""

import asyncio
import json

import httpx

from bench.clients.load import build_request
from bench.clients.people import Person, make_group, message, post, register_all
from bench.report import title
from bench.servers.echo import CONNECTIONS, compare_with_echo, running_echo
from bench.servers.stack import running_stack

USERS = 50


async def measure() -> None:
    with running_echo() as echo, running_stack(HITOK_BCRYPT_COST="4") as (base, _):
        async with httpx.AsyncClient(base_url=base, timeout=60) as http:
            people = await register_all(http, USERS)
            conversation_id = await gather_in_group(http, people)
        requests = react_requests(base, people, conversation_id)
        title(f"reactions to one message and their end, {CONNECTIONS} connections, {USERS} members")
        await compare_with_echo(echo, base, "react", requests)


async def gather_in_group(http: httpx.AsyncClient, people: list[Person]) -> str:
    """The id of the conversation of a new group, in which the first of them has written."""
    owner, *others = people
    group = await make_group(http, owner, others)
    await asyncio.sleep(1)  # until the chat service has heard of all of them
    sent = await post(http, owner, "/api/chat/send", **message({"group_id": group}))
    return str(sent["conversation_id"])


def react_requests(base: str, people: list[Person], conversation_id: str) -> list[bytes]:
    """All react, then all take it back, so that each request changes a row."""
    of = {"conversation_id": conversation_id, "seq": 1, "emoji": "👍"}
    return [
        build_request(
            f"{base}/api/chat/react",
            {"Authorization": f"Bearer {person['token']}", "Content-Type": "application/json"},
            "POST",
            json.dumps(of | {"reacted": reacted}).encode(),
        )
        for reacted in (True, False)
        for person in people
    ]
