"""`make release` in a repository made for the test, which holds what a release touches."""

import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest

from deploy.release.__main__ import CHANGELOG, STATED, WITH_VERSION, Refused, git, main, release
from deploy.release.changelog import close_section, unreleased
from deploy.release.protos import RELEASED, write_descriptors
from deploy.revision import read_revision
from services.kit import VERSION

ROOT = Path(__file__).parents[2]
NOTES = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- Saved videos.\n\n## [0.0.1] - 2026-01-01\n\n- Begun.\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    for file in WITH_VERSION:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    shutil.copytree(ROOT / "protos", tmp_path / "protos", ignore=shutil.ignore_patterns("*.py*"))
    (tmp_path / CHANGELOG).write_text(NOTES)
    git(tmp_path, "init", "--quiet")
    for setting in ("user.name=Test", "user.email=test@example.com", "commit.gpgsign=false", "tag.gpgsign=false"):
        git(tmp_path, "config", *setting.split("="))
    commit(tmp_path)
    return tmp_path


def commit(repository: Path) -> None:
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "Change something")


def refusal(repository: Path, version: str, current: str = "0.1.0") -> str:
    before = git(repository, "rev-parse", "HEAD"), git(repository, "status", "--porcelain")
    with pytest.raises(Refused) as refused:
        release(repository, version, current)
    assert (git(repository, "rev-parse", "HEAD"), git(repository, "status", "--porcelain")) == before
    return str(refused.value)


def add_rpc(repository: Path) -> None:
    proto = repository / "protos/social/v1/friends.proto"
    added = "message Added { string word = 1; }\nservice Adding { rpc Add(Added) returns (Added); }\n"
    proto.write_text(proto.read_text() + added)


def test_every_file_that_states_the_version_states_this_one() -> None:
    for file in WITH_VERSION:
        text = (ROOT / file).read_text()
        assert STATED.search(text) and STATED.sub(rf"\g<1>{VERSION}", text) == text, file


def test_a_release_is_one_commit_and_a_tag(repository: Path) -> None:
    add_rpc(repository)
    commit(repository)
    release(repository, "0.2.0", "0.1.0")
    assert git(repository, "log", "--format=%s") == "Release 0.2.0\nChange something\nChange something"
    assert git(repository, "tag", "--points-at", "HEAD") == "v0.2.0"
    assert git(repository, "status", "--porcelain") == ""
    for text in [(repository / file).read_text() for file in WITH_VERSION]:
        assert "0.2.0" in text and "0.1.0" not in text
    write_descriptors(repository, repository / "now.binpb")
    assert (repository / "now.binpb").read_bytes() == (repository / RELEASED).read_bytes()


def test_the_first_release_may_have_the_version_that_stands_there(repository: Path) -> None:
    release(repository, "0.1.0", "0.1.0")
    assert git(repository, "tag") == "v0.1.0"
    assert "does not come after" in refusal(repository, "0.1.0")


@pytest.mark.parametrize("version", ["", "1", "v0.2.0", "0.2.0; true"])
def test_only_a_version_is_released(repository: Path, version: str) -> None:
    assert "is no version" in refusal(repository, version)


def test_an_older_version_is_refused(repository: Path) -> None:
    assert "does not come after" in refusal(repository, "0.0.9")


def test_uncommitted_changes_are_refused(repository: Path) -> None:
    (repository / "new.txt").touch()
    assert "uncommitted" in refusal(repository, "0.2.0")


def test_an_empty_changelog_is_refused(repository: Path) -> None:
    (repository / CHANGELOG).write_text(NOTES.replace("### Added\n\n- Saved videos.\n\n", ""))
    commit(repository)
    assert "[Unreleased]" in refusal(repository, "0.2.0")


def test_a_contract_that_lost_something_is_refused(repository: Path) -> None:
    add_rpc(repository)
    write_descriptors(repository, repository / RELEASED)
    proto = repository / "protos/social/v1/friends.proto"
    proto.write_text(proto.read_text().replace("rpc Add(Added)", "rpc Extend(Added)"))
    commit(repository)
    assert 'Previously present RPC "Add"' in refusal(repository, "0.2.0")


def test_the_changelogs_section_moves_under_its_version() -> None:
    closed = close_section(NOTES, "0.2.0", date(2026, 5, 1))
    assert closed == NOTES.replace("## [Unreleased]\n", "## [Unreleased]\n\n## [0.2.0] - 2026-05-01\n")
    assert unreleased(NOTES) == "### Added\n\n- Saved videos."
    assert unreleased(closed) == unreleased("# Changelog\n") == ""


def test_the_command_says_why_it_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err == "error: '' is no version: make release VERSION=1.2.3\n"


def test_the_revision_is_the_images_or_the_checkouts() -> None:
    assert read_revision({"HITOK_REVISION": "abc"}) == "abc"
    if shutil.which("git") and (ROOT / ".git").exists():
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert head.startswith(read_revision({}).removesuffix("-dirty"))
