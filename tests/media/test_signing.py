"""For how long a private file's path is valid."""

import time
from urllib.parse import parse_qs, urlsplit

import pytest

from services.media.signing import Signer

LEAST = {0: 600, 15_000: 600, 300_000: 600, 301_000: 602, 7_200_000: 14_400}  # seconds, by milliseconds
FILE = "0" * 64 + ".mp4"


@pytest.mark.parametrize(
    ("duration", "least"), [(0, 600), (15_000, 600), (300_000, 600), (301_000, 602), (7_200_000, 14_400)]
)
def test_twice_the_length_of_a_video_but_at_least_ten_minutes(duration: int, least: int) -> None:
    path = Signer("secret", 600).path(FILE, private=True, duration=duration)
    expires = int(parse_qs(urlsplit(path).query)["exp"][0])
    assert least - 1 <= expires - time.time() <= 2 * least


def test_a_public_file_needs_no_signature() -> None:
    assert Signer("secret", 600).path(FILE, private=False, duration=1) == f"/media/{FILE}"
