"""What RFC 8216bis demands of playlists and of what they name, as a validator: `check` of a master playlist."""

import io
import math
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import av

Read = Callable[[str], Awaitable[bytes]]  # a file by its name in a playlist
FIRST_SECONDS = 1.0
TOLERANCE = 0.05  # seconds between a playlist and what it names
TAGS = {
    *("EXTM3U", "EXT-X-VERSION", "EXT-X-INDEPENDENT-SEGMENTS", "EXT-X-STREAM-INF", "EXT-X-TARGETDURATION"),
    *("EXT-X-MEDIA", "EXT-X-PLAYLIST-TYPE", "EXT-X-MAP", "EXTINF", "EXT-X-BYTERANGE", "EXT-X-ENDLIST"),
}


class Segment(NamedTuple):
    file: str
    start: int
    size: int
    seconds: float


class Rung(NamedTuple):
    """A variant stream: what the master playlist says of it, and what its media playlist names."""

    said: dict[str, str]
    head: bytes
    segments: list[Segment]


async def check(text: str, read: Read) -> list[Rung]:
    """The rungs, if the playlists keep the rules."""
    lines = check_lines(text)
    assert "#EXT-X-INDEPENDENT-SEGMENTS" in lines
    assert lines[0] == "#EXTM3U"
    pairs = [(line, lines[at + 1]) for at, line in enumerate(lines) if line.startswith("#EXT-X-STREAM-INF:")]
    assert pairs
    assert all(not file.startswith("#") for _, file in pairs), "an uri follows each EXT-X-STREAM-INF (4.4.6.2)"
    streams = [await read_stream(attributes(line), (await read(file)).decode(), read) for line, file in pairs]
    shown = [stream for stream in streams if "RESOLUTION" in stream.said]
    assert shown == streams[: len(shown)], "sound without pictures comes last"
    rungs = [stream for stream in shown if not is_hdr(stream.said)]
    for hdr in shown[len(rungs) :]:
        assert hdr.said["VIDEO-RANGE"] in ("PQ", "HLG"), "4.4.6.2"
    if len(rungs) < len(shown):
        assert {rung.said["VIDEO-RANGE"] for rung in rungs} == {"SDR"}, "Apple's authoring specification"
        await check_pictures(hdr, None, read)
    for lower, rung in zip([None, *rungs], rungs, strict=False):
        await check_pictures(rung, lower, read)
    for sound in streams[len(shown) :]:
        await check_sound(sound, rungs[0], read)
    check_alignment(shown)
    check_renditions([attributes(line) for line in lines if line.startswith("#EXT-X-MEDIA:")], streams)
    widths = [int(rung.said["RESOLUTION"].partition("x")[0]) for rung in rungs]
    assert widths == sorted(set(widths)), "the lowest first"
    return rungs


def check_renditions(renditions: list[dict[str, str]], streams: list[Rung]) -> None:
    """Captions (4.4.6.1, 4.4.6.2.1)."""
    groups = {rendition["GROUP-ID"] for rendition in renditions}
    assert {stream.said["SUBTITLES"] for stream in streams if "SUBTITLES" in stream.said} == groups
    assert all((of["TYPE"], of["URI"][-6:]) == ("SUBTITLES", '.m3u8"') for of in renditions)
    names = [(of["GROUP-ID"], of["NAME"]) for of in renditions]
    assert len(set(names)) == len(names), "names differ in a group"


def is_hdr(said: dict[str, str]) -> bool:
    return said.get("VIDEO-RANGE", "SDR") != "SDR"


def check_lines(text: str) -> list[str]:
    assert text.endswith("\n")
    assert "\r" not in text
    assert not text.startswith("\ufeff")
    lines = text.splitlines()
    tags = [line[1:].partition(":")[0] for line in lines if line.startswith("#EXT")]
    assert set(tags) <= TAGS
    for once in ("EXTM3U", "EXT-X-VERSION", "EXT-X-TARGETDURATION", "EXT-X-PLAYLIST-TYPE", "EXT-X-ENDLIST"):
        assert tags.count(once) <= 1, once
    (version,) = (int(line.partition(":")[2]) for line in lines if line.startswith("#EXT-X-VERSION:"))
    assert version >= (6 if "EXT-X-MAP" in tags else 1), "8, Protocol Version Compatibility"
    return lines


def attributes(line: str) -> dict[str, str]:
    found = re.findall(r'([A-Z0-9-]+)=("[^"]*"|[^",]+)(?:,|$)', line.partition(":")[2])
    assert len(dict(found)) == len(found), "no attribute twice (4.2)"
    return dict(found)


async def read_stream(said: dict[str, str], text: str, read: Read) -> Rung:
    lines = check_lines(text)
    assert lines[-1] == "#EXT-X-ENDLIST"
    assert "#EXT-X-INDEPENDENT-SEGMENTS" in lines
    (named,) = (attributes(line) for line in lines if line.startswith("#EXT-X-MAP:"))
    size, _, start = named["BYTERANGE"].strip('"').partition("@")
    head = (await read(named["URI"].strip('"')))[int(start) : int(start) + int(size)]
    rung = Rung(said, head, list(segments(lines)))
    (target,) = (int(line.partition(":")[2]) for line in lines if line.startswith("#EXT-X-TARGETDURATION:"))
    assert all(round(segment.seconds) <= target for segment in rung.segments), "4.4.3.1"
    assert rung.segments[0].seconds <= FIRST_SECONDS + TOLERANCE
    return rung


