"""What holds for the tree as a whole."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generate import rendered

ROOT = Path(__file__).parent.parent
PROTOS = sorted(path.relative_to(ROOT) for path in ROOT.glob("protos/**/*.proto"))
SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/__main__.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def offenders(folder: str, forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in imports(path)
        if name.startswith(forbidden)
    ]


def test_the_kit_imports_no_service_and_no_contract() -> None:
    others = tuple(f"services.{name}" for name in SERVICES)
    assert offenders("services/kit", (*others, "gateway", "deploy", "protos")) == []


def test_the_object_store_imports_only_the_kit() -> None:
    assert offenders("services/kit", ("services.objectstore",)) == []
    others = tuple(f"services.{name}" for name in SERVICES)
    assert offenders("services/objectstore", (*others, "gateway", "deploy", "protos")) == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_neither_another_nor_the_gateway(service: str) -> None:
    others = tuple(f"services.{name}." for name in SERVICES if name != service)
    assert offenders(f"services/{service}", (*others, "gateway.", "deploy.")) == []


def test_the_gateway_imports_no_service() -> None:
    assert offenders("gateway", (*(f"services.{name}" for name in SERVICES), "deploy")) == []


# Rooms and modules, from the bottom up; each imports only from its own line and those above it.
ORDER = {
    "services/chat": (
        "errors config models messages pipeline batched_lookup",
        "push",
        "notifications",
        "membership",
        "sending",
        "reading",
        "online presence tickets",
        "service",
        "servicers consumer",
        "admin",
        "__main__",
    ),
    "gateway": (
        "config",
        "http",
        "cache",
        "chat",
        "ws",
        "container",
        "files",
        "api",
        "app",
        "__main__",
    ),
}


@pytest.mark.parametrize("package", ORDER)
def test_rooms_import_one_way(package: str) -> None:
    levels = {room: level for level, line in enumerate(ORDER[package]) for room in line.split()}
    prefix = package.replace("/", ".") + "."
    wrong = []
    for path in (ROOT / package).rglob("*.py"):
        room = path.relative_to(ROOT / package).parts[0].removesuffix(".py")
        if room in ("__init__", "migrations"):
            continue
        for name in imports(path):
            imported = name.removeprefix(prefix).split(".")[0] if name.startswith(prefix) else ""
            if imported and levels[imported] > levels[room]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_the_json_of_the_chat_is_written_from_the_contract_alone() -> None:
    forbidden = (*(f"services.{name}" for name in (*SERVICES, "kit")), "gateway", "deploy")
    assert offenders("services/client_json", forbidden) == []


def test_nothing_in_production_imports_tests_or_development_tools() -> None:
    tools = ("tests", "bench", "docs", "pytest", "hypothesis")
    served = (*tools, "httpx")  # what calls us, as the demo does, may use it
    assert offenders("services", served) + offenders("gateway", served) + offenders("deploy", tools) == []


@pytest.mark.parametrize("module", [*(f"services.{name}.__main__" for name in SERVICES), "gateway.__main__"])
def test_a_process_loads_nothing_that_only_others_use(module: str) -> None:
    """It would be memory for as long as the process lives, and time when it starts."""
    rare = {"alembic", "opentelemetry.exporter"}
    if module.startswith("gateway"):
        rare |= {"sqlalchemy", "psycopg"}
    listing = [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"]
    loaded = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    assert module in loaded and rare & set(loaded) == set()


def test_a_pure_test_loads_no_service() -> None:
    """Its run then takes about a second; all services together take ten."""
    listing = "import pytest, sys; pytest.main(['-qq', '--collect-only', 'tests/kit/test_ids.py']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", listing], cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "tests.kit.test_ids" in loaded
    heavy = {"grpc", "psycopg", "schemathesis", "faker", "litestar", *(f"services.{name}" for name in SERVICES)}
    assert heavy & loaded == set()


def test_generated_protobuf_code_is_current(tmp_path: Path) -> None:
    outputs = [f"--{kind}={tmp_path}" for kind in ("python_out", "mypy_out", "grpc_python_out")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, f"--mypy_grpc_out=only_async:{tmp_path}"]
    plugins = {"PATH": str(Path(sys.executable).parent)}
    subprocess.run([*command, *map(str, PROTOS)], cwd=ROOT, env=plugins, check=True, capture_output=True)
    made = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert made
    stale = [str(path.relative_to(tmp_path)) for path in made if path.read_bytes() != committed(path, tmp_path)]
    assert stale == [], "run `make protos`"


def committed(path: Path, made_in: Path) -> bytes:
    counterpart = ROOT / path.relative_to(made_in)
    return counterpart.read_bytes() if counterpart.exists() else b""


def test_generated_documentation_is_current() -> None:
    assert [path.name for path, text in rendered().items() if path.read_text() != text] == [], "run `make docs`"


def test_modules_stay_small() -> None:
    sizes = {
        path: len(path.read_text().splitlines())
        for folder in ("services", "gateway", "deploy")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert [str(path.relative_to(ROOT)) for path, lines in sizes.items() if lines > 400] == []
