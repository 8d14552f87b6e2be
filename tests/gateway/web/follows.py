"""Following in the web app: a private account and its requests, lists, an unseen count, and the end of a follower."""

from tests.gateway.web.axe import serious_faults
from tests.gateway.web.page import Page
from tests.gateway.web.settings import check_saved, forget_toasts
from tests.support.chat import until

COUNT = "#nav ~ main .tabs .badge"


async def check_follows(anna: Page, ben: Page, anna_id: str, ben_id: str) -> None:
    """Ben asks twice, is refused and then accepted, sees the count of Anna's new videos, and is removed."""
    await anna.go("#/privacy")
    await check_saved(anna, "who_may_follow", "ask")
    await ask_to_follow(ben, anna_id)
    await anna.press("#toasts a[href='#/follows/requests']")
    await anna.present(".tabs [aria-current] .badge", "it.innerText === '1'")
    assert await serious_faults(anna.tab) == []
    await anna.press(".rows [name=refuse]")
    await anna.present(".rows", "!it.childElementCount")
    await ben.go(f"#/follows/followers/{anna_id}")
    await ben.see("Only their followers see this list")
    await forget_toasts(anna)
    await ask_to_follow(ben, anna_id)
    await anna.go("#/me")
    await anna.go("#/follows/requests")
    await anna.press(".rows [name=accept]")
    await anna.present(".rows", "!it.childElementCount")
    await anna.go("#/follows/followers")
    await anna.present(".rows [name=follow]", "it.innerText === 'Follow'")
    await anna.press(".rows [name=follow]")
    await anna.present(".rows [name=follow]", "it.innerText === 'Following'")
    await anna.go(f"#/u/{ben_id}")
    await anna.see("you follow each other", ".numbers")
    await anna.see("1 followers", ".numbers")
    assert await serious_faults(anna.tab) == []


async def ask_to_follow(page: Page, user_id: str) -> None:
    await page.go("#/me")
    await page.go(f"#/u/{user_id}")
    await page.press("[name=follow]")
    await page.present("[name=follow]", "it.innerText === 'Requested'")


async def check_unseen(page: Page, title: str) -> None:
    """The new video of a followed user is counted until the page has shown it."""

    async def counted() -> bool:
        await page.go("#/me")
        await page.go("#/feed/latest")
        return await page.texts(COUNT) == ["1"]

    await until(counted)  # the media service hears of a follow by an event
    assert await serious_faults(page.tab) == []
    await page.go("#/feed/following")
    await page.see("New", f'article[aria-label="{title}"] .badge')
    assert await serious_faults(page.tab, "color-contrast") == []
    await page.go("#/feed/latest")
    await page.present("main .tabs", "!it.querySelector('.badge')")


async def remove_follower(page: Page) -> None:
    await page.tab.run("window.confirm = () => true")
    await page.go("#/follows/followers")
    await page.press(".rows [name=remove-follower]")
    await page.present(".rows", "!it.childElementCount")


async def check_found(page: Page, name: str, word: str, video_id: str) -> None:
    """A search finds users and tags besides videos; a tag and a name are suggested while they are typed."""
    await page.go(f"#/feed/search/{name}")
    await page.see(name, ".besides .rows")
    await page.go(f"#/feed/search/{word}")
    await page.see(f"#{word}", ".besides .tags")
    assert await serious_faults(page.tab) == []
    await page.write(words=f"#{word[:2]}")
    await page.click(f"#{word}", ".bar .suggestions")
    await page.present("[name=words]", f"it.value === '#{word} '")
    await page.go(f"#/v/{video_id}")
    await page.click("Comments")
    await page.write(text=f"See @{name[:6]}")
    await page.click(f"@{name}", "dialog .suggestions")
    await page.present("[name=text]", f"it.value === 'See @{name} '")
    assert await serious_faults(page.tab) == []
    await page.click("Close", "dialog")
