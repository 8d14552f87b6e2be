"""The web app in two real browsers, before a hitok that runs as `make run` starts it."""

import asyncio
import os
import random
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from deploy.frontend import FrontEnd
from tests.e2e.everything import Everything, everything
from tests.gateway.web import docs_page, settings
from tests.gateway.web.axe import serious_faults, set_colours
from tests.gateway.web.console import (
    grant_appeal,
    hide_reported_video,
    look_around,
    new_moderator,
    object_to,
    report_video,
    sign_in_to_console,
)
from tests.gateway.web.follows import check_follows, check_found, check_unseen, remove_follower
from tests.gateway.web.for_you import check_for_you
from tests.gateway.web.page import Page
from tests.support.browser import needs_chromium, running_tab
from tests.support.media import video
from tests.support.proxy import Proxy, proxy_to
from tests.support.servers import temporary_folder
from tests.support.user import PASSWORD, mailed_code, new_name, new_phone

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def running() -> Iterator[Everything]:
    with temporary_folder() as folder, everything(folder / "var", HITOK_STRANGERS="true") as running:
        yield running


@dataclass(slots=True)
class Two:
    """Anna, who has an email, and Ben, who has a phone; `network` is between Ben and the gateway."""

    anna: Page
    ben: Page
    network: Proxy
    var: Path
    anna_name: str
    ben_name: str


@pytest.fixture
async def two(running: Everything) -> AsyncIterator[Two]:
    port = int(running.urls[0].rpartition(":")[2])
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(proxy_to(port, random.Random(1)))
        anna_tab, ben_tab = await asyncio.gather(
            stack.enter_async_context(running_tab()), stack.enter_async_context(running_tab())
        )
        anna, ben = Page(anna_tab, running.urls[0] + "/"), Page(ben_tab, f"http://127.0.0.1:{network.port}/")
        await asyncio.gather(anna.start(), ben.start())
        yield Two(anna, ben, network, running.var, new_name(), new_name())
        assert await anna.faults() == await ben.faults() == []


async def sign_up_by_email(page: Page, name: str, var: Path) -> None:
    await page.click("Sign up")
    await page.write(email=f"{name}@example.com", username=name, password=PASSWORD)
    await page.click("Send code")
    await page.see("a code is on its way")
    await page.write(code=mailed_code(var, f"{name}@example.com"))
    await page.click("Sign up", "form")
    await page.present("#nav:not([hidden]) a")


async def sign_up_by_phone(page: Page, name: str) -> str:
    phone = new_phone()
    await page.click("Sign up")
    await page.click("Phone")
    await page.write(phone=phone, username=name, password=PASSWORD)
    await page.click("Sign up", "form")
    await page.present("#nav:not([hidden]) a")
    return phone


async def publish(page: Page, file: Path, title: str) -> None:
    """Returns when the page says that it plays."""
    await page.go("#/upload")
    await page.choose_file("input[type=file]", file)
    await page.write(title=title)
    await page.click("Upload and publish")
    await page.see("It plays.")


async def check_plays(page: Page, title: str) -> None:
    video = f'article[aria-label="{title}"] video'
    await page.present(video, "it.currentTime > 0.3 && !it.paused")


