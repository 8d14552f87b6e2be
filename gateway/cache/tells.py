"""What gateways tell each other: changes that no event announces, such as a like taken back or a login."""

import asyncio
import secrets
from contextlib import suppress

import msgspec
from nats.aio.client import Client as Nats
from nats.errors import Error as NatsError

SUBJECT = "cache.drop"
GATHER_SECONDS = 0.02
MOST = 1_000  # ids of a kind in one message; what is beyond it waits for the next


class Changes(msgspec.Struct):
    """Ids of videos whose counts changed, of users who liked or unliked something, and of those who logged in
    or set who sees what of them."""

    sender: str = ""
    videos: list[int] = []
    likers: list[int] = []
    users: list[int] = []


class Tells:
    """One message for all changes of GATHER_SECONDS."""

    def __init__(self, nats: Nats) -> None:
        self._nats, self._sender = nats, secrets.token_hex(4)
        self._wake = asyncio.Event()
        self._videos: set[int] = set()
        self._likers: set[int] = set()
        self._users: set[int] = set()

    def video(self, video_id: int, liker_id: int = 0) -> None:
        self._videos.add(video_id)
        if liker_id:
            self._likers.add(liker_id)
        self._wake.set()

    def user(self, user_id: int) -> None:
        self._users.add(user_id)
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._wake.clear()
            changes = Changes(self._sender, *map(_take, (self._videos, self._likers, self._users)))
            if self._videos or self._likers or self._users:
                self._wake.set()
            if self._nats.is_connected:  # else nobody keeps anything for long
                with suppress(NatsError, OSError):
                    await self._nats.publish(SUBJECT, msgspec.json.encode(changes))

    def read(self, message: bytes) -> Changes:
        """Nothing, if it is our own."""
        changes = msgspec.json.decode(message, type=Changes)
        return Changes() if changes.sender == self._sender else changes


def _take(ids: set[int]) -> list[int]:
    return [ids.pop() for _ in range(min(len(ids), MOST))]
