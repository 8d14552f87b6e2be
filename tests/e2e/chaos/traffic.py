"""Writes of several kinds, each of which is acknowledged, refused or of unknown outcome, and the comparison at the end:
what was acknowledged is there, everything that is there is there once.
"""

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.people import Person
from tests.support.gateway import FrontEnd, refusal_of
from tests.support.media import png

RATE = 20.0  # writes per second
AWAY = frozenset({429, 503, 507})  # what a client may be told while something is away
Action = Callable[[], Awaitable[httpx.Response]]


@dataclass
class Verdict:
    acked: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)  # answers that no fault excuses


class Traffic:
    """Ben writes to Alice, comments on her video, uploads pictures and changes a bio."""

    def __init__(self, http: httpx.AsyncClient, alice: Person, ben: Person, dice: random.Random) -> None:
        self._http, self._alice, self._ben, self._dice = http, alice, ben, dice
        self.acked: dict[str, dict[str, Any]] = {kind: {} for kind in ("send", "comment", "upload", "bio")}
        self._unsure: list[str] = []  # messages to be sent once more
        self._bios: list[str] = []
        self.wrong: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.succeeded: dict[str, float] = {}  # when each kind did last
        self._conversation = self._video = self._to = ""
        often: list[tuple[str, Action]] = [("send", self._send), ("comment", self._comment), ("bio", self._bio)]
        self.kinds = [*often * 4, ("upload", self._upload)]  # an upload starts a process

    async def begin(self) -> None:
        alice, ben = self._alice, self._ben
        await ben.post("/api/contact/add-friend", username=alice.name)
        await alice.post("/api/contact/add-friend", username=ben.name)
        self._to = (await alice.get("/api/user/get-my-info"))["id"]
        await alice.post("/api/videos/create-video", video_path="https://example.com/v.mp4", title="clip")
        self._video = (await alice.get("/api/videos/user-videos"))["data"][0]["id"]
        assert (await self._send()).status_code == 200
        (row,) = (await ben.get("/api/chat/conversations"))["conversations"]
        self._conversation = row["conversation_id"]

    async def run(self) -> None:
        """Until it is cancelled. Writes begin at RATE, whatever the answers."""
        loop, number = asyncio.get_running_loop(), 0
        began = loop.time()
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._try(*self.kinds[number % len(self.kinds)]))
                number += 1
                await asyncio.sleep(max(began + number / RATE - loop.time(), 0))

    async def all_succeed(self, since: float, seconds: float) -> float:
        """When each kind had succeeded after `since` (time.monotonic)."""
        ends = time.monotonic() + seconds
        while missing := [kind for kind in self.acked if self.succeeded.get(kind, 0.0) <= since]:
            if time.monotonic() > ends:
                raise TimeoutError(f"no success of {missing} in {seconds:.0f} s; refused: {dict(self.refused)}")
            await asyncio.sleep(0.02)
        return max(self.succeeded[kind] for kind in self.acked)

    async def _try(self, kind: str, action: Action) -> None:
        began = time.monotonic()
        try:
            answer = await action()
        except httpx.TransportError:
            return
        text = f"{kind} {answer.status_code} {answer.headers.get('x-error')}"
        if answer.status_code == 200:
            self.succeeded[kind] = began
        elif answer.status_code in AWAY:
            refusal_of(answer.request.url.path, answer)
            self.refused[text] += 1
        else:
            self.wrong[text] += 1

    async def _send(self) -> httpx.Response:
        id = self._unsure.pop() if self._unsure else str(uuid.UUID(int=self._dice.getrandbits(128), version=4))
        self._unsure.append(id)  # until it is acknowledged it is sent again, with the same id
        body = {"to": {"user_id": self._to}, "client_msg_id": id, "content_type": "text", "body": {"text": id}}
        answer = await self._ben.call("POST", "/api/chat/send", json=body)
        if answer.status_code == 200:
            self.acked["send"][id] = True
            self._unsure = [each for each in self._unsure if each != id]
        return answer

    async def _comment(self) -> httpx.Response:
        id = str(uuid.uuid4())
        body = {"video_id": self._video, "content": id}
        answer = await self._ben.call("POST", "/api/videos/comment-video", json=body)
        if answer.status_code == 200:
            self.acked["comment"][id] = True
        return answer

    async def _upload(self) -> httpx.Response:
        data = png()
        answer = await self._ben.call("POST", "/api/file/upload", files={"file": ("a.png", data)})
        if answer.status_code == 200:
            self.acked["upload"][answer.json()["data"]["url"]] = data
        return answer

    async def _bio(self) -> httpx.Response:
        bio = str(uuid.uuid4())
        self._bios.append(bio)
        number = len(self._bios)
        answer = await self._ben.call("POST", "/api/user/set-profile", json={"bio": bio})
        if answer.status_code == 200:
            self.acked["bio"][bio] = number
        return answer

    async def judge(self) -> Verdict:
        """Waits for what comes by events, and compares."""
        verdict = Verdict(sum(map(len, self.acked.values())), wrong=self.wrong)
        messages = await self._messages()
        comments = await self._comments()
        for kind, found in (("send", messages), ("comment", comments)):
            verdict.lost += [f"{kind} {id}" for id in self.acked[kind] if id not in found]
            verdict.doubled += [f"{kind} {id}" for id, count in found.items() if count > 1]
        for url, data in self.acked["upload"].items():
            answer = await self._http.get(path := httpx.URL(url).raw_path.decode())
            if answer.status_code == 503:
                answer = await self._http.get(path)
            if answer.content != data:
                verdict.lost.append(f"upload {url} {answer.status_code}")
        await self._judge_notifications(verdict, comments)
        return verdict

    async def _judge_notifications(self, verdict: Verdict, comments: Counter[str]) -> None:
        """One for each comment."""
        try:
            async with asyncio.timeout(30):
                while len(told := await self._notifications()) < len(comments):  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
        except TimeoutError:
            verdict.lost.append(f"{len(comments) - len(told)} notifications")
        verdict.doubled += [f"notification {id}" for id, count in told.items() if count > 1]

    async def _messages(self) -> Counter[str]:
        found: Counter[str] = Counter()
        query: dict[str, Any] = {"conversation_id": self._conversation, "limit": 100}
        while True:
            page = await _read(self._ben, "/api/chat/messages", **query)
            found.update(message["client_msg_id"] for message in page["messages"])
            if not page["more"]:
                return found
            query["before_seq"] = page["messages"][-1]["seq"]

    async def _comments(self) -> Counter[str]:
        found: Counter[str] = Counter()
        query: dict[str, Any] = {"id": self._video, "is_video": "true", "page_size": 100}
        while True:
            page = await _read(self._ben, "/api/videos/get-comments", **query)
            found.update(str(comment["content"]) for comment in page["comments"])
            if not page["next_cursor"]:
                return found
            query["cursor"] = page["next_cursor"]

    async def _notifications(self) -> Counter[str]:
        found: Counter[str] = Counter()
        query: dict[str, Any] = {"limit": 100}
        while True:
            rows = (await _read(self._alice, "/api/chat/notifications", **query))["notifications"]
            found.update(row["subject"]["comment_id"] for row in rows if row["kind"] == "comment")
            if len(rows) < 100:
                return found
            query["before"] = rows[-1]["notification_id"]


async def _read(person: Person, path: str, **query: Any) -> Any:
    """As clients do: again if it is refused."""
    for _ in range(20):
        if (answer := await person.call("GET", path, params=query)).status_code == 200:
            break
        await asyncio.sleep(1)
    return answer.json()["data"]


async def registered(visitor: FrontEnd, make: Callable[[], Awaitable[Person]]) -> Person:
    """As often as it takes: logins are refused while the machine is busy."""
    while True:
        try:
            return await make()
        except (AssertionError, httpx.TransportError):
            await asyncio.sleep(1)
