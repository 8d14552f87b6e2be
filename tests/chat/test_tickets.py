"""Tickets to the socket: short-lived, for one user and session, valid once."""

import asyncio
import time

import jwt
import pytest

from protos.chat.v1 import sockets_pb2 as sockets_pb
from services.kit import tokens
from tests.support.chat import JWT_SECRET, SESSION, Running, new_ticket, redeem
from tests.support.social import new_user, new_users, refusal


async def test_a_ticket_names_its_holder_for_seconds(chat: Running) -> None:
    user = new_user()
    ticket = await new_ticket(chat, user, role=3)
    claims = jwt.decode(ticket, JWT_SECRET, ["HS256"])
    assert 0 < claims["exp"] - time.time() <= 30 and claims["class"] == "ticket"
    (holder,) = await redeem(chat, ticket)
    assert (holder.user_id, holder.session_id, holder.role) == (user, SESSION, 3)


async def test_fifty_who_use_it_at_once_are_one(chat: Running) -> None:
    user = new_user()
    ticket = await new_ticket(chat, user)
    found = await asyncio.gather(*(redeem(chat, ticket) for _ in range(50)))
    assert sorted(holder.user_id for (holder,) in found) == [0] * 49 + [user]


async def test_of_many_in_one_call_each_is_judged_by_itself(chat: Running) -> None:
    users = new_users(20)
    holders = [sockets_pb.TicketHolder(user_id=user, session_id=user + 1, role=2) for user in users]
    tickets = (await chat.tickets.BatchCreateTickets(sockets_pb.BatchCreateTicketsRequest(holders=holders))).tickets
    shown = [tickets[0], "forged", *tickets, tickets[-1]]
    nobody = sockets_pb.TicketHolder()
    assert await redeem(chat, *shown) == [holders[0], nobody, nobody, *holders[1:], nobody]
    assert await refusal(redeem(chat, *["x"] * 501)) == "BATCH_TOO_LARGE"


async def test_what_is_no_ticket(chat: Running) -> None:
    user = new_user()
    good = jwt.decode(await new_ticket(chat, user), JWT_SECRET, ["HS256"])
    token, _ = tokens.issue(
        JWT_SECRET, user_id=user, username="u", role=1, session_id=1, token_class="atoken", lifetime=60
    )
    bad = [
        "",
        "x.y.z",
        token,
        jwt.encode(good | {"userid": "1"}, JWT_SECRET, "HS256"),
        jwt.encode(good | {"sid": "1"}, JWT_SECRET, "HS256"),
        jwt.encode(good | {"exp": 1}, JWT_SECRET, "HS256"),
        jwt.encode(good | {"class": "atoken"}, JWT_SECRET, "HS256"),
        jwt.encode(good | {"jti": "other"}, JWT_SECRET, "HS256"),
        jwt.encode(good, "another secret of at least 32 bytes", "HS256"),
        jwt.encode({"exp": good["exp"], "class": "ticket", "jti": "x"}, JWT_SECRET, "HS256"),
    ]
    for ticket in bad:
        assert await redeem(chat, ticket) == [sockets_pb.TicketHolder()], ticket


async def test_a_ticket_is_no_access_token(chat: Running) -> None:
    with pytest.raises(tokens.TokenInvalid):
        tokens.verify(JWT_SECRET, await new_ticket(chat, new_user()), "atoken")