async def test_two_people_meet(two: Two, tmp_path: Path) -> None:
    anna, ben = two.anna, two.ben
    _, phone = await asyncio.gather(sign_up_by_email(anna, two.anna_name, two.var), sign_up_by_phone(ben, two.ben_name))
    film = tmp_path / "film.mp4"
    film.write_bytes(video(seconds=3))
    await publish(anna, film, "A turning pattern")
    await anna.click("Watch")
    await check_plays(anna, "A turning pattern")

    await ben.go("#/feed/latest")
    await check_plays(ben, "A turning pattern")
    await ben.click("Like")
    await ben.present("button.like", "it.getAttribute('aria-pressed') === 'true' && it.innerText === '1'")
    await ben.click("Comments")
    await ben.write(text="<b>Nice</b> 好看")
    await ben.press_enter("text")
    await ben.see("<b>Nice</b> 好看", ".comment")
    await anna.click("Comments")
    await anna.see("<b>Nice</b> 好看", ".comment")
    await anna.click("Reply")
    await anna.write(text="Thank you")
    await anna.press_enter("text")
    await anna.see("Thank you", ".replies")

    await check_comments_by_keyboard(anna)
    await check_message_request(two, 'article[aria-label="A turning pattern"] a.user')

    await ben.go("#/friends")
    await ben.write(words=two.anna_name)
    await ben.click("Search")
    await ben.click("Add friend")
    await ben.see("Request sent")
    await anna.go("#/friends")
    await anna.see(two.ben_name)
    await anna.click("Accept")
    await anna.see(two.ben_name, "main")
    await anna.present("main", "!it.innerText.includes('Requests to you')")

    await check_chat(two)
    await check_nothing_is_lost(two)
    await check_groups(two)
    await check_an_upload_goes_on(two, tmp_path)
    group, chat = await anna.tab.run(GROUP_HREF), await ben.tab.run(CHAT_HREF)
    await check_accessible(anna, "#/", "#/friends", "#/upload", "#/chats", "#/groups", "#/notifications", "#/me", group)
    await check_accessible(ben, chat)
    await check_report(two)
    await check_signing_out(two, phone)


async def test_what_people_set_for_themselves(two: Two) -> None:
    """Privacy, mutes, sessions, a second factor, a conversation's marks, a copy of the data, the account's end."""
    anna, ben = two.anna, two.ben
    phone, ben_phone = await asyncio.gather(sign_up_by_phone(anna, two.anna_name), sign_up_by_phone(ben, two.ben_name))
    anna_id, ben_id = [await page.tab.run(MY_ID) for page in (anna, ben)]
    await settings.check_privacy(anna)
    await check_for_you(anna, ben_phone, two.ben_name)
    await settings.check_pushes(anna)
    await settings.check_mutes(anna, ben_id, two.ben_name)
    await settings.check_sessions(anna, {"phone": phone, "password": PASSWORD})
    codes = await settings.turn_on_second_factor(anna)
    await settings.turn_off_second_factor(anna, codes[0])
    await ben.go(f"#/chat/with/{anna_id}")
    await ben.write(message="Hello")
    await ben.press_enter("message")
    await ben.see("Hello", ".bubble.mine:not(.waiting)")
    await anna.go("#/chats")
    await anna.press(".conversation a")
    await anna.click("Accept", ".asked")
    await anna.present(".asked", "it.hidden")
    await settings.check_marks(anna, ben, two.ben_name, "Still there?")
    await check_accessible(
        anna, "#/settings", "#/privacy", "#/for-you", "#/muted", "#/security", "#/sessions", "#/reports", "#/data"
    )
    await settings.check_export(ben)
    await settings.delete_account(ben)
    await check_ban(two, anna_id, phone)


async def check_ban(two: Two, anna_id: str, phone: str) -> None:
    """Who is banned is told so where they sign in, and asks another moderator there."""
    anna, boss_phone = two.anna, await new_moderator(two.anna.base, two.var)
    async with httpx.AsyncClient(base_url=anna.base, trust_env=False) as http:
        login = await FrontEnd(http).post("/api/v1/user/login", phone=boss_phone, password=PASSWORD)
        boss = FrontEnd(http, login["token"])
        await boss.post("/api/report/create-report", kind="user", id=anna_id, reason="spam")
        case = (await boss.get("/api/moderation/cases", owner_id=anna_id))["cases"][0]
        await boss.post("/api/moderation/decide-case", case_id=case["case_id"], verb="ban", note="")
        await anna.see("Your session has ended", "#toasts")
        await anna.click("Phone")
        await anna.write(phone=phone, password=PASSWORD)
        await anna.click("Sign in", "form")
        await anna.see("This account is banned", ".problem")
        await anna.press("[name=appeal]")
        await anna.write(text="It was not me")
        await anna.press("[name=send-appeal]")
        await anna.see("Another moderator will look at it", "#toasts")
        (appeal,) = [
            each for each in (await boss.get("/api/moderation/appeals"))["appeals"] if each["user_id"] == anna_id
        ]
    assert appeal["text"] == "It was not me"


