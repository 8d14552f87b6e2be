"""Everybody arrives: registered by phone, with a face and a few words; some can log in by email, too."""

import asyncio
import io
import re
import time
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from deploy.demo.scenes import PALETTES, draw_disc, mix, paint_sky
from deploy.demo.stage import DemoError, Player, Stage
from deploy.demo.story import Person
from deploy.frontend import FrontEnd, Refused

TAKEN, WRONG_PASSWORD = 100005, 100007
MAIL_SECONDS = 5.0
FACE = 256


async def arrive(stage: Stage, visitor: FrontEnd, password: str, mails: Path | None) -> None:
    """`mails`: where hitok writes its mails, if it does; without it nobody gets an email address."""
    await stage.perform("people", lambda person: enter(stage, visitor, person, password), stage.story.people)
    if mails:
        named = [player for player in stage.players.values() if player.person.email and not player.has_email]
        for player in named:  # in turn: the gateway looks at how many codes one visitor asks for
            await bind_email(stage, player, password, mails)


async def enter(stage: Stage, visitor: FrontEnd, person: Person, password: str) -> None:
    token = await register(stage, visitor, person, password) or await log_in(stage, visitor, person, password)
    player = Player(visitor.http, token)
    player.person = person
    me = await player.get("/api/user/get-my-info")
    player.id, player.username, player.has_email = me["id"], me["username"], bool(me["email"])
    if not me["avatar"]:
        face = await player.ask("POST", "/api/file/upload", files={"file": ("face.png", paint_face(stage, person))})
        await player.post("/api/user/set-profile", avatar=face["url"], bio=person.bio)
    stage.players[person.key] = player


async def register(stage: Stage, visitor: FrontEnd, person: Person, password: str) -> str:
    """The token; "" if there is such a phone already."""
    details = {"phone": stage.draw.phone(person), "password": password, "nickname": person.nickname}
    try:
        answer = await visitor.post("/api/v1/user/register", **details)
    except Refused as refusal:
        if refusal.code == TAKEN:
            return ""
        raise
    stage.added["people"] += 1
    return str(answer["token"])


async def log_in(stage: Stage, visitor: FrontEnd, person: Person, password: str) -> str:
    try:
        answer = await visitor.post("/api/v1/user/login", phone=stage.draw.phone(person), password=password)
    except Refused as refusal:
        if refusal.code == WRONG_PASSWORD:
            raise DemoError(
                "this demo is there already, with another password. Give it (--password), or make another (--seed 2)"
            ) from None
        raise
    return str(answer["token"])


async def bind_email(stage: Stage, player: Player, password: str, mails: Path) -> None:
    address, asked_at = stage.draw.email(player.person), time.time_ns()
    await player.post("/api/login/send-code", email=address)
    code = await wait_for_code(mails, address, asked_at)
    if not code:
        raise DemoError(f"no mail to {address} came to {mails}. Is HITOK_VAR that of the running hitok?")
    await player.post("/api/user/bind-email", email=address, code=code, password=password)
    player.has_email = True


async def wait_for_code(mails: Path, address: str, asked_at: int) -> str:
    """Mailed since `asked_at` (Unix ns); "" if none came."""
    ends = time.monotonic() + MAIL_SECONDS
    while time.monotonic() < ends:
        if code := await asyncio.to_thread(find_code, mails, address, asked_at):
            return code
        await asyncio.sleep(0.1)
    return ""


def find_code(mails: Path, address: str, asked_at: int) -> str:
    for path in mails.glob("*.eml"):
        if int(path.name.partition("-")[0]) < asked_at:  # it begins with the time of writing
            continue
        mail: Any = message_from_bytes(path.read_bytes(), policy=default)
        if mail["To"] == address and (found := re.search(r"\b\d{6}\b", mail.get_content())):
            return found.group()
    return ""


def paint_face(stage: Stage, person: Person) -> bytes:
    """No likeness: two colours, two eyes and a smile."""
    draw = stage.draw.random("face", person.key)
    light, warm, _, dark, fresh = draw.choice(PALETTES)
    picture = Image.new("RGB", (FACE, FACE))
    paint_sky(picture, draw.choice((warm, fresh)), light)
    pen = ImageDraw.Draw(picture)
    draw_disc(pen, FACE / 2, FACE / 2, FACE * 0.36, mix(light, (255, 255, 255), 0.5))
    apart, height = draw.uniform(0.1, 0.16) * FACE, draw.uniform(0.4, 0.48) * FACE
    for side in (-1, 1):
        draw_disc(pen, FACE / 2 + side * apart, height, FACE * 0.035, dark)
    pen.arc((FACE * 0.36, FACE * 0.42, FACE * 0.64, FACE * 0.68), 20, 160, fill=dark, width=8)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
