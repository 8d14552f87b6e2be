"""Documents name only what exists: links, headings, files."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:services|gateway|deploy|docs|tests|protos|clients|bench)/[\w./-]+)`(?! \(new\))")
NEIGHBOUR = re.compile(r"\b(?:after|before|beside|into|the comment of|the list)\s+`\"?([\w-]+)\"?`")
CITED = re.compile(r"\b((?:services|gateway|deploy|docs|tests|protos|bench)/[\w/.-]+\.(?:py|md|proto|yaml|yml|mjs))\b")


def walk(kind: str, *folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob(kind))


DOCUMENTS = [*ROOT.glob("*.md"), *walk("*.md", "docs", "services", "gateway", "deploy", "tests", "bench", ".github")]
DOCUMENTS += [ROOT / "clients/README.md"]  # what is beside it is made by others
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def prose(document: Path) -> str:
    return FENCE.sub("", document.read_text())


@cache
def anchors(document: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(prose(document)):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.resolve()), link


def test_each_decision_has_a_number_of_its_own() -> None:
    numbers = [path.name[:4] for path in walk("*.md", "docs/adr")]
    assert sorted(set(numbers)) == numbers


@each_document
def test_paths_exist(document: Path) -> None:
    made = ("clients/build/",)  # by a command
    assert [path for path in PATH.findall(prose(document)) if not (ROOT / path).exists() and path not in made] == []


def test_code_cites_files_that_exist() -> None:
    folders = ("services", "gateway", "deploy", "protos", "bench")
    missing = {
        f"{source.relative_to(ROOT)}: {cited}"
        for source in (*walk("*.py", *folders), *walk("*.proto", "protos"))
        if "_pb2" not in source.name
        for cited in CITED.findall(source.read_text())
        if not (ROOT / cited).exists()
    }
    assert missing == set()


def test_the_worked_example_imports_what_exists() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL)
    whole = [block for block in blocks if block.startswith('"""')]
    assert len(whole) == 4
    imports = [node for block in whole for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom)]
    names = {(node.module or "", alias.name) for node in imports for alias in node.names}
    assert {name for module, name in names if not is_there(module, name)} <= {"QueuedVideo"}


def test_the_worked_example_has_its_neighbours() -> None:
    """What it tells to write before, after, beside or into is in a file that its step names."""
    example = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add an endpoint")[2].partition("\n## ")[0]
    steps = [FENCE.sub("", step) for step in example.split("\n### ")[1:]]
    found = [(neighbour, step) for step in steps for neighbour in NEIGHBOUR.findall(step)]
    assert len(found) > 10
    assert [name for name, step in found if not any(name in text for text in named_files(step))] == []


def named_files(step: str) -> list[str]:
    """The texts of the files that a step names, by their paths or by a folder and their names."""
    paths = [ROOT / path for path in PATH.findall(step)]
    inside = [folder / name for folder in paths if folder.is_dir() for name in re.findall(r"`(\w+\.py)`", step)]
    return [path.read_text() for path in (*paths, *inside) if path.is_file()]


def test_the_guide_names_every_room() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    rooms = {path.parent.name for path in (*ROOT.glob("services/*/*/__init__.py"), *ROOT.glob("gateway/*/__init__.py"))}
    assert {room for room in rooms if f"`{room}/`" not in guide} == set()


def is_there(module: str, name: str) -> bool:
    """As an attribute, or as a module inside the package."""
    folder = ROOT / module.replace(".", "/")
    return (folder / f"{name}.py").exists() or hasattr(importlib.import_module(module), name)
