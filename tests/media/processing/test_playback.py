"""What a browser makes of it: uploaded, published and played by a real Chromium, which decodes and seeks."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from tests.media.processing import hls_rules
from tests.support.browser import Tab, needs_chromium, running_tab
from tests.support.gateway import FrontEnd, gateway_settings, serving_gateway
from tests.support.media import Running, execute, video
from tests.support.people import Person, new_person
from tests.support.servers import Servers
from tests.support.user import Running as Users
from tests.support.video_people import publish

pytestmark = needs_chromium
SECONDS = 5.0


@pytest.fixture(scope="module")
async def front_end(servers: Servers, user: Users, media: Running) -> AsyncIterator[Person]:
    """Of somebody who talks to a gateway on a real port."""
    targets = {"HITOK_USER_TARGET": user.target, "HITOK_MEDIA_TARGET": media.target, "HITOK_VAR": media.settings.var}
    async with serving_gateway(gateway_settings(servers, **targets)) as (_, url):
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
            yield await new_person(FrontEnd(http), user)


@pytest.fixture(scope="module")
async def tab(front_end: Person) -> AsyncIterator[Tab]:
    async with running_tab() as tab:
        await tab.open(str(front_end.http.base_url.join("/health/live")))
        yield tab


async def show(front_end: Person, data: bytes, **more: Any) -> dict[str, Any]:
    """Uploads, waits until it is ready, and publishes; the video as its owner sees it."""
    file = await front_end.ok("POST", "/api/file/upload", files={"file": data})
    async with asyncio.timeout(30):
        while (await front_end.get("/api/file/status", id=file["id"]))["status"] == "processing":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return await publish(front_end, video_path=file["url"], **more)


async def check_plays(tab: Tab, url: str, size: tuple[int, int] = (160, 120)) -> dict[str, Any]:
    """That it does, also after a seek to near its end."""
    tab.requests.clear()
    played = await tab.play(url, 0.85)
    assert (played["width"], played["height"]) == size
    assert SECONDS - 0.2 < played["duration"] < SECONDS + 0.5
    assert played["from"] == pytest.approx(played["duration"] * 0.85, abs=0.05)
    assert abs(played["frame"] - played["from"]) < 0.5, "a picture of another place"
    assert played["to"] >= played["from"] + 0.3
    return played


async def test_a_real_video_is_uploaded_published_and_played(front_end: Person, tab: Tab) -> None:
    shown = await show(front_end, video(seconds=SECONDS, sound="aac"))
    cover = await front_end.call("GET", shown["cover"])
    assert (cover.status_code, cover.headers["content-type"]) == (200, "image/jpeg")
    for url in (shown["url"], shown["playback_url"]):
        played = await check_plays(tab, url)
        assert played["sound"] > 10_000
        assert (206, url) in tab.requests


def filmed_upright(data: bytes) -> bytes:
    """As telephones write it: the matrix of the first track's header (ISO/IEC 14496-12, 8.3.2) turns the pictures."""
    level, upright = (struct.pack(">9i", *numbers) for numbers in (LEVEL, UPRIGHT))
    assert level in data[data.index(b"tkhd") :][:100]
    at = data.index(level, data.index(b"tkhd"))
    return data[:at] + upright + data[at + len(upright) :]


ONE, W = 1 << 16, 1 << 30
LEVEL, UPRIGHT = (ONE, 0, 0, 0, ONE, 0, 0, 0, W), (0, ONE, 0, -ONE, 0, 0, 120 * ONE, 0, W)

# Of each: the file, what is shown of it, and whether Chromium shows nothing of it as it is.
FOREIGN: dict[str, tuple[Callable[[], bytes], tuple[int, int], bool]] = {
    "hevc and dolby": (lambda: filmed_upright(video("mov", "libx265", SECONDS, sound="eac3")), (120, 160), True),
    "mpeg-4 part 2 in avi": (lambda: video("avi", "mpeg4", SECONDS, sound="libmp3lame"), (160, 120), True),
    "prores": (lambda: video("mov", "prores_ks", SECONDS, sound="pcm_s16le"), (160, 120), True),
    "dolby in mkv": (lambda: video("matroska", "libx264", SECONDS, sound="ac3"), (160, 120), False),
}


