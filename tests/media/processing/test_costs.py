"""What one picture may cost: time for its pixels, and no more passes over them than its size allows."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.media.files.children.children import OUT_OF_TIME, ROOT
from services.media.files.filetypes import IMAGE
from services.media.processing.sandbox.formats.picture_metadata import scans_of_jpeg
from services.media.processing.sandbox.limits import Refused
from services.media.processing.sandbox.pictures import pictures
from tests.media.hostile import gif_of_frames, jpeg_of_scans
from tests.support.media import image

LIMITS = {"pixels": 50_000_000, "seconds": 60}


def test_a_process_ends_when_its_time_is_used_up() -> None:
    code = "from services.media.processing.sandbox import limits; limits._confined.set(); limits.allow_cpu(0.05)\n"
    code += "while True: pass"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60)
    assert ended.returncode == -signal.SIGPROF
    assert ended.returncode in OUT_OF_TIME


def test_a_jpeg_has_no_more_scans_than_its_size_allows(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(jpeg_of_scans(7_000, 30))
    with pytest.raises(Refused) as refusal:
        pictures.inspect(path, IMAGE, "JPEG", LIMITS)
    assert (refusal.value.code, str(refusal.value)) == ("LARGE", "too many scans")
    assert scans_of_jpeg(image("JPEG", progressive=True)) == 10, "what encoders make"
    assert scans_of_jpeg(image("JPEG")) == 1


def test_of_an_animation_the_first_frames_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "DECODED_PIXELS", 10 * 64 * 64)
    path, good = tmp_path / "file", gif_of_frames(64, 64, 40)
    path.write_bytes(good)
    assert pictures.inspect(path, IMAGE, "GIF", LIMITS)["width"] == 64
    path.write_bytes(good[:-40])
    with pytest.raises(Refused) as refusal:
        pictures.inspect(path, IMAGE, "GIF", LIMITS)
    assert refusal.value.code == "TRUNCATED", "what comes after them is followed by its lengths"
