"""What a person sets for themselves, on the web app's pages for it."""

import io
import json
import zipfile

import httpx
import pyotp

from tests.gateway.web.axe import serious_faults
from tests.gateway.web.page import Page
from tests.support.chat import until
from tests.support.user import PASSWORD

WORD = "spoilers"


async def check_saved(page: Page, name: str, value: str) -> None:
    """Chooses it, and sees it again when the page is read anew."""
    chosen = f"document.querySelector('[name={name}]')"
    await page.present(f"[name={name}]")
    await forget_toasts(page)
    await page.tab.run(f"{chosen}.value = '{value}'; {chosen}.dispatchEvent(new Event('change'))")
    await page.see("Saved", "#toasts")
    await page.go("#/settings")
    await page.go("#/privacy")
    await page.present(f"[name={name}]", f"it.value === '{value}'")


async def forget_toasts(page: Page) -> None:
    """So that the next one is seen, and not one from before."""
    await page.tab.run("document.querySelector('#toasts').replaceChildren()")


async def check_privacy(page: Page) -> None:
    await page.go("#/privacy")
    await page.present("[name=searchable_by_phone]", "!it.checked")
    await check_saved(page, "who_sees_presence", "nobody")
    await check_saved(page, "who_may_add", "ask")
    await forget_toasts(page)
    await page.press("[name=searchable_by_phone]")
    await page.see("Saved", "#toasts")
    await page.reload()
    await page.present("[name=searchable_by_phone]", "it.checked")
    await page.present("[name=who_sees_presence]", "it.value === 'nobody'")


async def check_mutes(page: Page, other_id: str, other_name: str) -> None:
    """Of a word, and of a user, who is blocked and unblocked, too."""
    await page.go(f"#/u/{other_id}")
    await page.press("[name=mute]")
    await page.see("Muted", "#toasts")
    await page.tab.run("window.confirm = () => true")
    await page.click("Block", "main")
    await page.see("Blocked", "#toasts")
    await page.go("#/muted")
    await page.write(word=WORD)
    await page.press("[name=mute-word]")
    await page.see(WORD, ".words")
    assert await serious_faults(page.tab) == []
    await page.see(other_name, ".rows")
    for name in ("unmute", "unblock", "unmute-word"):
        await page.press(f".rows [name={name}]")
        await page.present("main", f"!it.querySelector('.rows [name={name}]')")
    await page.reload()
    await page.see("You have blocked nobody")
    await page.see("You have muted nobody")
    await page.present(".words", "!it.childElementCount")


async def turn_on_second_factor(page: Page) -> list[str]:
    """The recovery codes."""
    await page.go("#/security")
    await page.see("You sign in by password alone")
    await page.write(password="not the right one")
    await page.press("[name=begin-second]")
    await page.see("Wrong email or password", ".problem")
    await page.write(password=PASSWORD)
    await page.press("[name=begin-second]")
    await page.present("svg.qr")
    assert await serious_faults(page.tab) == []
    (secret,) = await page.texts(".secret")
    await page.write(second_code=pyotp.TOTP(secret).now())
    await page.press("[name=turn-on-second]")
    await page.present(".codes li")
    codes = await page.texts(".codes li")
    await page.press("[name=codes-kept]")
    await page.see("Recovery codes left: 10")
    return codes


async def turn_off_second_factor(page: Page, code: str) -> None:
    await page.go("#/settings")
    await page.go("#/security")
    await page.present("[name=turn-off-second]")
    await page.tab.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    form = "document.querySelector('[name=turn-off-second]').form"
    await page.tab.run(f"{form}.elements.password.value = '{PASSWORD}'; {form}.elements.second_code.value = '{code}'")
    await page.press("[name=turn-off-second]")
    await page.present("[name=begin-second]")


async def check_sessions(page: Page, login: dict[str, str]) -> None:
    """One that began elsewhere ends here. `login`: phone and password."""
    async with httpx.AsyncClient(base_url=page.base, trust_env=False) as http:
        answers = [(await http.post("/api/v1/user/login", json=login)).json()["data"]["token"] for _ in range(2)]

        async def statuses() -> list[int]:
            asked = [
                await http.get("/api/user/get-my-info", headers={"authorization": f"Bearer {token}"})
                for token in answers
            ]
            return [each.status_code for each in asked]

        await page.go("#/sessions")
        await page.see("this device", ".rows")
        await page.present("[name=end-session]")
        assert await serious_faults(page.tab) == []
        await page.press("[name=end-session]")
        await page.present("main", "it.querySelectorAll('[name=end-session]').length === 1")
        assert sorted(await statuses()) == [200, 401]
        await page.press("[name=end-others]")
        await page.see("All other devices are signed out", "#toasts")

        async def ended() -> bool:
            return await statuses() == [401, 401]

        await until(ended)  # the gateway hears of it by an event