MY_ID = "import('/web/session.mjs').then((session) => session.me.id)"


PUBLISH = """import("/web/api.mjs").then(async ({ post, get }) => {
    await post("/api/videos/create-video", { video_path: "https://example.com/v.mp4", title: "A kite #sky" });
    return (await get("/api/videos/user-videos", { page_size: 1 })).data[0].id;
})"""


async def test_what_owners_set_and_what_is_shared(two: Two) -> None:
    """An edited and a pinned comment, a pinned video, who may comment, a video in a message, saved, by its tag."""
    anna, ben = two.anna, two.ben
    await asyncio.gather(sign_up_by_phone(anna, two.anna_name), sign_up_by_phone(ben, two.ben_name))
    anna_id, ben_id = [await page.tab.run(MY_ID) for page in (anna, ben)]
    await check_follows(anna, ben, anna_id, ben_id)
    video = await anna.tab.run(PUBLISH)
    await check_unseen(ben, "A kite #sky")
    await remove_follower(anna)
    await check_found(ben, two.anna_name, "sky", video)
    await ben.click("Comments")
    await ben.write(text="frist")
    await ben.press_enter("text")
    await ben.press("[name=edit-comment]")
    await ben.write(edited="first")
    await ben.press_enter("edited")
    await ben.present(".comment", "it.innerText.includes('first') && it.innerText.includes('edited')")
    await ben.click("Close", "dialog")
    await anna.go(f"#/v/{video}")
    await anna.click("Comments")
    await anna.press("[name=pin-comment]")
    await anna.see("Pinned", ".comment")
    assert await serious_faults(anna.tab) == []
    await anna.click("Close", "dialog")
    await anna.click("Settings of the video")
    await anna.press("[name=pinned]")
    await anna.see("Saved", "#toasts")
    await anna.tab.run(CHOOSE_NOBODY)
    assert await serious_faults(anna.tab) == []
    await anna.go(f"#/u/{anna_id}")
    await anna.see("Pinned", ".grid")
    await ben.go(f"#/chat/with/{anna_id}")
    await ben.write(message="Look at this")
    await ben.press_enter("message")
    await ben.see("Look at this", ".bubble.mine:not(.waiting)")
    await ben.go("#/feed/tag/sky")
    await ben.click("Comments", f'[data-id="{video}"]')
    await ben.present("dialog [name=text]", "it.disabled")
    await ben.click("Close", "dialog")
    await ben.click("Save", f'[data-id="{video}"]')
    await ben.write(collection="Kites")
    await ben.press_enter("collection")
    await ben.see("Saved for you", "#toasts")
    await ben.click("Share", f'[data-id="{video}"]')
    await ben.click(two.anna_name, "dialog")
    await ben.go("#/saved")
    await ben.click("Kites (1)", ".tags")
    await ben.see("A kite", ".grid")
    assert await serious_faults(ben.tab) == []
    await anna.go("#/chats")
    await anna.press(".conversation a")
    await anna.see("A kite", ".bubble .shared")


CHOOSE_NOBODY = """(() => {
    const select = document.querySelector("[name=who_may_comment]");
    select.value = "nobody";
    select.dispatchEvent(new Event("change"));
    return awaited(() => document.querySelectorAll(".toast").length > 1, "a second toast").then(() => true);
})()"""


async def test_the_api_page(running: Everything) -> None:
    """With a token, each of its examples succeeds as it stands."""
    async with running_tab() as tab, httpx.AsyncClient(base_url=running.urls[0], trust_env=False, timeout=60) as http:
        page = Page(tab, running.urls[0] + "/")
        await page.start()
        await docs_page.try_each(page, await docs_page.a_moderator(http, running.var))
        assert await page.faults() == []


async def check_comments_by_keyboard(page: Page) -> None:
    """The dialog takes the focus, closes with Escape and gives the focus back; a link jumps over the navigation."""
    assert await serious_faults(page.tab) == []
    await page.key("Escape", 27)
    await page.present("body", "!it.querySelector('dialog')")
    await page.tab.run("document.querySelector('button.comments').focus()")
    await page.key("Enter", 13)
    await page.present("dialog", "it.contains(document.activeElement)")
    await page.key("Escape", 27)
    await page.present("body", "!it.querySelector('dialog')")
    assert await page.tab.run("document.activeElement.className") == "comments"
    await page.reload()
    await page.key("Tab", 9)
    assert await page.tab.run("document.activeElement.id") == "skip"
    await page.key("Enter", 13)
    assert await page.tab.run("document.activeElement.id") == "main"


