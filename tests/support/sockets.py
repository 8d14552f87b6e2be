"""Clients of the chat socket for tests: answers are found by their id, events by their content."""

import asyncio
import itertools
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

# Of websockets' clients: no limits, pings or compression of their own.
OPTIONS: dict[str, Any] = {
    "max_size": None,
    "ping_interval": None,
    "close_timeout": 1,
    "compression": None,
    "proxy": None,
}


class Refusal(Exception):
    """An `error` frame and its data."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(data)
        self.data = data

    @property
    def code(self) -> str:
        return str(self.data["code"])


class Frames:
    """The frames of a socket. `seen` holds those that no one has waited for yet."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.seen: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        """The next frame, whichever. Raises ConnectionClosed."""
        return dict(json.loads(await self.ws.recv()))

    async def wait(self, wanted: Any, timeout: float = 10.0) -> dict[str, Any]:
        for frame in self.seen:
            if wanted(frame):
                self.seen.remove(frame)
                return frame
        async with asyncio.timeout(timeout):
            while not wanted(frame := await self.receive()):
                self.seen.append(frame)
        return frame

    async def drain(self, seconds: float = 0.2) -> list[dict[str, Any]]:
        """All that came and that comes within a time."""
        with suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(seconds):
                while True:
                    self.seen.append(await self.receive())
        seen, self.seen = self.seen, []
        return seen

    async def closed(self, timeout: float = 10.0) -> int:
        """The code with which the server closes it, once it does."""
        with suppress(ConnectionClosed):
            async with asyncio.timeout(timeout):
                while True:
                    await self.ws.recv()
        assert self.ws.close_code is not None
        return self.ws.close_code


class Socket(Frames):
    """Answers pings while it waits for something else."""

    def __init__(self, ws: ClientConnection) -> None:
        super().__init__(ws)
        self.ready: dict[str, Any] = {}
        self._ids = itertools.count(1)

    async def say(self, type: str, id: str | None = None, **data: Any) -> None:
        await self.ws.send(json.dumps({"type": type, "data": data} | ({"id": id} if id else {})))

    async def ask(self, type: str, answer: str = "ack", **data: Any) -> Any:
        """The answer's data. Raises Refusal."""
        id = str(next(self._ids))
        await self.say(type, id, **data)
        return await self.answer(id, answer)

    async def answer(self, id: str, answer: str = "ack") -> Any:
        frame = await self.wait(lambda frame: frame.get("id") == id)
        if frame["type"] == "error":
            raise Refusal(frame["data"])
        assert frame["type"] == answer, frame
        return frame["data"]

    async def answer_type(self, id: str) -> str:
        """The type of the answer, or the code of the error."""
        try:
            await self.answer(id)
        except Refusal as refusal:
            return refusal.code
        return "ack"

    async def send(self, text: str, client_msg_id: str = "", **to: Any) -> Any:
        return await self.ask(
            "send",
            to={name: str(id) for name, id in to.items()},
            client_msg_id=client_msg_id or str(uuid.uuid4()),
            content_type="text",
            body={"text": text},
        )

    async def event(self, type: str, **match: Any) -> Any:
        """The data of the first event of that type with these fields."""
        frame = await self.wait(
            lambda frame: frame["type"] == type and all(frame["data"].get(k) == v for k, v in match.items())
        )
        return frame["data"]

    async def receive(self) -> dict[str, Any]:
        """The next frame, whichever. Raises ConnectionClosed."""
        while True:
            frame = await super().receive()
            if frame["type"] != "ping":
                return frame
            await self.say("pong")


@asynccontextmanager
async def raw_socket(url: str, path: str = "/api/chat/ws", **options: Any) -> AsyncIterator[Socket]:
    """A socket on which nothing was sent yet; `options` are those of websockets."""
    async with connect(url.replace("http", "ws", 1) + path, **OPTIONS | options) as ws:
        yield Socket(ws)


@asynccontextmanager
async def open_socket(
    url: str, token: str, cursors: dict[str, int] | None = None, **options: Any
) -> AsyncIterator[Socket]:
    """A socket that sent the token in its hello and got `ready`."""
    async with raw_socket(url, **options) as socket:
        await say_hello(socket, token=token, cursors=cursors or {})
        yield socket


async def say_hello(socket: Socket, **data: Any) -> None:
    socket.ready = await socket.ask("hello", "ready", version=1, device_id="test", **data)
