"""Users of whom a file was refused lately: for a while, their files are inspected behind everything else."""

import os

import pytest

from services.media.files import probe
from services.media.files.children import children
from tests.support.media import Running, image, upload
from tests.support.social import new_users, refusal


@pytest.mark.parametrize("refused", [b"\x89PNG\r\n\x1a\n", b"<html>"], ids=["by its inspection", "by its type"])
async def test_who_had_a_file_refused_is_inspected_behind_others(
    local: Running, monkeypatch: pytest.MonkeyPatch, refused: bytes
) -> None:
    behind, go_behind = list[int](), children.Child.go_behind

    def noting(child: children.Child, niceness: int = children.BEHIND) -> None:
        go_behind(child, niceness)
        behind.append(niceness)

    monkeypatch.setattr(children.Child, "go_behind", noting)
    monkeypatch.setattr(probe, "SHORT", 60)  # whatever the machine does, no file takes long
    user, other = new_users(2)
    await upload(local, user, image("PNG", (31, 30)))
    assert await refusal(upload(local, user, refused + os.urandom(99)))
    assert behind == [], "nobody knew"
    await upload(local, other, image("PNG", (32, 30)))
    assert behind == []
    await upload(local, user, image("PNG", (33, 30)))
    assert behind == [probe.LAST]
