"""A person reports a video, and a moderator handles it in the console."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx

from tests.gateway.web.axe import serious_faults
from tests.gateway.web.page import Page
from tests.support.user import PASSWORD, new_name, new_phone


async def new_moderator(base: str, var: Path) -> str:
    """Their phone."""
    phone = new_phone()
    async with httpx.AsyncClient(base_url=base, trust_env=False) as http:
        body = {"phone": phone, "password": PASSWORD, "nickname": new_name()}
        (await http.post("/api/v1/user/register", json=body)).raise_for_status()
    await promote(phone, var)
    return phone


async def promote(name: str, var: Path) -> None:
    """Makes the account a super admin's. `name`: its email or phone."""
    environ = os.environ | {"HITOK_VAR": str(var)}
    command = [sys.executable, "-m", "deploy.local", "user", "make-super-admin", name]
    done = await asyncio.to_thread(subprocess.run, command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


async def report_video(page: Page, title: str) -> None:
    article = f'article[aria-label="{title}"]'
    await page.go("#/feed/latest")
    await page.press(f"{article} button.report")
    await page.write(note="It turns too fast")
    await page.tab.run("document.querySelector('dialog select').value = 'other'")
    assert await serious_faults(page.tab) == []
    await page.press("[name=send-report]")
    await page.see("Thank you", "#toasts")


async def sign_in_to_console(page: Page, base: str, phone: str) -> None:
    """By another name of the same machine, so that the cookies of the app in that browser stay."""
    await page.visit(base.replace("127.0.0.1", "localhost") + "console")
    await page.click("Phone")
    await page.write(phone=phone, password=PASSWORD)
    await page.click("Sign in", "form")
    await page.present("#nav:not([hidden]) a")


async def hide_reported_video(page: Page, title: str) -> None:
    await page.click_containing(title, ".cases a")
    await page.see("It turns too fast")
    await page.click("Claim for an hour")
    await page.see("claimed")
    assert await serious_faults(page.tab) == []
    await page.tab.run("document.querySelector('[name=verb]').value = 'hide'")
    await page.write(note="Too fast")
    await page.press("[name=decide]")
    await page.see("Nothing to do")


async def look_around(page: Page, name: str) -> None:
    """Each of the console's views, with something on it."""
    await page.go("#/status")
    await page.see("answers")
    await page.see("chat-notifications")
    await page.see("Processing of files")
    await page.go(f"#/users/{name}")
    await page.click_containing(name, ".rows a")
    await page.see("Hide", ".rows")
    await page.present("[name=end-session]")
    assert await serious_faults(page.tab) == []
    await page.go("#/audit")
    await page.see("hide", ".rows")
    assert await serious_faults(page.tab) == []


async def object_to(page: Page, why: str) -> None:
    """The person whose thing was hidden asks another moderator."""
    await page.see("A moderator decided", ".rows")
    await page.click_containing("A moderator decided", ".rows a")
    await page.see("Too fast", ".rows")
    assert await serious_faults(page.tab) == []
    await page.press("[name=appeal]")
    await page.write(text=why)
    await page.press("[name=send-appeal]")
    await page.see("Another moderator will look at it", ".rows")


async def grant_appeal(page: Page, why: str) -> None:
    """In the console, as a super admin: they may answer it although they decided."""
    await page.go("#/appeals")
    await page.see(why, ".appeals")
    assert await serious_faults(page.tab) == []
    await page.press("[name=open-answer]")
    await page.tab.run("document.querySelector('[name=granted]').value = 'true'")
    await page.write(answer="It does not")
    await page.press("[name=decide-appeal]")
    await page.present(".appeals", "!it.childElementCount")
    await page.go("#/appeals/decided")
    await page.see("It does not", ".appeals")
