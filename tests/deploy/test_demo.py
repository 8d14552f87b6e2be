"""What the demo is made of; that it fills a running hitok, and once only, is in tests/e2e/test_readme.py."""

import shutil
from pathlib import Path

import av
import httpx
import phonenumbers
import pytest
import typer
from typer.testing import CliRunner

from deploy.demo.__main__ import main as run_demo
from deploy.demo.clips import Clip, main, write_clip
from deploy.demo.demo_run import DemoUser
from deploy.demo.scenes import SCENES
from deploy.demo.story import SeededChoices, friends_of, read_story
from deploy.deployment import MARK
from deploy.local.services import SERVICES

STORY = read_story()
APP = typer.Typer()
APP.command()(run_demo)


async def test_it_waits_for_a_service_that_is_away_for_a_moment() -> None:
    answers = iter(
        [httpx.Response(503, headers={"retry-after": "0"}), httpx.Response(200, json={"code": 200, "data": 1})]
    )
    async with httpx.AsyncClient(
        base_url="http://hitok", transport=httpx.MockTransport(lambda _: next(answers))
    ) as http:
        assert await DemoUser(http).get("/api/videos") == 1


def test_it_finds_the_hitok_that_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On whatever port."""
    monkeypatch.setenv("HITOK_VAR", str(tmp_path))
    monkeypatch.delenv(MARK, raising=False)
    (tmp_path / "settings").mkdir()
    for service in SERVICES:
        (tmp_path / f"settings/{service.name}.json").write_text('{"HITOK_HTTP_PORTS": "18123,18124"}')
    result = CliRunner().invoke(APP, ["--password", "correct horse"])
    assert result.exit_code == 1
    assert "http://127.0.0.1:18123" in result.stderr
    shutil.rmtree(tmp_path / "settings")
    assert "Start `make run` once" in CliRunner().invoke(APP).stderr


def test_the_story_names_only_people_it_has() -> None:
    people = {person.key for person in STORY.people}
    named = {key for pair in STORY.friends.pairs for key in pair}
    named |= {key for request in STORY.friends.requests for key in (request.by, request.to)}
    for group in STORY.groups:
        members = {group.owner, *group.members}
        assert {key for key, _ in group.talk} <= members
        named |= members | set(group.applicants)
    for video in STORY.videos:
        assert video.scene in SCENES
        named |= {video.owner, *(said.by for comment in video.comments for said in (comment, *comment.replies))}
    assert named == people


def test_people_talk_only_to_friends_and_comment_only_on_what_they_see() -> None:
    for chat in STORY.chats:
        assert chat.between[1] in friends_of(STORY, chat.between[0])
        assert {key for key, _ in chat.talk} <= set(chat.between)
    for video in STORY.videos:
        audience = {"friends": friends_of(STORY, video.owner), "private": []}.get(video.visibility)
        assert audience is None or {comment.by for comment in video.comments} <= set(audience)


def test_nobody_makes_more_than_the_limit_of_uploads_allows_at_once() -> None:
    for person in STORY.people:
        face = 1
        assert face + sum(video.owner == person.key for video in STORY.videos) <= 5


def test_numbers_are_valid_and_differ_by_seed() -> None:
    phones = [SeededChoices(seed).phone(person) for seed in (1, 2) for person in STORY.people]
    assert len(set(phones)) == 2 * len(STORY.people)
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(phone)) for phone in phones)
    assert SeededChoices(1).email(STORY.people[0]) != SeededChoices(2).email(STORY.people[0])


def test_the_same_seed_draws_the_same_whatever_was_asked_before() -> None:
    keys = [person.key for person in STORY.people]
    one, other = SeededChoices(1), SeededChoices(1)
    one.likers("another question", keys)
    assert one.likers("x", keys) == other.likers("x", keys)
    assert one.message_id("x", 1) == other.message_id("x", 1) != SeededChoices(2).message_id("x", 1)


@pytest.mark.parametrize("scene", SCENES)
def test_a_film_is_real_and_the_same_for_the_same_seed(scene: str, tmp_path: Path) -> None:
    clip = Clip(scene, 90, 160, 0.5, seed=7)
    paths = [tmp_path / name for name in ("one.mp4", "again.mp4", "other.mp4")]
    for path, made in zip(paths, (clip, clip, clip._replace(seed=8)), strict=True):
        write_clip(made, path)
    assert paths[0].read_bytes() == paths[1].read_bytes() != paths[2].read_bytes()
    with av.open(str(paths[0])) as film:
        assert film.streams.video[0].codec_context.name == "h264"
        assert film.streams.audio[0].codec_context.name == "aac"
        pictures = list(film.decode(video=0))
    assert (pictures[0].width, pictures[0].height, len(pictures)) == (90, 160, 10)
    assert bytes(pictures[0].planes[0]) != bytes(pictures[-1].planes[0])


def test_a_clip_in_a_folder_that_is_not_there_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        main(tmp_path / "absent" / "clip.mp4")
    assert capsys.readouterr().err == f"error: {tmp_path / 'absent'} is not a folder\n"