ASKED = "May I write to you?"


async def check_message_request(two: Two, author: str) -> None:
    """From one who is no friend: Anna decides, and Ben hears of it by nothing."""
    anna, ben = two.anna, two.ben
    await ben.go("#/feed/latest")
    await ben.press(author)
    await ben.click("Message", "main")
    await ben.write(message=ASKED)
    await ben.press_enter("message")
    await ben.see(ASKED, ".bubble.mine:not(.waiting)")
    await anna.go("#/chats")
    await anna.see("Message requests")
    await anna.press(".conversation a")
    await anna.see(f"{two.ben_name} wants to write to you", ".asked")
    assert await serious_faults(anna.tab) == []
    await anna.see(ASKED, ".bubble")
    await ben.see("Sent", ".bubble.mine")
    await anna.click("Accept", ".asked")
    await anna.present(".asked", "it.hidden")
    await ben.see("Read", ".bubble.mine")


async def said(page: Page) -> list[str]:
    """The messages on the page, in their order."""
    return await page.texts(".bubble .text")


async def check_chat(two: Two) -> None:
    anna, ben = two.anna, two.ben
    await anna.click("Message", "main")
    await anna.write(message="Hello Ben")
    await anna.press_enter("message")
    await anna.see("Hello Ben", ".bubble.mine:not(.waiting)")
    await ben.present("#nav a[data-nav=chats] .badge", "it.innerText === '1'")
    await ben.go("#/chats")
    await ben.press(".conversation a")
    await ben.see("Hello Ben", ".bubble")
    await anna.see("Read", ".bubble.mine")
    await ben.write(message="Hello Anna")
    await anna.see(f"{two.ben_name} is typing", ".doing")
    await ben.press_enter("message")
    await anna.see("Hello Anna", ".bubble:not(.mine)")
    await ben.see("Read", ".bubble.mine")
    assert await said(anna) == await said(ben) == [ASKED, "Hello Ben", "Hello Anna"]
    await ben.click("React", ".bubble:not(.mine)")
    await ben.press("dialog [data-emoji='❤️']")
    await anna.see("❤️ 1", ".reactions")
    await ben.present(".reactions button", "it.getAttribute('aria-pressed') === 'true'")
    await anna.click("Pin", ".bubble.mine")
    await ben.see("1 pinned", ".pins")
    await ben.press(".pins button")
    await ben.see("Hello Ben", "dialog")
    await ben.click("Close", "dialog")
    await ben.go("#/chats")
    await ben.write(messages="hello ANN")
    await ben.press_enter("messages")
    await ben.see("Hello Anna", ".found")
    await search_by_sender(ben, two.anna_name, "Hello")
    await ben.see("Hello Ben", ".found")
    await ben.present(".found", "!it.innerText.includes('Hello Anna')")
    assert await serious_faults(ben.tab) == []
    await search_by_sender(ben, "By me", "hello ANN")
    await ben.see("Hello Anna", ".found")
    await ben.press(".found a")
    await ben.see("Hello Anna", ".bubble.mine")


async def search_by_sender(page: Page, name: str, words: str) -> None:
    """In one's messages, of today."""
    await page.tab.run("document.querySelector('details:has([name=sender])').open = true")
    await page.present("[name=sender] option", f"it.innerText === '{name}'")
    await page.write(messages=words)
    await page.tab.run(f"""(() => {{
        const today = new Date(), day = new Date(today - today.getTimezoneOffset() * 60000).toISOString().slice(0, 10);
        for (const name of ["since", "until"]) document.querySelector(`[name=${{name}}]`).value = day;
        const sender = document.querySelector("[name=sender]");
        sender.value = [...sender.options].find((each) => each.innerText === "{name}").value;
        sender.dispatchEvent(new Event("change"));
    }})()""")