async def check_pictures(rung: Rung, lower: Rung | None, read: Read) -> None:
    check_rates(rung, int(lower.said["BANDWIDTH"]) if lower else 0)
    await check_contents(rung, read)


async def check_sound(sound: Rung, rung: Rung, read: Read) -> None:
    """That each segment plays alone, from one end of the recording to the other."""
    check_rates(sound, 0)
    assert sound.said["CODECS"] == '"mp4a.40.2"'
    ends = 0.0
    for segment in sound.segments:
        data = (await read(segment.file))[segment.start : segment.start + segment.size]
        with av.open(io.BytesIO(sound.head + data), "r") as container:
            assert not container.streams.video
            times = [
                (float(packet.pts * packet.time_base), float((packet.duration or 0) * packet.time_base))
                for packet in container.demux(audio=0)
                if packet.pts is not None
            ]
            assert abs(times[0][0] - ends) <= TOLERANCE
            ends = sum(times[-1])
    assert abs(ends - sum(segment.seconds for segment in rung.segments)) <= 0.3


def segments(lines: list[str]) -> list[Segment]:
    text = "\n".join(lines)
    found = re.findall(r"#EXTINF:([\d.]+),[^\n]*\n#EXT-X-BYTERANGE:(\d+)@(\d+)\n([^#\n]+)", text)
    assert len(found) == text.count("#EXTINF:") > 0
    return [Segment(file, int(start), int(size), float(seconds)) for seconds, size, start, file in found]


def check_rates(rung: Rung, lower: int) -> None:
    """BANDWIDTH is the peak and AVERAGE-BANDWIDTH the mean, within a tenth (4.4.6.2); a rung says no less than the
    `lower` one, by which players sort them. The peak is that of any segments
    in a row that last between a half and three halves of the longest (4.1)."""
    target, count = math.ceil(max(segment.seconds for segment in rung.segments)), len(rung.segments)
    runs = [rung.segments[first:last] for first in range(count) for last in range(first + 1, count + 1)]
    rates = [rate_of(run) for run in runs if 0.5 * target <= sum(segment.seconds for segment in run) <= 1.5 * target]
    mean = rate_of(rung.segments)
    assert int(rung.said["BANDWIDTH"]) > lower
    assert 0.999 <= int(rung.said["BANDWIDTH"]) / max(*rates, mean, lower) <= 1.1
    assert 0.9 <= int(rung.said["AVERAGE-BANDWIDTH"]) / mean <= 1.1


def rate_of(run: list[Segment]) -> float:
    """Bits per second."""
    return sum(segment.size for segment in run) * 8 / sum(segment.seconds for segment in run)


async def check_contents(rung: Rung, read: Read) -> None:
    """That each segment plays alone after the head, begins with a whole picture and lasts as long as is said."""
    frames = 0
    for segment in rung.segments:
        data = (await read(segment.file))[segment.start : segment.start + segment.size]
        assert len(data) == segment.size
        assert data[4:8] == b"moof"
        with av.open(io.BytesIO(rung.head + data), "r") as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
            check_said(rung.said, container)
            assert packets[0].is_keyframe
            frames += len(list(packets))
            base: Any = packets[0].time_base
            begins = min(int(packet.pts or 0) for packet in packets)
            ends = max(int(packet.pts or 0) + int(packet.duration or 0) for packet in packets)
            assert abs(float((ends - begins) * base) - segment.seconds) <= TOLERANCE + 0.05
    assert abs(frames / sum(segment.seconds for segment in rung.segments) - float(rung.said["FRAME-RATE"])) < 1


def check_said(said: dict[str, str], container: Any) -> None:
    (video, *_), sounds = container.streams.video, container.streams.audio
    assert said["RESOLUTION"] == f"{video.width}x{video.height}"
    profile, compatibility, level = bytes(video.codec_context.extradata)[1:4]
    codecs = [f"avc1.{profile:02x}{compatibility:02x}{level:02x}"]
    if is_hdr(said):
        assert (video.codec_context.profile, video.codec_context.codec_tag) == ("Main 10", "hvc1")
        assert video.codec_context.color_trc == {"PQ": 16, "HLG": 18}[said["VIDEO-RANGE"]]
        codecs = [f"hvc1.2.4.L{bytes(video.codec_context.extradata)[12]}.90"]  # of x265: progressive, of frames only
    assert all(sound.codec_context.profile == "LC" for sound in sounds)
    assert said["CODECS"].strip('"').split(",") == codecs + ["mp4a.40.2"] * len(sounds)


def check_alignment(rungs: list[Rung]) -> None:
    """That players can change between rungs at each segment (6.2.4)."""
    times = [[segment.seconds for segment in rung.segments] for rung in rungs]
    assert all(len(of) == len(times[0]) for of in times)
    for of in times:
        assert all(abs(one - other) <= TOLERANCE for one, other in zip(of, times[0], strict=True))
