"""A headless Chromium, told what to do by the DevTools protocol."""

import asyncio
import itertools
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed: apt-get install chromium")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # it does not start as root otherwise
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-port=0",
)
START_SECONDS, ANSWER_SECONDS = 20.0, 30.0

# Plays, seeks, and plays on; what the player says of it. A frame counts when it has been shown.
PLAY = """(async ([url, place]) => {
    const video = Object.assign(document.createElement("video"), {muted: true, src: url, preload: "auto"});
    document.body.replaceChildren(video);
    const failed = new Promise((_, no) => video.onerror = () => no(new Error("cannot be played")));
    const either = (begin) => Promise.race([failed, new Promise(begin)]);
    const heard = (name) => either((yes) => video.addEventListener(name, yes, {once: true}));
    const shown = () => either((yes) => video.requestVideoFrameCallback((_, about) => yes(about)));
    await heard("loadeddata");
    if (!video.videoWidth) throw new Error("cannot be played: no more than its sound");
    const first = shown();
    await video.play();
    await first;
    video.currentTime = video.duration * place;
    await heard("seeked");
    const from = video.currentTime, frame = await shown();
    while (video.currentTime < from + 0.3) await shown();
    return {width: video.videoWidth, height: video.videoHeight, duration: video.duration,
            from, to: video.currentTime, frame: frame.mediaTime, sound: video.webkitAudioDecodedByteCount};
})(%s)"""


class Tab:
    """`requests`: status and url of every answer that the page got."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.requests: list[tuple[int, str]] = []
        self.workers: dict[str, str] = {}  # the scopes of service workers, by their registration

    async def listen(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if message.get("method") == "Network.responseReceived":
                response = message["params"]["response"]
                self.requests.append((response["status"], response["url"]))
            elif message.get("method") == "ServiceWorker.workerRegistrationUpdated":
                for each in message["params"]["registrations"]:
                    self.workers[each["registrationId"]] = each["scopeURL"]
            elif waiting := self._answers.pop(message.get("id", 0), None):
                waiting.set_result(message)

    async def ask(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        answer = await asyncio.wait_for(self._answers[number], ANSWER_SECONDS)
        assert "error" not in answer, answer
        return answer["result"]

    async def run(self, script: str) -> Any:
        """What the script's promise becomes. An error of the script fails the test."""
        result = await self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]["exception"]["description"]
        return result["result"].get("value")

    async def open(self, url: str) -> None:
        """Whatever its Content-Security-Policy says; what it plays then is of its own origin."""
        await self.ask("Page.setBypassCSP", enabled=True)
        await self.ask("Page.navigate", url=url)
        while await self.run("location.href + document.readyState") != url + "complete":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        self.requests.clear()

    async def play(self, url: str, place: float = 0.9) -> dict[str, Any]:
        """From the beginning, then from that place of its duration."""
        played: dict[str, Any] = await self.run(PLAY % json.dumps([url, place]))
        return played


@asynccontextmanager
async def running_tab() -> AsyncIterator[Tab]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM,
            *FLAGS,
            f"--user-data-dir={folder}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with connect(await _address(Path(folder)), max_size=None, proxy=None) as socket:
                tab = Tab(socket)
                listening = asyncio.create_task(tab.listen())
                await tab.ask("Network.enable")
                yield tab
                listening.cancel()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _address(folder: Path) -> str:
    """Of the only tab."""
    async with asyncio.timeout(START_SECONDS), httpx.AsyncClient(trust_env=False) as http:
        while not (port := _first_line(folder / "DevToolsActivePort")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        tabs = (await http.get(f"http://127.0.0.1:{port}/json/list")).json()
        return str(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))


def _first_line(path: Path) -> str:
    """ "" while there is no such file."""
    return path.read_text().partition("\n")[0] if path.exists() else ""