async def check_nothing_is_lost(two: Two) -> None:
    """Through a lost connection, and a reload while messages wait to be sent."""
    anna, ben = two.anna, two.ben
    two.network.away = True
    two.network.cut()
    await ben.see("No connection", "#connection")
    for text in ("one", "two"):
        await ben.write(message=text)
        await ben.press_enter("message")
    await ben.see("Waiting to be sent", ".waiting")
    await anna.write(message="three")
    await anna.press_enter("message")
    await anna.see("three", ".bubble.mine:not(.waiting)")
    two.network.away = False
    await ben.tab.run("dispatchEvent(new Event('online'))")
    await ben.see("three", ".bubble")
    await ben.present(".messages", "it.innerText.includes('two') && !it.querySelector('.waiting')")
    whole = [ASKED, "Hello Ben", "Hello Anna", "three", "one", "two"]
    await anna.see("two", ".bubble:not(.mine)")
    assert await said(anna) == await said(ben) == whole

    two.network.away = True
    two.network.cut()
    await ben.write(message="four")
    await ben.press_enter("message")
    await ben.see("Waiting to be sent", ".waiting")
    two.network.away = False
    await asyncio.gather(ben.reload(), anna.reload())
    for page in (anna, ben):
        await page.present(".messages", "it.innerText.includes('four') && !it.querySelector('.waiting')")
        assert await said(page) == [*whole, "four"]


async def check_groups(two: Two) -> None:
    """One that needs approval: applied to, admitted, written to by both."""
    anna, ben, name = two.anna, two.ben, f"Hikers {new_name()}"
    await anna.go("#/groups")
    await anna.write(name=name)
    await anna.press("[name=approval]")
    await anna.click("Create a group", "form")
    await anna.see(name, ".rows")
    await ben.go("#/groups")
    await ben.write(words=name)
    await ben.click("Search")
    await ben.click("Apply")
    await ben.see("Application sent")
    await anna.click(f"{two.ben_name} wants to join {name}", "#toasts")
    await anna.click("Accept")
    await anna.present("main", "!it.querySelector('[name=accept]')")
    await anna.go("#/groups")
    await anna.press(".rows a")
    await anna.see("Members: 2")
    await anna.click("Message", "main")
    await anna.write(message="Where to?")
    await anna.press_enter("message")
    await anna.see("Where to?", ".bubble.mine:not(.waiting)")
    await ben.go("#/chats")
    await ben.press(".conversation a")
    await ben.see("Where to?", ".bubble")
    await ben.write(message="Up")
    await ben.press_enter("message")
    await anna.see("Up", ".bubble:not(.mine)")
    await anna.see("Read by 1", ".bubble.mine")


KEEP_SAID = """window.said = [], window.watched = document.querySelector(".status");
    new MutationObserver(() => window.said.push(window.watched.textContent))
        .observe(window.watched, {childList: true, characterData: true, subtree: true})"""


async def check_an_upload_goes_on(two: Two, folder: Path) -> None:
    """After the network was away in the middle, from where it was."""
    ben, title, size = two.ben, f"A long one {new_name()}", 6 * 1024 * 1024
    film = folder / "long.mp4"
    film.write_bytes(video(seconds=2) + free_box(size))
    await ben.go("#/upload")
    await ben.choose_file("input[type=file]", film)
    await ben.write(title=title)
    await ben.tab.run(f"window.sent = 0; {COUNT_SENT}; {KEEP_SAID}")
    two.network.delay = 0.03
    await ben.click("Upload and publish")
    await ben.present("progress", "it.value > 0.2")
    two.network.away = True
    two.network.cut()
    await ben.see("Waiting for the network")
    two.network.away, two.network.delay = False, 0
    await ben.tab.run("dispatchEvent(new Event('online'))")
    await ben.see("It plays.")
    assert await ben.tab.run("window.sent") < 1.7 * size, "it began anew"
    assert await ben.tab.run("window.said.some((text) => /being processed: \\d+ %/.test(text))")
    await ben.click("Watch")
    await check_plays(ben, title)


