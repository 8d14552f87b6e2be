"""`make release VERSION=1.2.3` makes a release: one commit and one tag.

Writes the version into the code, closes the changelog's unreleased section and stores the descriptors of the protos
and the newest migrations, which the next release keeps working.
Refuses uncommitted changes, an old or used version, an empty changelog, and protos that lost something.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.release.changelog import close_section, unreleased
from deploy.release.protos import RELEASED, find_breaks, write_descriptors
from services.kit import VERSION
from services.kit.schema import RELEASED as REVISION_FILE

CHANGELOG = Path("CHANGELOG.md")
WITH_VERSION = (
    Path("services/kit/__init__.py"),
    # Copies for tools that cannot read the first; tests/deploy/test_release.py compares them.
    Path("Dockerfile"),
    Path("clients/chat/package.json"),
    Path("clients/typescript/package.json"),
    Path("deploy/kubernetes/small/kustomization.yaml"),
    Path("deploy/kubernetes/production/kustomization.yaml"),
)
STATED = re.compile(r'((?:VERSION ?= ?"?|"version": "|newTag: ))\d+\.\d+\.\d+')


class Refused(Exception):
    """There is no release. The text says what to do."""


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603, S607


def numbers(version: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise Refused(f"{version!r} is no version: make release VERSION=1.2.3")
    return tuple(map(int, version.split(".")))


def check(root: Path, version: str, current: str) -> None:
    """Raises Refused."""
    tags = git(root, "tag", "--list", "v*").splitlines()
    if numbers(version) < numbers(current) or f"v{version}" in tags or (numbers(version) == numbers(current) and tags):
        raise Refused(f"{version} does not come after {current}")
    if git(root, "status", "--porcelain"):
        raise Refused("there are uncommitted changes: commit or stash them first")
    if not unreleased((root / CHANGELOG).read_text()):
        raise Refused(f"there is nothing under [Unreleased] in {CHANGELOG}: write what this release changes")
    with TemporaryDirectory() as folder:
        new = Path(folder) / "new.binpb"
        write_descriptors(root, new)
        if broken := find_breaks(root / RELEASED, new):
            raise Refused("the contracts lost something that the last release has:\n" + "\n".join(broken))


def release(root: Path, version: str, current: str) -> None:
    """Raises Refused before it changes anything."""
    check(root, version, current)
    for path in (root / file for file in WITH_VERSION):
        path.write_text(STATED.sub(rf"\g<1>{version}", path.read_text()))
    changelog = root / CHANGELOG
    changelog.write_text(close_section(changelog.read_text(), version, datetime.now(UTC).date()))
    write_descriptors(root, root / RELEASED)
    note_revisions(root)
    git(root, "add", "--update")
    git(root, "commit", "--message", f"Release {version}")
    git(root, "tag", "--annotate", f"v{version}", "--message", f"hitok {version}")


def note_revisions(root: Path) -> None:
    """The next release's migrations keep the code working that knows the newest ones of this release."""
    for folder in (root / "services").glob("*/migrations"):
        newest = max(file.name[:4] for file in folder.glob("[0-9]*.py"))
        (folder / REVISION_FILE).write_text(f"{newest}\n")


def main(arguments: Sequence[str]) -> int:
    version = arguments[0] if arguments else ""
    try:
        release(Path.cwd(), version, VERSION)
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"released {version}: look at it (git show), then git push --follow-tags")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
