"""Tickets to the socket. Those of one moment are created, or redeemed, by one call."""

from collections.abc import Sequence

from gateway.chat.client import Chat
from gateway.http.errors import TicketInvalid
from protos.chat.v1 import sockets_pb2 as pb
from services.kit.batcher import Batcher
from services.kit.context import Caller

GATHER_SECONDS = 0.02  # while a call is under way


class Tickets:
    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        # Without dedupe: a ticket that is shown twice at the same moment is good once.
        self._created: Batcher[Caller, str] = Batcher(self._create, GATHER_SECONDS, name="create tickets")
        self._redeemed: Batcher[str, Caller] = Batcher(self._redeem, GATHER_SECONDS, name="redeem tickets")

    async def create(self, caller: Caller) -> str:
        """Raises the chat service's errors, and Unavailable."""
        return await self._created.submit(caller)

    async def redeem(self, ticket: str) -> Caller:
        """Uses the ticket up. Raises TicketInvalid, the chat service's errors, and Unavailable."""
        return await self._redeemed.submit(ticket)

    async def _create(self, callers: Sequence[Caller]) -> list[str]:
        holders = [pb.TicketHolder(user_id=c.user_id, session_id=c.session_id, role=c.role) for c in callers]
        return list(
            (await self._chat.tickets.BatchCreateTickets(pb.BatchCreateTicketsRequest(holders=holders))).tickets
        )

    async def _redeem(self, tickets: Sequence[str]) -> list[Caller | TicketInvalid]:
        request = pb.BatchRedeemTicketsRequest(tickets=tickets)
        holders = (await self._chat.tickets.BatchRedeemTickets(request)).holders
        return [
            Caller(each.user_id, each.role, each.session_id) if each.user_id else TicketInvalid() for each in holders
        ]