def free_box(size: int) -> bytes:
    """Players skip it (ISO/IEC 14496-12, 8.1.2)."""
    return struct.pack(">I4s", size, b"free") + os.urandom(size - 8)


COUNT_SENT = """
const real = window.fetch;
window.fetch = (url, options) => {
    if (options?.method === "PATCH") window.sent += options.body.size;
    return real(url, options);
};
"""


GROUP_HREF = "location.hash.replace('chat', 'group')"
CHAT_HREF = "location.hash"


async def check_accessible(page: Page, *hashes: str) -> None:
    """Every control has a name, and axe finds nothing serious, in both colour schemes."""
    for hash in hashes:
        await page.go(hash)
        assert await page.unnamed() == [], hash
        await set_colours(page.tab, "dark")
        assert await serious_faults(page.tab) == [], hash
        await set_colours(page.tab, "light")
        assert await serious_faults(page.tab, "color-contrast") == [], hash


async def check_report(two: Two) -> None:
    """Ben reports Anna's video, a moderator hides it, and both hear of it."""
    anna, ben, title = two.anna, two.ben, "A turning pattern"
    phone = await new_moderator(anna.base, two.var)
    await report_video(ben, title)
    await sign_in_to_console(anna, anna.base, phone)
    await hide_reported_video(anna, title)
    await look_around(anna, two.anna_name)
    assert await anna.faults() == []
    await anna.visit(anna.base + "#/notifications")
    await object_to(anna, WHY)
    await ben.go("#/notifications")
    await ben.see("Your report was right", ".rows")
    await ben.go("#/feed/popular")
    await ben.present("article.video")
    assert await ben.tab.run(f"!document.querySelector('article[aria-label=\"{title}\"]')")
    await ben.visit(ben.base + "console")
    await ben.see("for moderators and admins")
    await ben.visit(ben.base)
    await ben.present("article.video")
    await anna.visit(anna.base.replace("127.0.0.1", "localhost") + "console")
    await grant_appeal(anna, WHY)
    assert await anna.faults() == []
    await anna.visit(anna.base)
    async with asyncio.timeout(30):  # the media service hears of it by an event
        while not await anna.tab.run(f"!!document.querySelector('article[aria-label=\"{title}\"]')"):
            await anna.reload()
            await anna.present("article.video")


WHY = "It turns once in four seconds"


# The chat begins anew when the user changed; the end of the former connection comes meanwhile and changes nothing.
WATCH_CHAT = """import("/web/chat.mjs").then(async (chat) => {
    await awaited(() => chat.state === "live", "a chat that is live");
    window.states = [];
    chat.chat.addEventListener("state", () => states.push(chat.state));
})"""
LIVE_AGAIN = """awaited(() => states.at(-1) === "live", "a chat that is live")
    .then(() => new Promise((wake) => setTimeout(wake, 500))).then(() => states)"""


async def check_signing_out(two: Two, phone: str) -> None:
    """What the page kept is gone with the session, and what the server has comes back; in Chinese this time."""
    ben = two.ben
    await ben.go("#/me")
    await ben.tab.run(WATCH_CHAT)
    await ben.write(bio="Up")
    await ben.click("Save")
    await ben.see("Saved")
    assert await ben.tab.run(LIVE_AGAIN) == ["off", "connecting", "live"]
    code, *_ = await settings.turn_on_second_factor(ben)
    await ben.go("#/me")
    await ben.click("Sign out")
    await ben.see("Forgot your password?")
    assert await ben.tab.run("document.querySelector('#nav').hidden && !document.cookie")
    await ben.tab.run("localStorage.setItem('hitok.language', '\"zh\"')")
    await ben.reload()
    await ben.click("手机号")
    await ben.write(phone=phone, password="not the right one")
    await ben.click("登录", "form")
    await ben.see("手机号或密码错误", ".problem")
    await ben.write(password=PASSWORD)
    await ben.click("登录", "form")
    await ben.see("请输入动态验证码", ".problem")
    await ben.write(second_code=code)
    await ben.click("登录", "form")
    await ben.present("#nav:not([hidden]) a")
    await ben.go("#/friends")
    await ben.see(two.anna_name, "main")
    await ben.go("#/chats")
    await ben.see("four", ".conversation")
