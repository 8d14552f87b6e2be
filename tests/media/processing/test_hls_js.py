"""What hls.js, the player that most web pages bring, makes of our playlists, in a real Chromium."""

import json
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.media.processing.test_playback import SECONDS, front_end, show_all_rungs, tab  # noqa: F401
from tests.support.browser import Tab, needs_chromium
from tests.support.media import Running, video
from tests.support.npm import file_of
from tests.support.people import Person

pytestmark = needs_chromium
PACKAGE = "hls.js@1.7.4"  # Apache-2.0

# Opens a playlist at a level, and offers what the tests do with it as `player`. A fatal error fails whatever waits.
OPEN = """(async ([url, level]) => {
    window.player?.hls.destroy();
    const video = Object.assign(document.createElement("video"), {muted: true});
    document.body.replaceChildren(video);
    // It loads one segment after the other, so that one has the level that was chosen before.
    const hls = new Hls({enableWorker: false, startLevel: level, maxBufferLength: 0.5, maxMaxBufferLength: 0.5});
    const failed = new Promise((_, no) => hls.on(Hls.Events.ERROR, (_, {fatal, details, reason}) =>
        fatal && no(new Error(`${details}: ${reason}`))));
    failed.catch(() => {});
    const said = [];
    hls.on(Hls.Events.ERROR, (_, {details}) => said.push(details));
    const either = (begin) => Promise.race([failed, new Promise(begin),
        new Promise((_, no) => setTimeout(() => no(new Error(`nothing happens: ${state()}`)), 15000))]);
    const state = () => JSON.stringify({said, level: hls.currentLevel, at: video.currentTime, ready: video.readyState});
    const until = (holds) => either((yes) => {
        const look = () => holds() ? yes() : setTimeout(look, 20);
        look();
    });
    const shown = [];
    hls.on(Hls.Events.LEVEL_SWITCHED, (_, {level}) => shown.push(level));
    window.player = {video, hls, either, until, shown};
    hls.once(Hls.Events.MANIFEST_PARSED, () => hls.loadLevel = level);  // not what the player would choose
    await either((yes) => { hls.once(Hls.Events.MANIFEST_PARSED, yes); hls.loadSource(url); hls.attachMedia(video); });
    return hls.levels.map(({width, height, videoCodec, audioCodec}) => ({width, height, videoCodec, audioCodec}));
})(%s)"""

# Plays from a part of the duration on; the size that is shown.
PLAY = """(async (place) => {
    const {video, until} = window.player;
    await until(() => video.readyState > 2);
    const from = video.currentTime = video.duration * place;
    await video.play();
    await until(() => video.currentTime >= from + 0.3);
    video.pause();
    return {width: video.videoWidth, height: video.videoHeight, duration: video.duration};
})(%s)"""

# Plays to the end, from the second segment on in another level.
SWITCH = """(async (level) => {
    const {video, hls, either, until, shown} = window.player;
    await until(() => video.readyState > 2);
    const ended = either((yes) => video.onended = yes);
    hls.loadLevel = level;
    await video.play();
    await ended;
    return {shown, height: video.videoHeight, time: video.currentTime, duration: video.duration};
})(%s)"""

# Chooses the first captions; their language and name, and the cues that the browser then has.
CAPTIONS = """(async () => {
    const {video, hls, until} = window.player;
    await until(() => hls.subtitleTracks.length);
    hls.subtitleTrack = 0;
    const cues = () => [...video.textTracks].flatMap(({cues}) => [...cues ?? []]);
    await until(() => cues().length > 1);
    const [{lang, name}] = hls.subtitleTracks;
    return {lang, name, texts: cues().map(({text}) => text)};
})()"""


@pytest.fixture
async def hls_js(tab: Tab) -> Tab:  # noqa: F811
    await tab.ask("Runtime.evaluate", expression=file_of(PACKAGE, "dist/hls.min.js"))
    return tab


async def open_in(tab: Tab, url: str, level: int = 0) -> list[dict[str, Any]]:  # noqa: F811
    levels: list[dict[str, Any]] = await tab.run(OPEN % json.dumps([url, level]))
    return levels


async def play(tab: Tab, place: float) -> dict[str, Any]:  # noqa: F811
    played: dict[str, Any] = await tab.run(PLAY % place)
    assert SECONDS - 0.2 < played["duration"] < SECONDS + 0.3
    return played


async def test_each_rung_plays_and_the_player_goes_from_one_to_another(
    front_end: Person,  # noqa: F811
    hls_js: Tab,
    media: Running,
) -> None:
    shown, _ = await show_all_rungs(front_end, media, video("matroska", "mpeg4", SECONDS, (854, 480), sound="mp2"))
    text = "1\n00:00:00,500 --> 00:00:02,000\nfirst\n\n2\n00:00:03,000 --> 00:00:04,000\nsecond\n"
    await front_end.post("/api/videos/set-captions", video_id=shown["id"], language="en", text=text)
    url = (await front_end.get("/api/videos/get-video", video_id=shown["id"]))["video"]["hls_url"]

    levels = await open_in(hls_js, url)
    assert [(level["width"], level["height"]) for level in levels] == [(640, 360), (854, 480)]
    assert all(level["videoCodec"].startswith("avc1.") and level["audioCodec"] == "mp4a.40.2" for level in levels)
    for number, level in enumerate(levels):
        await open_in(hls_js, url, number)
        for place in (0.0, 0.6):
            played = await play(hls_js, place)
            assert (played["width"], played["height"]) == (level["width"], level["height"])
    for begun, then in ((0, 1), (1, 0)):
        await open_in(hls_js, url, begun)
        switched = await hls_js.run(SWITCH % then)
        assert (switched["shown"][0], switched["shown"][-1]) == (begun, then)
        assert switched["height"] == levels[then]["height"]
        assert switched["time"] == pytest.approx(switched["duration"], abs=0.2)

    captions = await hls_js.run(CAPTIONS)
    assert captions["lang"] == "en"
    assert {"first", "second"} <= set(captions["texts"])

    listed = (await front_end.call("GET", url)).text.splitlines()
    await open_in(hls_js, urljoin(url, listed[-1]))  # the sound alone
    assert (await play(hls_js, 0.5))["width"] == 0
