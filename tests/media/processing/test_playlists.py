"""HLS playlists: what they say, and how they and what they name are served."""

import pytest

from services.media.processing.playlists import playlist
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


@pytest.fixture(scope="module")
async def encoded(media: Running, alice: Person) -> str:
    """The hash of a video that had to be."""
    hash = (await upload(media, alice.id, video("matroska", "mpeg4", seconds=9, size=(64, 48)))).hash
    await settled(media, alice.id, hash)
    return hash


async def test_a_public_one(visitor: FrontEnd, media: Running, alice: Person, encoded: str) -> None:
    path = (await status(media, alice.id, encoded)).hls_path
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
