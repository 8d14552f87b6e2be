"""Does what users do, with two temporary accounts: one uploads a video and reads a part of it, and they exchange a
message.

The accounts and the video are deleted at the end. The message and the rows of the deleted accounts remain.
"""

import asyncio
import secrets
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from deploy.demo.clips import Clip, write_clip
from deploy.doctor.checks import CheckContext, Fault
from deploy.frontend import FrontEnd, Refused, Unreachable, open_http
from gateway.config import SERVICE as GATEWAY
from gateway.config import GatewaySettings
from services.kit import tokens

PASSWORD_BYTES = 16
POLL_SECONDS = 0.3
RANGE = (100, 1_123)
Journey = Callable[[FrontEnd, FrontEnd], Awaitable[str]]
"""What two users do together; returns what worked."""


def check_journey(url: str, travel: Journey) -> Callable[[CheckContext], Awaitable[str]]:
    async def check(context: CheckContext) -> str:
        try:
            async with open_http(url) as http, temporary_user(http) as one, temporary_user(http) as other:
                require_our_token(context, one)
                return await travel(one, other)
        except (Refused, Unreachable) as error:
            raise Fault(f"{error}. The gateway's log has details") from None

    return check


def require_our_token(context: CheckContext, user: FrontEnd) -> None:
    """That it is signed with the secret that the settings name. Raises Fault."""
    gateway = context.settings[GATEWAY]
    assert isinstance(gateway, GatewaySettings)
    try:
        tokens.verify(gateway.jwt_secret, user.token, "atoken")
    except tokens.TokenInvalid:
        raise Fault(
            "the processes run with another HITOK_JWT_SECRET than these settings name. Give user, chat and gateway the"
            " same, and restart them (a new one logs everybody out)"
        ) from None


@asynccontextmanager
async def temporary_user(http: httpx.AsyncClient) -> AsyncIterator[FrontEnd]:
    """A user registered by phone, which needs no mail server; deleted when the block ends."""
    phone, password = f"+86175{secrets.randbelow(10**8):08}", secrets.token_hex(PASSWORD_BYTES)
    answer = await FrontEnd(http).post("/api/v1/user/register", phone=phone, password=password, nickname="hitok doctor")
    user = FrontEnd(http, answer["token"])
    try:
        yield user
    finally:
        await user.post("/api/user/delete-account", password=password)


async def upload_video(one: FrontEnd, _: FrontEnd) -> str:
    clip = await asyncio.to_thread(_make_clip)
    file = await one.ask("POST", "/api/file/upload", files={"file": ("doctor.mp4", clip, "video/mp4")})
    while file["status"] == "processing":
        await asyncio.sleep(POLL_SECONDS)
        file = await one.get("/api/file/status", id=file["url"])
    if file["status"] != "ready":
        raise Fault(f"the video could not be processed: {file['reason']}. The media service's log has details")
    await one.post("/api/videos/create-video", video_path=file["url"], title="hitok doctor")
    try:
        await _read_range(one, file["url"], clip)
    finally:
        for video in (await one.get("/api/videos/user-videos"))["data"]:
            await one.post("/api/videos/delete-video", video_id=video["id"])
    return f"{len(clip) >> 10} KB uploaded, processed, read in part and deleted"


async def _read_range(user: FrontEnd, url: str, clip: bytes) -> None:
    first, last = RANGE
    answer = await user.call("GET", httpx.URL(url).raw_path.decode(), headers={"range": f"bytes={first}-{last}"})
    if answer.status_code != 206:
        raise Fault(f"a range of the video was answered {answer.status_code}, not 206. Does a proxy drop Range?")
    if answer.content != clip[first : last + 1]:
        raise Fault("a range of the video has other bytes than were uploaded. Does a proxy change them?")


def _make_clip() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        write_clip(Clip("orbits", 160, 90, 1, secrets.randbits(32)), path)
        return path.read_bytes()


async def exchange_message(one: FrontEnd, other: FrontEnd) -> str:
    name = (await other.get("/api/user/get-my-info"))["username"]
    await one.post("/api/contact/add-friend", username=name)
    ticket = (await one.get("/api/chat/ws-ticket"))["ticket"]
    url = str(one.http.base_url.copy_with(scheme=one.http.base_url.scheme.replace("http", "ws")))
    try:
        async with connect(f"{url.rstrip('/')}/api/chat/ws?ticket={ticket}", proxy=None) as socket:
            await _send(socket, "hello", version=1, device_id="doctor", cursors={})
            ready = await _wait_for(socket, "ready")
            text = secrets.token_hex(8)
            message = {"client_msg_id": str(uuid.uuid4()), "content_type": "text", "body": {"text": text}}
            await other.post("/api/chat/send", to={"user_id": ready["user_id"]}, **message)
            while (await _wait_for(socket, "message"))["body"] != {"text": text}:
                pass
    except (WebSocketException, OSError) as error:
        raise Fault(f"cannot open a socket: {error}. Does a proxy in front pass WebSockets on?") from None
    return "a message sent over HTTP arrived on the socket"


async def _send(socket: ClientConnection, type: str, **data: Any) -> None:
    await socket.send(msgspec.json.encode({"type": type, "id": type, "data": data}).decode())


async def _wait_for(socket: ClientConnection, type: str) -> Any:
    async for frame in socket:
        event = msgspec.json.decode(frame)
        if event["type"] == type:
            return event["data"]
        if event["type"] == "error":
            raise Fault(f"the socket answered {event['data']['code']}: {event['data']['message']}")
    raise Fault(f"the socket was closed ({socket.close_code}) before {type!r} came")