async def check_export(page: Page) -> None:
    """The account has no email, so the page has the link."""
    await page.go("#/data")
    await page.present("[name=export]")
    await page.tab.run(f"document.querySelector('[name=export]').form.elements.password.value = '{PASSWORD}'")
    await page.press("[name=export]")
    await page.present("main a.primary")
    assert await serious_faults(page.tab) == []
    link = await page.tab.run("document.querySelector('main a.primary').href")
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        archive = (await http.get(link)).content
    assert zipfile.ZipFile(io.BytesIO(archive)).testzip() is None


async def delete_account(page: Page) -> None:
    await page.go("#/settings")
    await page.go("#/data")
    await page.tab.run("window.confirm = () => true")
    await page.present("[name=delete-account]")
    await page.tab.run(f"document.querySelector('[name=delete-account]').form.elements.password.value = '{PASSWORD}'")
    await page.press("[name=delete-account]")
    await page.present(".sign")
    assert await page.tab.run("document.querySelector('#nav').hidden && !document.cookie")


async def check_marks(page: Page, other: Page, other_name: str, text: str) -> None:
    """Pins, mutes, hides and deletes the conversation that is shown; `other`, in it, writes meanwhile."""
    await mark(page, "pin")
    await mark(page, "mute-hour")
    await page.press("[name=marks]")
    await page.see("Muted until", "dialog")
    assert await serious_faults(page.tab) == []
    await page.press("dialog header button")
    await mark(page, "hide")
    await page.see("Hidden conversations: 1")
    await page.present(".rows", f"!it.innerText.includes('{other_name}')")
    await page.click("Hidden conversations: 1")
    await page.see(other_name, ".rows")
    assert await serious_faults(page.tab) == []
    await page.go("#/chats")
    await other.write(message=text)
    await other.press_enter("message")
    await page.see(text, ".conversation")
    for label in ("Pinned", "Muted"):
        await page.present(f".conversation [aria-label={label}]")
    assert await page.tab.run("!document.querySelector('#nav [data-nav=chats] .badge')"), "muted ones are not counted"
    await page.reload()
    await page.present(".conversation [aria-label=Pinned]")
    await page.press(".conversation a")
    await page.see(text, ".bubble")
    await mark(page, "unmute")
    await page.tab.run("window.confirm = () => true")
    await mark(page, "delete")
    await page.see("No conversations yet")
    await other.write(message=text + " again")
    await other.press_enter("message")
    await page.see(text + " again", ".conversation")
    await page.press(".conversation a")
    await page.see(text + " again", ".bubble")
    assert await page.texts(".bubble .text") == [text + " again"]


async def mark(page: Page, name: str) -> None:
    await page.press("[name=marks]")
    await page.press(f"dialog [name={name}]")
    await page.present("body", "!it.querySelector('dialog')")


async def check_pushes(page: Page) -> None:
    """What the service worker shows of a push. No push service is in reach, so Chromium itself hands it over."""
    await page.tab.ask("Browser.grantPermissions", permissions=["notifications"])
    await page.tab.ask("ServiceWorker.enable")
    await page.go("#/pushes")
    await page.present("[name=push]", "!it.checked")
    await forget_toasts(page)  # the one of before fades
    assert await serious_faults(page.tab) == []
    for name in ("content", "push-likes"):
        await forget_toasts(page)
        await page.press(f"[name={name}]")
        await page.see("Saved", "#toasts")
    shown = """(async () => {
      const { registered } = await import("/web/push.mjs");
      const registration = await registered();
      while (registration.active?.state !== "activated") await new Promise((done) => setTimeout(done, 20));
      globalThis.shown = async () =>
        (await registration.getNotifications()).map(({ title, body, data }) => ({ title, body, data }));
    })()"""
    await page.tab.run(shown)

    async def registered() -> bool:
        return bool(page.tab.workers)

    await until(registered)
    ((registration, scope),) = page.tab.workers.items()
    data = {"type": "message", "conversation_id": "7101", "seq": 2, "count": 2, "badge": 2}
    for told in ({"body": "New message", "data": data | {"count": 1}}, {"body": "2 new messages", "data": data}):
        pushed = json.dumps({"title": "hitok", "badge": 2, "tag": "same", **told})
        origin = scope.removesuffix("/web/")
        await page.tab.ask("ServiceWorker.deliverPushMessage", origin=origin, registrationId=registration, data=pushed)

    async def shows() -> bool:
        found = await page.tab.run("shown()")
        return bool(found == [{"title": "hitok", "body": "2 new messages", "data": data}])

    await until(shows)
    await page.reload()
    await page.present("[name=content]", "it.checked")
    await page.present("[name=push-comments]", "it.checked")
    await page.present("[name=push-likes]", "!it.checked")