@pytest.mark.parametrize("kind", FOREIGN)
async def test_what_browsers_do_not_play_plays(front_end: Person, tab: Tab, kind: str) -> None:
    make, size, hopeless = FOREIGN[kind]
    shown = await show(front_end, make())
    if hopeless:
        with pytest.raises(AssertionError, match="cannot be played"):
            await tab.play(shown["url"])
    assert (await check_plays(tab, shown["playback_url"], size))["sound"] > 10_000
    assert (206, shown["playback_url"]) in tab.requests
    assert (await check_plays(tab, shown["hls_url"], size))["sound"] > 1_000
    assert {status for status, url in tab.requests if ".m3u8" not in url} == {206}


async def show_all_rungs(front_end: Person, media: Running, data: bytes) -> tuple[dict[str, Any], hls_rules.Read]:
    """The video, published when its ladder is made, and what reads a file that a playlist names."""
    file = await front_end.ok("POST", "/api/file/upload", files={"file": data})
    query = "SELECT count(*) FROM job WHERE due_at IS NOT NULL"
    async with asyncio.timeout(60):
        while (await execute(media, query))[0][0]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def read(name: str) -> bytes:
        return (await front_end.call("GET", urljoin(file["url"], name))).content

    return await publish(front_end, video_path=file["url"]), read


LADDERS: dict[str, Callable[[], bytes]] = {
    "encoded": lambda: video("matroska", "mpeg4", SECONDS, (854, 480), sound="libmp3lame"),
    "encoded and upright": lambda: video("mov", "libx265", SECONDS, (480, 640), sound="aac"),
    "played as it is": lambda: video("mp4", "libx264", SECONDS, (640, 640), sound="aac", movflags="+faststart"),
}


@pytest.mark.parametrize("kind", LADDERS)
async def test_each_rung_keeps_the_rules_and_plays(front_end: Person, tab: Tab, media: Running, kind: str) -> None:
    shown, read = await show_all_rungs(front_end, media, LADDERS[kind]())
    text = (await front_end.call("GET", shown["hls_url"])).text
    rungs = await hls_rules.check(text, read)
    assert len(rungs) > 1
    files = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(files) == len(rungs) + 1, "the last is what is heard, alone"
    for rung, file in zip(rungs, files[:-1], strict=True):
        width, height = map(int, rung.said["RESOLUTION"].split("x"))
        assert (await check_plays(tab, urljoin(shown["hls_url"], file), (width, height)))["sound"] > 1_000
    tab.requests.clear()
    assert (await tab.play(shown["hls_url"], 0.85))["to"] > SECONDS * 0.8
    names = {url.rpartition("/")[2] for _, url in tab.requests}
    assert names & set(files), "the player went to a rung of the master playlist"


# Shows a video with a track of captions; the cues that the browser read, and the one that it shows after a second.
CAPTIONED = """(async ([url, captions]) => {
    const video = Object.assign(document.createElement("video"), {muted: true, src: url, preload: "auto"});
    const track = Object.assign(document.createElement("track"), {kind: "captions", src: captions, srclang: "en"});
    video.append(track);
    document.body.replaceChildren(video);
    track.track.mode = "showing";
    await new Promise((yes, no) => { track.onload = yes; track.onerror = () => no(new Error("no captions")); });
    video.currentTime = 1;
    await new Promise((yes) => video.onseeked = yes);
    while (!track.track.activeCues.length) await new Promise((yes) => setTimeout(yes, 20));
    return [Array.from(track.track.cues, (cue) => cue.text), track.track.activeCues[0].text];
})(%s)"""


async def test_captions_are_shown(front_end: Person, tab: Tab) -> None:
    shown = await show(front_end, video("matroska", "mpeg4", SECONDS, sound="mp2"))
    text = "1\n00:00:00,500 --> 00:00:02,000\n<b>a</b> & b\n\n2\n00:00:03,000 --> 00:00:04,000\nc\n"
    await front_end.post("/api/videos/set-captions", video_id=shown["id"], language="en", text=text)
    shown = (await front_end.get("/api/videos/get-video", video_id=shown["id"]))["video"]
    addresses = json.dumps([shown["playback_url"], shown["captions"][0]["url"]])
    assert await tab.run(CAPTIONED % addresses) == [["<b>a</b> &amp; b", "c"], "<b>a</b> &amp; b"]
    await check_plays(tab, shown["hls_url"])


async def test_a_private_one_plays_for_whoever_got_its_addresses(front_end: Person, tab: Tab) -> None:
    shown = await show(front_end, video("matroska", "mpeg2video", SECONDS, sound="mp2"), visibility="private")
    for url in (shown["playback_url"], shown["hls_url"]):
        await check_plays(tab, url)
        with pytest.raises(AssertionError, match="cannot be played"):
            await tab.play(url.partition("?")[0])
