"""HDR is kept as a rendition of HEVC in its own colours, and players without HEVC play the others."""

import json
from pathlib import Path
from typing import Any

import av
import pytest

from services.media.processing.sandbox import hdr
from services.media.processing.sandbox.sources import HLG, PQ
from tests.media.processing import hls_rules
from tests.media.processing.corpus import BT2020, FFMPEG, X265, Kind
from tests.media.processing.corpus import make as make_kind
from tests.media.processing.test_hls_js import PACKAGE, PLAY, open_in
from tests.media.processing.test_playback import front_end, show_all_rungs, tab  # noqa: F401
from tests.support.browser import Tab, needs_chromium
from tests.support.media import Running, execute
from tests.support.npm import file_of
from tests.support.people import Person

pytestmark = pytest.mark.skipif(FFMPEG is None, reason="this machine has no ffmpeg to make the recordings with")
TRANSFERS = {"HLG": ("arib-std-b67", HLG), "PQ": ("smpte2084", PQ)}


def filmed(path: Path, range: str, pictures: str, seconds: int) -> Path:
    options = f"{X265} -pix_fmt yuv420p10le -tag:v hvc1 {BT2020.format(TRANSFERS[range][0])} -c:a aac"
    make_kind(Kind("mov", options, f"{pictures}:d={seconds}", f"sine=f=440:d={seconds}"), path)
    return path


@pytest.mark.parametrize("range", TRANSFERS)
def test_its_colours_stay(range: str, tmp_path: Path) -> None:
    source = filmed(tmp_path / "source.mov", range, "testsrc2=s=160x90:r=60", 2)
    made = hdr.make(source, "mov", tmp_path / "target", tmp_path / "cuts")["hdr"]
    assert (made["range"], made["width"], made["height"]) == (range, 160, 90)
    assert made["codecs"].startswith("hvc1.2.4.L")
    assert made["rate"] == pytest.approx(30, abs=1)
    with av.open(str(tmp_path / "cuts")) as container:
        context: Any = container.streams.video[0].codec_context
        assert (context.pix_fmt, context.color_primaries, context.color_trc, context.colorspace) == (
            "yuv420p10le",
            9,
            TRANSFERS[range][1],
            9,
        )
        assert len(list(container.decode(video=0))) == pytest.approx(60, abs=2)


@needs_chromium
async def test_players_choose_what_they_can_show(
    front_end: Person,  # noqa: F811
    tab: Tab,  # noqa: F811
    media: Running,
    tmp_path: Path,
) -> None:
    source = filmed(tmp_path / "source.mov", "HLG", "testsrc2=s=480x640:r=30", 3)
    shown, read = await show_all_rungs(front_end, media, source.read_bytes())
    text = (await front_end.call("GET", shown["hls_url"])).text
    assert [rung.said["RESOLUTION"] for rung in await hls_rules.check(text, read)] == ["360x480", "480x640"]
    assert text.count("VIDEO-RANGE=HLG") == 1
    kept = "SELECT profile FROM derivative WHERE source_hash = :hash AND profile LIKE 'hls-master-%'"
    rows = await execute(media, kept, hash=shown["url"].rpartition("/")[2].partition(".")[0])
    assert {row.profile for row in rows} == {"hls-master-first", "hls-master-ladder"}, "their addresses work"
    assert (await tab.play(shown["hls_url"], 0.85))["to"] > 2.4
    await tab.ask("Runtime.evaluate", expression=file_of(PACKAGE, "dist/hls.min.js"))
    levels = await open_in(tab, shown["hls_url"])
    assert [level["height"] for level in levels][:2] == [480, 640]
    played = await tab.run(PLAY % json.dumps(0.5))
    assert (played["width"], played["height"]) == (360, 480)
