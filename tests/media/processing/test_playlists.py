"""HLS playlists: what they say, and how they and what they name are served."""

from urllib.parse import urljoin

import pytest

from services.media.processing.playlists import playlist, with_hdr
from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.media import Running, refer, settled, status, upload, video
from tests.support.people import Person

PUBLIC, FRIENDS, PRIVATE = range(3)


def test_what_it_says() -> None:
    assert playlist("a.mp4", [(700, 1_000, 4.0), (1_700, 300, 1.25)]).splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-TARGETDURATION:4",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="a.mp4",BYTERANGE="700@0"',
        "#EXTINF:4.000000,",
        "#EXT-X-BYTERANGE:1000@700",
        "a.mp4",
        "#EXTINF:1.250000,",
        "#EXT-X-BYTERANGE:300@1700",
        "a.mp4",
        "#EXT-X-ENDLIST",
    ]


def test_the_range_of_each_is_said_where_one_is_hdr() -> None:
    """Apple's authoring specification; without HDR, RFC 8216bis takes the lack for SDR."""
    head = "#EXTM3U\n#EXT-X-VERSION:7\n"
    sound = '#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="mp4a.40.2"\nsound.m3u8\n'
    lowest = '#EXT-X-STREAM-INF:BANDWIDTH=5,CODECS="avc1.64001e",RESOLUTION=4x2,FRAME-RATE=1.000'
    hdr = {"peak": 7, "mean": 6, "codecs": "hvc1.2.4.L30.90", "width": 8, "height": 4, "rate": 1, "range": "PQ"}
    once = with_hdr(f"{head}{lowest}\nlow.m3u8\n{sound}", ("hdr.m3u8", hdr))
    assert once.startswith(f"{head}{lowest},VIDEO-RANGE=SDR\nlow.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=7,")
    assert once.endswith(f",VIDEO-RANGE=PQ\nhdr.m3u8\n{sound}")
    assert with_hdr(once, ("hdr.m3u8", hdr)) == once


@pytest.fixture(scope="module")
async def encoded(media: Running, alice: Person) -> str:
    """The hash of a video that had to be."""
    hash = (await upload(media, alice.id, video("matroska", "mpeg4", seconds=9, size=(64, 48)))).hash
    await settled(media, alice.id, hash)
    return hash


async def test_a_public_one(visitor: FrontEnd, media: Running, alice: Person, encoded: str) -> None:
    path = (await status(media, alice.id, encoded)).hls_path
    master = await visitor.call("GET", path)
    assert "RESOLUTION=64x48" in master.text
    path = urljoin(path, master.text.splitlines()[-1])
    answer = await visitor.call("GET", path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vnd.apple.mpegurl")
    assert answer.headers["cache-control"].startswith("public")
    lines = answer.text.splitlines()
    (file,) = {line for line in lines if not line.startswith("#")}
    spans = [line.partition(":")[2].split("@") for line in lines if line.startswith("#EXT-X-BYTERANGE")]
    assert len(spans) == 3  # of 9 seconds, 4 at a time
    whole = await visitor.call("GET", f"/media/{file}")
    assert sum(int(size) for size, _ in spans) + int(spans[0][1]) == len(whole.content)
    for size, start in spans:
        bytes_ = f"bytes={start}-{int(start) + int(size) - 1}"
        part = await visitor.call("GET", f"/media/{file}", headers={"Range": bytes_})
        assert (part.status_code, part.content[4:8]) == (206, b"moof")
    ranged = await visitor.call("GET", path, headers={"Range": "bytes=0-"})
    assert (ranged.status_code, ranged.content) == (200, answer.content)
    head = await visitor.call("HEAD", path)
    assert (head.headers["content-length"], head.content) == (str(len(answer.content)), b"")
    again = await visitor.call("GET", path, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


async def test_a_private_one_opens_what_it_names(
    gateway: RunningGateway, visitor: FrontEnd, media: Running, alice: Person, encoded: str
) -> None:
    await refer(media, encoded, alice.id, PRIVATE)
    gateway.container.files.clear()
    path = (await status(media, alice.id, encoded)).hls_path
    await visitor.refused("GET", path.partition("?")[0], 404, 10054)
    await visitor.refused("GET", path.replace("sig=", "sig=0"), 404, 10054)
    path = urljoin(path, (await visitor.call("GET", path)).text.splitlines()[-1])
    await visitor.refused("GET", path.partition("?")[0], 404, 10054)
    answer = await visitor.call("GET", path)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, max-age=60")
    assert "etag" not in answer.headers, "these bytes are of this address only"
    lines = answer.text.splitlines()
    (file,) = {line for line in lines if not line.startswith("#")}
    assert f'URI="{file}"' in answer.text
    assert file.partition("?")[2].partition("&")[0] == path.partition("?")[2].partition("&")[0], "good for as long"
    assert (await visitor.call("GET", f"/media/{file}", headers={"Range": "bytes=0-9"})).status_code == 206
    await visitor.refused("GET", f"/media/{file.partition('?')[0]}", 404, 10054)
    head = await visitor.call("HEAD", path)
    assert head.headers["content-length"] == str(len(answer.content))
