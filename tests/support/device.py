"""A client that follows the rules of docs/chat-protocol.md and remembers what it was promised."""

import asyncio
import itertools
import json
import random
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from tests.support import asyncapi

PAUSE = 0.3  # seconds at most before it reconnects, and before it asks again
ANSWER = 8.0  # seconds without an answer after which it considers the connection dead
LOST = (OSError, TimeoutError, EOFError, WebSocketException, InvalidHandshake)


class Refused(Exception):
    """An `error` frame."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(data)
        self.data = data


@dataclass
class Conversation:
    known: int = 0
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)  # by seq
    held: dict[int, tuple[str, dict[str, Any]]] = field(default_factory=dict)  # by rev
    syncing: bool = False


class Device:
    def __init__(self, user_id: int, token: str, urls: list[str], dice: random.Random) -> None:
        self.user_id, self.token, self.urls, self.dice = user_id, token, urls, dice
        self.conversations: dict[str, Conversation] = {}
        self.listed: dict[str, dict[str, Any]] = {}  # as the last `ready` listed them
        self.unsent: dict[str, tuple[dict[str, str], Any]] = {}  # by client_msg_id
        self.acked: dict[str, dict[str, Any]] = {}
        self.changed: list[tuple[str, dict[str, Any], Any]] = []  # edits (with the body) and recalls (None) acked
        self.read: dict[str, int] = {}
        self.tried: dict[str, int] = {}
        self.connections = self.syncs = self.resyncs = 0
        self.away, self.ready = False, asyncio.Event()
        self.failures: list[BaseException] = []
        self._socket: ClientConnection | None = None
        self._asked: dict[str, asyncio.Future[Any]] = {}
        self._ids = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_live(self) -> bool:
        return self._socket is not None

    async def live(self) -> None:
        """Runs until it is cancelled."""
        while True:
            try:
                await self._connect()
            except LOST:
                pass
            except Exception as error:
                self.failures.append(error)
                raise
            self._lose()
            await asyncio.sleep(self.dice.random() * PAUSE)
            while self.away:  # noqa: ASYNC110 (a test's flag)
                await asyncio.sleep(0.02)

    async def leave(self, rudely: bool) -> None:
        """Disconnects until `come`; rudely: without a close frame."""
        self.away = True
        if self._socket and rudely:
            self._socket.transport.abort()
        elif self._socket:
            await self._socket.close()

    def come(self) -> None:
        self.away = False

    async def send(self, to: dict[str, str], body: Any, content_type: str = "text") -> None:
        """Sends the message until it is acknowledged, over as many connections as it takes."""
        id = str(uuid.UUID(int=self.dice.getrandbits(128), version=4))
        self.unsent[id] = (to, body)
        if self.is_live:
            self._do(self._transmit(id))

    async def repeat(self, id: str) -> None:
        """Sends an acknowledged message once more, and checks the answer."""
        known = self.acked[id]
        to = {"conversation_id": known["conversation_id"]}
        ack = await self.ask("send", to=to, client_msg_id=id, content_type="text", body="again")
        assert ack["rev"] >= known["rev"], "which an edit raises"
        assert ack == known | {"duplicate": True, "rev": ack["rev"]}

    async def change(self, conversation_id: str, seq: int, body: Any | None) -> None:
        """Edits the message, or recalls it if the body is None."""
        of = {"conversation_id": conversation_id, "seq": seq}
        ack = await (self.ask("recall", **of) if body is None else self.ask("edit", **of, body=body))
        self.changed.append((conversation_id, ack, body))

    async def mark_read(self, conversation_id: str, seq: int) -> None:
        self.tried[conversation_id] = max(seq, self.tried.get(conversation_id, 0))
        answer = await self.ask("read", conversation_id=conversation_id, seq=seq)
        assert answer["read_seq"] >= seq
        self.read[conversation_id] = max(seq, self.read.get(conversation_id, 0))

    async def ask(self, type: str, **data: Any) -> Any:
        """The answer. Raises Refused, or ConnectionError if the connection was lost and the outcome is unknown."""
        if self._socket is None:
            raise ConnectionError
        id = str(next(self._ids))
        answer = self._asked[id] = asyncio.get_running_loop().create_future()
        socket = self._socket
        try:
            await socket.send(json.dumps({"type": type, "id": id, "data": data}))
            async with asyncio.timeout(ANSWER):
                return await answer
        except TimeoutError:
            socket.transport.abort()
            raise ConnectionError from None
        except WebSocketException:
            raise ConnectionError from None
        finally:
            self._asked.pop(id, None)

    async def history(self, conversation_id: str) -> dict[int, dict[str, Any]]:
        """The whole history by seq, read page by page."""
        found: dict[int, dict[str, Any]] = {}
        while True:
            before = {"before_seq": min(found)} if found else {}
            page = await self.ask("history", conversation_id=conversation_id, limit=100, **before)
            found |= {message["seq"]: message for message in page["messages"]}
            if not page["more"]:
                return found

    async def _connect(self) -> None:
        url = self.dice.choice(self.urls).replace("http", "ws", 1) + "/api/chat/ws"
        options: dict[str, Any] = {"ping_interval": None, "close_timeout": 0.5, "compression": None, "proxy": None}
        async with connect(url, open_timeout=5, **options) as socket:
            cursors = {id: conversation.known for id, conversation in self.conversations.items()}
            hello = {"version": 1, "token": self.token, "cursors": cursors}
            await socket.send(json.dumps({"type": "hello", "id": "hello", "data": hello}))
            while True:
                async with asyncio.timeout(None if self._socket else ANSWER):
                    text = await socket.recv()
                await self._take(socket, json.loads(text))

    def _lose(self) -> None:
        self._socket = None
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ConnectionError())
                answer.exception()
        for conversation in self.conversations.values():
            conversation.held.clear()  # the syncs after the next hello bring them again
            conversation.syncing = False

    async def _take(self, socket: ClientConnection, frame: dict[str, Any]) -> None:
        try:
            asyncapi.check(frame)
        except jsonschema_rs.ValidationError as error:
            self.failures.append(error)
        data = frame.get("data", {})
        match frame["type"]:
            case "ping":
                await socket.send('{"type":"pong"}')
            case "ready":
                self._socket = socket
                self.ready.set()
                self.connections += 1
                self._ready(data)
            case "ack" | "error":
                self._answered(frame)
            case "sync":
                self._synced(data)
            case "resync":
                self.resyncs += 1
                if data["conversation_ids"] is None:
                    await socket.close()
                for id in data["conversation_ids"] or ():
                    self._do(self._sync(id))
            case _ if "rev" in data:
                self._event(frame["type"], data)

    def _answered(self, frame: dict[str, Any]) -> None:
        answer = self._asked.get(frame.get("id", ""))
        if answer and not answer.done():
            if frame["type"] == "ack":
                answer.set_result(frame["data"])
            else:
                answer.set_exception(Refused(frame["data"]))

    def _ready(self, data: dict[str, Any]) -> None:
        for id in data["removed"]:
            self.conversations.pop(id, None)
        self.listed = {row["conversation_id"]: row for row in data["conversations"]}
        for id, row in self.listed.items():
            if id not in self.conversations:
                self.conversations[id] = Conversation()
                if row["rev"]:
                    self._do(self._sync(id))
        for id in list(self.unsent):
            self._do(self._transmit(id))

    def _event(self, type: str, data: dict[str, Any]) -> None:
        id, rev = data["conversation_id"], data["rev"]
        if type == "conversation" and data.get("left"):
            self.conversations.pop(id, None)
            return
        conversation = self.conversations.get(id)
        if conversation is None:
            if type == "conversation":
                self.conversations[id] = Conversation(rev)
            return
        if rev > conversation.known + 1:
            conversation.held[rev] = (type, data)
            self._do(self._sync(id))
        elif rev == conversation.known + 1:
            conversation.known = rev
            if type.startswith("message"):
                conversation.messages[data["seq"]] = data
            self._release(conversation)

    def _release(self, conversation: Conversation) -> None:
        held, conversation.held = conversation.held, {}
        for _, (type, data) in sorted(held.items()):
            self._event(type, data)

    async def _sync(self, id: str) -> None:
        """Asks until the device knows what it missed, or loses the connection."""
        conversation = self.conversations[id]
        if conversation.syncing:
            return
        conversation.syncing, socket = True, self._socket
        self.syncs += 1
        while self._socket is socket:
            try:
                part = await self.ask("sync", conversation_id=id, from_rev=conversation.known)
                self._synced(part)
                if part["limited"]:
                    conversation.messages = await self.history(id)
                if not part["more"]:
                    break
            except Refused as refused:
                assert refused.data["retryable"], refused.data
                await asyncio.sleep(self.dice.random() * PAUSE)
        conversation.syncing = False
        self._release(conversation)

    def _synced(self, part: dict[str, Any]) -> None:
        conversation = self.conversations[part["conversation_id"]]
        if part["limited"]:
            conversation.messages.clear()
        for message in part["messages"]:
            if message["rev"] > conversation.known:
                conversation.messages[message["seq"]] = message
        conversation.known = max(conversation.known, part["to_rev"])

    async def _transmit(self, id: str) -> None:
        while id in self.unsent:
            to, body = self.unsent[id]
            try:
                ack = await self.ask("send", to=to, client_msg_id=id, content_type="text", body=body)
            except Refused as refused:
                assert refused.data["retryable"], refused.data
                await asyncio.sleep(self.dice.random() * PAUSE)
                continue
            assert self.acked.get(id, ack)["seq"] == ack["seq"]
            self.acked[id] = ack
            self.unsent.pop(id, None)

    def _do(self, work: Any) -> None:
        async def run() -> None:
            with suppress(ConnectionError):
                await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()):
            self.failures.append(failure)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
