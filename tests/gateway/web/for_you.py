"""The feed made for a person, in the web app: why a video is there, what they keep out, and a new beginning."""

import httpx

from deploy.frontend import FrontEnd
from tests.gateway.web.axe import serious_faults
from tests.gateway.web.page import Page
from tests.gateway.web.settings import forget_toasts
from tests.support.user import PASSWORD


async def check_for_you(page: Page, author_phone: str, author_name: str) -> None:
    title = f"#pattern of {author_name}"
    async with httpx.AsyncClient(base_url=page.base, trust_env=False) as http:
        login = await FrontEnd(http).post("/api/v1/user/login", phone=author_phone, password=PASSWORD)
        author = FrontEnd(http, login["token"])
        await author.post("/api/videos/create-video", video_path="https://example.com/v.mp4", title=title)
    card = f'article[aria-label="{title}"]'
    await page.go("#/feed/for-you")
    await page.press(f"{card} [name=why]")
    await page.present("dialog .why", "it.innerText.length > 10")
    await page.press("dialog summary")
    await page.see("How new it is", "dialog")
    assert await serious_faults(page.tab) == []
    await page.press("dialog [name=less-author]")
    await page.see("You will see less of this", "#toasts")
    await page.present("main", f"!it.querySelector('{card}')")
    await page.go("#/for-you")
    await page.see(author_name, ".kept-out")
    await page.press("[name=allow]")
    await page.present(".kept-out", "!it.childElementCount")
    await forget_toasts(page)
    await page.press("[name=chronological]")
    await page.see("Saved", "#toasts")
    await page.go("#/feed/for-you")
    await page.press(f"{card} [name=why]")
    await page.press("dialog header button")
    await page.go("#/for-you")
    await page.present("[name=chronological]", "it.checked")
    await page.see("You keep nothing out")
    await page.tab.run("window.confirm = () => true")
    await page.press("[name=reset-for-you]")
    await page.see("Your feed begins anew", "#toasts")
