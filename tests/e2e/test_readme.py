"""Runs each command of the README, as a newcomer would, and compares what it prints with what the README says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from deploy.demo.demo_run import Visitor
from deploy.demo.story import SeededChoices, read_story
from deploy.frontend import FrontEnd, open_http
from deploy.local.data_dir import ROOT, load_secrets
from tests.e2e.everything import Everything, everything
from tests.e2e.readme import Step, fits, make_desk, read_steps
from tests.support.servers import temporary_folder

NAMES = ("README.md", "README.zh-CN.md")
RUN, TEST = "make run\n", "make test\n"
STEPS = read_steps(NAMES[0])
WALK = [step for step in STEPS if step.commands not in (RUN, TEST)]
MARK = "--- the step ends with"


@pytest.fixture(scope="module")
def running() -> Iterator[Everything]:
    """With limits: the walk has to fit under them."""
    with temporary_folder() as folder:
        make_desk(folder / "desk")
        with everything(folder / "desk" / "var", HITOK_RATE_LIMIT_SCALE="1") as running:
            yield running


@pytest.fixture(scope="module")
def walked(running: Everything) -> list[str]:
    """The output of each step, all run in one shell in the README's order."""
    script = "".join(f"{step.commands}code=$?; echo; echo '{MARK}' $code\n" for step in WALK)
    environ = {
        "PATH": os.environ["PATH"],
        "HITOK_HTTP_PORTS": ",".join(url.rpartition(":")[2] for url in running.urls),
        "DEMO": "--seconds 0.5",  # the films of the demo
        "MAKEFLAGS": "STAMP=",  # the environment is the one we run in: it is not made anew
        "NODE_OPTIONS": "" if has_node(22) else "--experimental-websocket",
    }
    script = script.replace("http://127.0.0.1:8888", running.urls[0])
    done = subprocess.run(
        ["bash", "-u", "-c", script], cwd=running.var.parent, env=environ, capture_output=True, text=True, timeout=300
    )
    printed = re.split(f"\n{MARK} (\\d+)\n", done.stdout)
    assert set(printed[1::2]) == {"0"}, done.stdout + done.stderr
    return [text.replace(running.urls[0], "http://127.0.0.1:8888") for text in printed[:-1:2]]


@pytest.fixture
async def http(running: Everything, walked: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    async with open_http(running.urls[0]) as client:
        yield client


def has_node(major: int) -> bool:
    """Or a newer one; skips the test where there is none at all."""
    if not shutil.which("node"):
        pytest.skip("Node is not installed")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.removeprefix("v").partition(".")[0]) >= major


def demo(running: Everything, *options: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"HITOK_VAR": str(running.var)}
    command = [sys.executable, "-m", "deploy.demo", "--url", running.urls[0], *options]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)


def test_both_languages_tell_the_same_commands_and_answers() -> None:
    assert read_steps(NAMES[1]) == STEPS
    assert [step.commands for step in STEPS if step not in WALK] == [RUN, TEST]
    assert all(step.output for step in WALK)


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / name).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_an_elided_answer_fits_only_its_like() -> None:
    assert fits('{"a":"…","b":1}', '{"a":"x","b":1}\n')
    assert not fits('{"a":"…","b":1}', '{"a":"x","b":2}')
    assert not fits("a.c", "abc")


def test_make_run_says_what_the_readme_shows(running: Everything) -> None:
    told = next(step.output for step in STEPS if step.commands == RUN)
    for shown, url in zip(("8888", "8889"), running.urls, strict=True):
        told = told.replace(f"http://127.0.0.1:{shown}", url)
    assert fits(told, running.said)


@pytest.mark.parametrize("place", range(len(WALK)))
def test_each_step_prints_what_the_readme_says(walked: list[str], place: int) -> None:
    step: Step = WALK[place]
    assert fits(step.output, walked[place]), f"{step.commands}\nprinted\n{walked[place]}\nnot\n{step.output}"


async def test_the_demo_stands(running: Everything, http: httpx.AsyncClient) -> None:
    """Checks the demo as one of its users, whose login was printed."""
    story, draw = read_story(), SeededChoices(1)
    password = load_secrets(running.var, [])["demo"][:16]
    tokens = await Visitor(http).post("/api/login/login", email=draw.email(story.people[0]), password=password)
    mira = FrontEnd(http, tokens["atoken"])
    shown = {video["title"]: video for video in (await mira.get("/api/videos", page_size=50))["data"]}
    public = [video for video in story.videos if video.visibility == "public"]
    assert {video.title for video in public} <= set(shown)
    for video in public:
        said = len(video.comments) + sum(len(comment.replies) for comment in video.comments)
        assert shown[video.title]["comments"] == str(said)
        assert shown[video.title]["cover"]
        assert int(shown[video.title]["likes"]) == int(shown[video.title]["view_count"]) > 0
    assert "草稿，先别看" not in shown
    talks = (await mira.get("/api/chat/conversations"))["conversations"]
    assert {"Sunrise Club 日出俱乐部", "Pixel Kitchen"} <= {talk["title"] for talk in talks}
    waiting = (await mira.ask("GET", "/v1/social/friend/putIns", params={"class": "2"}))["list"]
    assert [request["req_msg"] for request in waiting] == [request.text for request in story.friends.requests[:1]]


def test_a_second_demo_adds_nothing(running: Everything, walked: list[str]) -> None:
    again = demo(running)
    assert again.returncode == 0, again.stderr
    assert "the demo exists already: nothing was added" in again.stdout


def test_a_demo_with_another_password_says_what_to_do(running: Everything, walked: list[str]) -> None:
    refused = demo(running, "--password", "another horse")
    assert refused.returncode == 1
    reason = "the demo exists already, with another password. Give that one (--password)"
    assert refused.stderr.startswith(f"error: {reason}")


async def test_the_doctor_leaves_nobody_behind(http: httpx.AsyncClient) -> None:
    login = {"phone": "17500000001", "password": "correct horse"}
    friend = FrontEnd(http, (await Visitor(http).post("/api/v1/user/login", **login))["token"])
    assert (await friend.get("/api/contact/search-users", query="hitok doctor"))["users"] == []
    assert "hitok doctor" not in {video["title"] for video in (await friend.get("/api/videos"))["data"]}
