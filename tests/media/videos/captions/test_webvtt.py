"""What is made of captions that users upload, and which are refused."""

import pytest

from services.kit.errors import HitokError
from services.media.videos.captions import webvtt
from services.media.videos.captions.captions import check_label, normalise
from services.media.videos.captions.playlists import Rendition, master, playlist

VTT = """\ufeffWEBVTT - a film
Kind: captions

STYLE
::cue { background: url(https://evil.example/) }

NOTE nobody sees this

1
00:01.000 --> 00:02.500 line:90% align:center onclick:alert(1)
<b>Hello</b> <v Ann>you & me</v>

01:00:00.000 --> 01:00:01.000
second
"""
SRT = (
    "1\r\n00:00:01,000 --> 00:00:02,500\r\n<font color=red>Hello</font> <i>you</i>\r\n\r\n"
    "2\r\n00:00:03,000 --> 00:00:04,000\r\na\r\nb\r\n"
)


def test_webvtt_is_written_anew() -> None:
    assert webvtt.write(webvtt.parse(VTT)) == (
        "WEBVTT\n\n"
        "00:00:01.000 --> 00:00:02.500 line:90% align:center\n<b>Hello</b> <v Ann>you &amp; me</v>\n\n"
        "01:00:00.000 --> 01:00:01.000\nsecond\n"
    )


def test_srt_becomes_webvtt() -> None:
    assert webvtt.write(webvtt.parse(SRT)) == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nHello <i>you</i>\n\n00:00:03.000 --> 00:00:04.000\na\nb\n"
    )


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("<script>alert(1)</script>", "alert(1)"),
        ("a --> b", "a --&gt; b"),
        ("<img src=x onerror=y>", ""),
        ("<b onclick=x>a</b>", "a</b>"),
        ("a < b", "a &lt; b"),
        ("&lt;b&gt; &amp; &copy;", "&lt;b&gt; &amp; &amp;copy;"),
        ("\x00a\x1b[31m", "a[31m"),
        ("<<b>script>", "&lt;<b>script&gt;"),
    ],
)
def test_text_is_nothing_but_text(text: str, made: str) -> None:
    assert webvtt.parse(f"WEBVTT\n\n00:01.000 --> 00:02.000\n{text}\n")[0].text == made


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "CAPTIONS_INVALID"),
        ("WEBVTT", "CAPTIONS_INVALID"),
        ("hello", "CAPTIONS_INVALID"),
        ("WEBVTT\n\n00:02.000 --> 00:01.000\nx", "CAPTIONS_INVALID"),
        ("WEBVTT\n\n00:99.000 --> 01:01.000\nx", "CAPTIONS_INVALID"),
        ("WEBVTT\n\n-->\nx", "CAPTIONS_INVALID"),
        ("[Script Info]\nTitle: x\n", "CAPTIONS_INVALID"),
        ("<tt xmlns='http://www.w3.org/ns/ttml'></tt>", "CAPTIONS_INVALID"),
        ("WEBVTT\n\n" + "00:01.000 --> 00:02.000\nx\n\n" * 10_001, "CAPTIONS_TOO_LARGE"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n" + "x" * 2_001, "CAPTIONS_TOO_LARGE"),
        ("é" * 300_000, "CAPTIONS_TOO_LARGE"),
    ],
)
def test_what_is_refused(text: str, reason: str) -> None:
    with pytest.raises(HitokError) as refusal:
        webvtt.parse(text)
    assert refusal.value.reason == reason


def test_a_cue_is_in_each_segment_that_shows_it() -> None:
    cues = webvtt.parse("WEBVTT\n\n00:59.000 --> 01:01.000\na\n\n02:30.000 --> 02:31.000\nb\n")
    found = webvtt.segments(cues, 150_500)
    assert [seconds for _, seconds in found] == [60.0, 60.0, 30.5]
    assert ["a" in text.split("\n") for text, _ in found] == [True, True, False]
    assert all(text.startswith("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n") for text, _ in found)
    assert "b" in found[2][0]


@pytest.mark.parametrize(
    ("tag", "normal"),
    [("EN", "en"), ("zh-hant-tw", "zh-Hant-TW"), ("es-419", "es-419"), ("de-ch-1996", "de-CH-1996"), ("yue", "yue")],
)
def test_languages(tag: str, normal: str) -> None:
    assert normalise(tag) == normal


@pytest.mark.parametrize("tag", ["", "x", "english!", "en_US", "en-", 'en"', "e\u0301n", "en-US\n", "en-x-private"])
def test_what_is_no_language(tag: str) -> None:
    with pytest.raises(HitokError) as refusal:
        normalise(tag)
    assert refusal.value.reason == "LANGUAGE_INVALID"


@pytest.mark.parametrize("label", ['a"b', "a\nb", "x" * 51])
def test_a_label_cannot_leave_its_quotes(label: str) -> None:
    with pytest.raises(HitokError):
        check_label(label)


def test_what_playlists_say() -> None:
    assert playlist("a.vtt", [(0, 90, 60.0), (90, 50, 12.5)]).splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-TARGETDURATION:60",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXTINF:60.000,",
        "#EXT-X-BYTERANGE:90@0",
        "a.vtt",
        "#EXTINF:12.500,",
        "#EXT-X-BYTERANGE:50@90",
        "a.vtt",
        "#EXT-X-ENDLIST",
    ]
    media = "#EXTM3U\n#EXTINF:1.0,\n#EXT-X-BYTERANGE:1000@0\nv.mp4\n#EXTINF:3.0,\n#EXT-X-BYTERANGE:1000@1000\nv.mp4\n"
    assert master(media, "v.m3u8", [Rendition("en", "English", "c.m3u8")]).splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="captions",NAME="English",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,'
        'FORCED=NO,URI="c.m3u8"',
        '#EXT-X-STREAM-INF:BANDWIDTH=8000,AVERAGE-BANDWIDTH=4000,SUBTITLES="captions"',
        "v.m3u8",
    ]
