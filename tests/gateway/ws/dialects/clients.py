"""Clients of the originals for tests: each keeps the messages that it was shown, by their text."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from websockets.asyncio.client import connect

from tests.support.sockets import OPTIONS, Frames


class Client(Frames):
    async def send(self, frame: Any) -> None:
        await self.ws.send(json.dumps(frame))

    async def say(self, to: str, text: str) -> None:
        raise NotImplementedError

    def text_in(self, frame: dict[str, Any]) -> str | None:
        """The text of a message from someone else."""
        raise NotImplementedError

    async def texts(self, count: int) -> list[str]:
        """Of the next messages."""
        found = [await self.wait(lambda frame: self.text_in(frame) is not None) for _ in range(count)]
        return [str(self.text_in(frame)) for frame in found]


class A(Client):
    async def say(self, to: str, text: str) -> None:
        content = json.dumps({"content": text, "to_type": "user", "to": int(to)})
        await self.send({"type": "chat", "content": content})

    def text_in(self, frame: dict[str, Any]) -> str | None:
        return str(frame["content"]) if frame.get("type") == "chat" else None

    async def history(self, **asked: Any) -> None:
        await self.send({"type": "history", "content": json.dumps(asked)})


class B1(Client):
    async def say(self, to: str, text: str) -> None:
        await self.send({"frameType": 0, "method": "chat.user", "userId": to, "data": text})

    def text_in(self, frame: dict[str, Any]) -> str | None:
        return str(frame["data"]) if frame.get("frameType") == 0 else None


class B2(Client):
    async def say(self, to: str, text: str) -> None:
        await self.chat(text, chatType=1, recvId=to)

    async def chat(self, text: str, id: str = "", method: str = "chat.user", **data: Any) -> dict[str, Any]:
        """The acknowledgement, or the error."""
        data.setdefault("msg", {"mType": 1, "content": text})
        return await self.ask(method, data, id)

    async def ask(self, method: str, data: Any, id: str = "") -> dict[str, Any]:
        id = id or uuid.uuid4().hex
        await self.send({"id": id, "ackSeq": 0, "frameType": 0, "method": method, "data": data})
        answer = await self.wait(lambda frame: frame.get("id") == id and frame["frameType"] in (2, 3))
        if answer["frameType"] == 3:
            await self.send({"id": id, "ackSeq": 2, "frameType": 3})
        return answer

    def text_in(self, frame: dict[str, Any]) -> str | None:
        if frame.get("frameType") != 0 or frame["data"]["contentType"] != 0:
            return None
        return str(frame["data"]["msg"]["content"])


@asynccontextmanager
async def dialect(url: str, name: str, token: str, **options: Any) -> AsyncIterator[Any]:
    """A, B1 or B2 of that user."""
    kind: type[Client] = {"A": A, "B1": B1, "B2": B2}[name]
    path = {"A": f"/ws?token={quote('Bearer ' + token)}", "B1": "/ws", "B2": f"/ws?token={token}"}[name]
    headers = {"Authorization": f"Bearer {token}"} if name == "B1" else {}
    async with connect(url.replace("http", "ws", 1) + path, additional_headers=headers, **OPTIONS | options) as ws:
        client = kind(ws)
        if name == "B1":
            await client.send({"frameType": 1})
            await client.wait(lambda frame: frame.get("frameType") == 1)
        yield client
