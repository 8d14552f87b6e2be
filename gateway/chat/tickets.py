"""Tickets to the socket: those that are asked for at the same moment, and those shown, travel in one call."""

from collections.abc import Mapping
from itertools import count

from gateway.cache.dataloader import DataLoader
from gateway.chat.client import Chat
from gateway.http.errors import TicketInvalid
from protos.chat.v1 import sockets_pb2 as pb
from services.kit.context import Caller

GATHER = 0.02  # seconds, while a call is under way

Asked = tuple[int, Caller]
Shown = tuple[int, str]


class Tickets:
    def __init__(self, chat: Chat) -> None:
        self._chat = chat
        # Numbered, as a loader answers all who ask for the same by one: a ticket shown twice is good once.
        self._numbers = count()
        self._created = DataLoader(self._create, GATHER)
        self._redeemed = DataLoader(self._redeem, GATHER)

    async def create(self, caller: Caller) -> str:
        """Raises the chat service's errors, and Unavailable."""
        ticket = await self._created.load((next(self._numbers), caller))
        assert ticket
        return ticket

    async def redeem(self, ticket: str) -> Caller:
        """Uses it up. Raises TicketInvalid, the chat service's errors, and Unavailable."""
        holder = await self._redeemed.load((next(self._numbers), ticket))
        if holder is None:
            raise TicketInvalid
        return holder

    async def _create(self, asked: list[Asked]) -> Mapping[Asked, str]:
        holders = [pb.TicketHolder(user_id=c.user_id, session_id=c.session_id, role=c.role) for _, c in asked]
        answer = await self._chat.tickets.BatchCreateTickets(pb.BatchCreateTicketsRequest(holders=holders))
        return dict(zip(asked, answer.tickets, strict=True))

    async def _redeem(self, shown: list[Shown]) -> Mapping[Shown, Caller]:
        request = pb.BatchRedeemTicketsRequest(tickets=[ticket for _, ticket in shown])
        holders = (await self._chat.tickets.BatchRedeemTickets(request)).holders
        return {
            key: Caller(holder.user_id, holder.role, holder.session_id)
            for key, holder in zip(shown, holders, strict=True)
            if holder.user_id
        }
