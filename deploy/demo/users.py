"""Registers the users by phone, with an avatar and a bio; some can log in by email, too."""

import asyncio
import io
import re
import time
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from deploy.demo.demo_run import DemoError, DemoRun, DemoUser
from deploy.demo.scenes import PALETTES, draw_disc, mix, paint_sky
from deploy.demo.story import Person
from deploy.frontend import FrontEnd, Refused

TAKEN, WRONG_PASSWORD = 100005, 100007
MAIL_SECONDS = 5.0
FACE = 256


async def register_users(run: DemoRun, visitor: FrontEnd, password: str, mails: Path | None) -> None:
    """`mails` is the folder to which hitok writes mails; without one no user gets an email address."""
    await run.for_each("people", lambda person: enter_user(run, visitor, person, password), run.story.people)
    if mails:
        named = [user for user in run.users.values() if user.person.email and not user.has_email]
        for user in named:  # one by one: the gateway limits the codes of one visitor
            await bind_email(run, user, password, mails)


async def enter_user(run: DemoRun, visitor: FrontEnd, person: Person, password: str) -> None:
    token = await register(run, visitor, person, password) or await log_in(run, visitor, person, password)
    user = DemoUser(visitor.http, token)
    user.person = person
    me = await user.get("/api/user/get-my-info")
    user.id, user.username, user.has_email = me["id"], me["username"], bool(me["email"])
    if not me["avatar"]:
        face = await user.ask("POST", "/api/file/upload", files={"file": ("face.png", paint_face(run, person))})
        await user.post("/api/user/set-profile", avatar=face["url"], bio=person.bio)
    run.users[person.key] = user


async def register(run: DemoRun, visitor: FrontEnd, person: Person, password: str) -> str:
    """Returns the token; "" if the phone is registered already."""
    details = {"phone": run.choices.phone(person), "password": password, "nickname": person.nickname}
    try:
        answer = await visitor.post("/api/v1/user/register", **details)
    except Refused as refusal:
        if refusal.code == TAKEN:
            return ""
        raise
    run.added["people"] += 1
    return str(answer["token"])


async def log_in(run: DemoRun, visitor: FrontEnd, person: Person, password: str) -> str:
    try:
        answer = await visitor.post("/api/v1/user/login", phone=run.choices.phone(person), password=password)
    except Refused as refusal:
        if refusal.code == WRONG_PASSWORD:
            raise DemoError(
                "the demo exists already, with another password. Give that one (--password), or make another (--seed 2)"
            ) from None
        raise
    return str(answer["token"])


async def bind_email(run: DemoRun, user: DemoUser, password: str, mails: Path) -> None:
    address, asked_at = run.choices.email(user.person), time.time_ns()
    await user.post("/api/login/send-code", email=address)
    code = await wait_for_code(mails, address, asked_at)
    if not code:
        raise DemoError(f"no mail to {address} came to {mails}. Is HITOK_VAR that of the running hitok?")
    await user.post("/api/user/bind-email", email=address, code=code, password=password)
    user.has_email = True


async def wait_for_code(mails: Path, address: str, asked_at: int) -> str:
    """Returns the code mailed since `asked_at` (Unix ns); "" if none came."""
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


def paint_face(run: DemoRun, person: Person) -> bytes:
    """Two colours, two eyes and a smile."""
    draw = run.choices.random("face", person.key)
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
