"""`make screenshots`: the pictures of the READMEs, in docs/images, of a hitok filled with the demo.

They need Chromium. The font for the Chinese in them comes from Debian's archive, for this run alone.
"""

import asyncio
import io
import os
import subprocess
import sys
from pathlib import Path

import httpx
from PIL import Image

from deploy.demo.story import SeededChoices, read_story
from deploy.frontend import FrontEnd
from tests.e2e.everything import everything
from tests.gateway.web.axe import set_colours
from tests.gateway.web.page import Page
from tests.support.browser import CHROMIUM, running_tab
from tests.support.servers import temporary_folder

FOLDER = Path(__file__).parents[2] / "docs/images"
PASSWORD = "correct horse"
PICTURES_SHOWN = """[...it.querySelectorAll("img")].every((img) =>
    img.complete || img.getBoundingClientRect().top > innerHeight)"""
FONT = "fonts-wqy-microhei"
PHONE, DESK, PAGE = (390, 780), (1280, 760), (1280, 1250)
GAP = 24


def main() -> int:
    if not CHROMIUM:
        print("error: no Chromium is installed: apt-get install chromium", file=sys.stderr)
        return 2
    with temporary_folder() as folder, everything(folder / "var") as running:
        fetch_font(folder)
        environ = os.environ | {"HITOK_VAR": str(running.var)}
        run(environ, "deploy.demo", "--password", PASSWORD, "--seconds", "6")
        run(environ, "deploy.local", "user", "make-super-admin", "mira@example.com")
        asyncio.run(take(running.urls[0]))
    print(*sorted(FOLDER.glob("*.jpg")), sep="\n")
    return 0


def fetch_font(folder: Path) -> None:
    """For the browsers that this process starts. Without any such font they show Chinese as boxes."""
    try:
        for command in (["apt-get", "download", "-qq", FONT], ["sh", "-c", f"dpkg-deb -x {FONT}_*.deb ."]):
            subprocess.run(command, cwd=folder, check=True, timeout=120, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"warning: {FONT} cannot be fetched ({error}); Chinese may be shown as boxes", file=sys.stderr)
    os.environ["XDG_DATA_HOME"] = str(folder / "usr/share")  # fontconfig looks for fonts there


def run(environ: dict[str, str], *command: str) -> None:
    subprocess.run([sys.executable, "-m", *command], env=environ, check=True, timeout=600)


async def take(base: str) -> None:
    phones = {person.key: SeededChoices(1).phone(person) for person in read_story().people}
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=60) as http:
        login = await FrontEnd(http).post("/api/v1/user/login", phone=phones["odd"], password=PASSWORD)
        odd = FrontEnd(http, login["token"])
        shown = {each["title"]: each for each in (await odd.get("/api/videos", page_size=50))["data"]}
        note = {"reason": "spam", "note": "The same film three times in a day"}
        await odd.post("/api/report/create-report", kind="video", id=shown["A small solar system"]["id"], **note)
    async with running_tab() as tab:
        page = Page(tab, base + "/")
        await page.start()
        await page.click("Phone")
        await sign_in(page, phone=phones["tomas"])
        await take_app(page, shown["My grandmother's floor, if it danced"]["id"])
    async with running_tab() as tab:
        page = Page(tab, base + "/console")
        await page.start()
        await sign_in(page, email="mira@example.com")
        await take_desk(page)


async def sign_in(page: Page, **names: str) -> None:
    await page.write(**names, password=PASSWORD)
    await page.click("Sign in", "form")
    await page.present("#nav:not([hidden]) a")


async def take_app(page: Page, video_id: str) -> None:
    """Three views side by side, as on a phone."""
    await page.size(*PHONE)
    pictures = []
    for scheme, hash, present in (
        ("dark", f"#/v/{video_id}", "video"),
        ("light", "#/chats", ".conversation a"),
        ("light", "#/me", ".grid img"),
    ):
        await set_colours(page.tab, scheme)
        await page.go(hash)
        await page.present(present, "it.tagName !== 'VIDEO' || it.currentTime > 0.5")
        if hash == "#/chats":
            await page.click_containing("Inés Duarte", ".conversation a")
            await page.see("Still cheating", ".bubble")
        await page.present("body", PICTURES_SHOWN)
        pictures.append(Image.open(io.BytesIO(await page.picture())))
    width, height = PHONE
    whole = Image.new("RGB", (3 * width + 2 * GAP, height), "white")
    for number, picture in enumerate(pictures):
        whole.paste(picture, (number * (width + GAP), 0))
    whole.save(FOLDER / "web-app.jpg", quality=85)


async def take_desk(page: Page) -> None:
    await page.size(*DESK)
    await page.press(".cases a")
    await page.see("What the first reporter saw")
    await save(page, "console.jpg")
    await page.size(*PAGE)
    await page.visit(page.base.removesuffix("console") + "docs")
    await page.see("Reports and moderation")
    await save(page, "api-page.jpg")


async def save(page: Page, name: str) -> None:
    await page.present("body", PICTURES_SHOWN)
    Image.open(io.BytesIO(await page.picture())).convert("RGB").save(FOLDER / name, quality=85)


if __name__ == "__main__":
    sys.exit(main())
