"""The web app in a browser, used as a person does: by what is written on it."""

import asyncio
import base64
import json
from pathlib import Path

from tests.support.browser import Tab

SECONDS = 20
CONTROLS = {"button", "link", "textbox", "searchbox", "combobox", "checkbox", "dialog", "progressbar", "video"}
PRELUDE = """
window.faults = [];
addEventListener("unhandledrejection", (event) => faults.push(String(event.reason)));
addEventListener("error", (event) => faults.push(String(event.message)));
document.addEventListener("securitypolicyviolation", ({ violatedDirective: rule, blockedURI }) =>
  faults.push(`${rule} ${blockedURI}`));
window.awaited = async (find, what) => {
  for (let end = performance.now() + SECONDS * 1000; performance.now() < end;) {
    const found = find();
    if (found) return found;
    await new Promise((wake) => setTimeout(wake, 25));
  }
  throw new Error(`${what} is not on ${location.href}:\\n${document.body.innerText}`);
};
window.visible = (element) => element.checkVisibility() && !element.disabled;
window.labelled = (label, within) => [...document.querySelectorAll(`:is(${within}) :is(button, a)`)].find(
  (each) => visible(each) && (each.getAttribute("aria-label") ?? each.innerText).trim() === label);
""".replace("SECONDS", str(SECONDS))


class Page:
    def __init__(self, tab: Tab, base: str) -> None:
        self.tab, self.base = tab, base

    async def start(self) -> None:
        await self.tab.ask("Page.enable")
        await self.tab.ask("Page.addScriptToEvaluateOnNewDocument", source=PRELUDE)
        await self.size(390, 844)
        await self.tab.ask("Page.navigate", url=self.base)
        await self.present("main *")

    async def size(self, width: int, height: int) -> None:
        await self.tab.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 800
        )

    async def visit(self, url: str) -> None:
        await self.tab.ask("Page.navigate", url=url)

    async def go(self, hash: str) -> None:
        await self.tab.run(f"location.hash = {json.dumps(hash)}")
        await self.present("main", f"it.dataset.view === {json.dumps(hash)}")

    async def reload(self) -> None:
        await self.tab.run("window.old = true")
        await self.tab.ask("Page.reload")
        while await self.tab.run("window.old === true || document.readyState !== 'complete'"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await self.present("main > *")

    async def present(self, selector: str, condition: str = "true") -> None:
        """Waits for an element for which the condition (JavaScript, of `it`) holds."""
        find = f"[...document.querySelectorAll({json.dumps(selector)})].find((it) => {condition})"
        what = json.dumps(f"{selector} with {condition}")
        await self.tab.run(f"awaited(() => {find}, {what}).then(() => true)")

    async def see(self, text: str, within: str = "body") -> None:
        await self.present(within, f"it.innerText.includes({json.dumps(text)})")

    async def click(self, label: str, within: str = "body") -> None:
        """A button or link of that name, once it is there."""
        found = f"labelled({json.dumps(label)}, {json.dumps(within)})"
        await self.tab.run(f"awaited(() => {found}, {json.dumps(label)}).then((found) => {{ found.click(); }})")

    async def click_containing(self, text: str, selector: str) -> None:
        """The element, once it is there, that has the text among others."""
        has = f"it.innerText.includes({json.dumps(text)})"
        found = f"[...document.querySelectorAll({json.dumps(selector)})].find((it) => {has})"
        await self.tab.run(f"awaited(() => {found}, {json.dumps(text)}).then((found) => {{ found.click(); }})")

    async def press(self, selector: str) -> None:
        await self.present(selector)
        await self.tab.run(f"document.querySelector({json.dumps(selector)}).click()")

    async def write(self, **fields: str) -> None:
        """Into inputs, by their names."""
        for name, value in fields.items():
            selector = json.dumps(f'[name="{name}"]')
            await self.tab.run(f"""
                awaited(() => [...document.querySelectorAll({selector})].find(visible), {selector}).then((input) => {{
                    input.value = {json.dumps(value)};
                    input.dispatchEvent(new Event("input", {{bubbles: true}}));
                }})""")

    async def press_enter(self, name: str) -> None:
        """Submits the form of that input."""
        await self.tab.run(f"document.querySelector('[name=\"{name}\"]').form.requestSubmit()")

    async def key(self, key: str, code: int) -> None:
        """Presses a key. `code`: its Windows virtual key code."""
        text = "\r" if key == "Enter" else ""
        for type in ("keyDown", "keyUp"):
            await self.tab.ask(
                "Input.dispatchKeyEvent", type=type, key=key, code=key, windowsVirtualKeyCode=code, text=text
            )

    async def choose_file(self, selector: str, path: Path) -> None:
        await self.present(selector)
        found = await self.tab.ask("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")
        await self.tab.ask("DOM.setFileInputFiles", objectId=found["result"]["objectId"], files=[str(path)])

    async def texts(self, selector: str) -> list[str]:
        found: list[str] = await self.tab.run(
            f"[...document.querySelectorAll({json.dumps(selector)})].map((it) => it.innerText.trim())"
        )
        return found

    async def unnamed(self) -> list[str]:
        """Controls that a screen reader could not name."""
        nodes = (await self.tab.ask("Accessibility.getFullAXTree"))["nodes"]
        controls = [node for node in nodes if not node["ignored"] and node["role"]["value"] in CONTROLS]
        assert controls
        return [node["role"]["value"] for node in controls if not node.get("name", {}).get("value")]

    async def faults(self) -> list[str]:
        """Errors of scripts, and what the page's policy forbade."""
        found: list[str] = await self.tab.run("window.faults")
        return found

    async def picture(self) -> bytes:
        """PNG."""
        return base64.b64decode((await self.tab.ask("Page.captureScreenshot", format="png"))["data"])
