"""What holds for the tree as a whole."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
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


def test_the_client_for_valkey_imports_nothing_of_ours() -> None:
    assert offenders("services/kit", ("services.valkey",)) == []
    wrong = offenders("services/valkey", ("services.", "gateway", "deploy", "protos"))
    assert [each for each in wrong if "imports services.valkey." not in each] == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_neither_another_nor_the_gateway(service: str) -> None:
    others = tuple(f"services.{name}." for name in SERVICES if name != service)
    assert offenders(f"services/{service}", (*others, "gateway.", "deploy.")) == []


def test_the_gateway_imports_no_service() -> None:
    assert offenders("gateway", (*(f"services.{name}" for name in SERVICES), "deploy")) == []


# Rooms and modules of each package, from the bottom up: each imports only from its own line and the lines above it.
# A room is a folder, or a module that stands at the top of the package.
ORDER = {
    "services/kit": (
        "errors ids config overload roles texts ttl_map",
        "tracing",
        "telemetry context cursor tokens",
        "sql",
        "log background batcher db pages",
        "nats",
        "rpc",
        "events",
        "migrate schema",
        "process",
    ),
    "services/chat": (
        "errors config models messages parameters batched_lookup apart",
        "push",
        "notifications",
        "away membership",
        "reactions pins",
        "sending",
        "reading",
        "account_erasure export online presence search_words tickets",
        "service",
        "servicers consumer",
        "admin",
        "__main__",
    ),
    "services/media": (
        "errors config models",
        "events export local_store pages signing spools",
        "storage",
        "resources",
        "files relationships tags",
        "pictures",
        "videos",
        "processing",
        "maintenance",
        "service",
        "servicers consumer",
        "video_commands",
        "admin",
        "__main__",
    ),
    "services/social": (
        "errors config locks models",
        "events export messages queries validation service",
        "follows",
        "friends",
        "groups mutes",
        "servicers consumer",
        "admin",
        "__main__",
    ),
    "gateway": (
        "config",
        "http",
        "cache",
        "chat",
        "ws stubs",
        "container",
        "files",
        "api",
        "web",
        "docs",
        "app",
        "__main__",
    ),
    "gateway/api": ("timeouts fragments", "compat", "shortvideo", "hichat"),
    "deploy/local": (
        "errors services settings_files",
        "data_dir databases ports launcher",
        "child",
        "template",
        "servers",
        "backends environment commands",
        "ha",
        "processes",
        "__main__",
    ),
    "deploy": (
        "revision database_services",
        "unknown_settings",
        "local",
        "deployment frontend",
        "backup demo docker release",
        "doctor",
    ),
}
MAX_LINES = 250  # of a module
MAX_KIT_LINES = 3_950
MAX_MODULES = 20  # of a room, its __init__ and __main__ not counted


def room_of(path: Path, package: str) -> str:
    return path.relative_to(ROOT / package).parts[0].removesuffix(".py")


@pytest.mark.parametrize("package", ORDER)
def test_rooms_import_one_way(package: str) -> None:
    levels = {room: level for level, line in enumerate(ORDER[package]) for room in line.split()}
    prefix = package.replace("/", ".") + "."
    wrong = []
    for path in sorted((ROOT / package).rglob("*.py")):
        room = room_of(path, package)
        if room in ("__init__", "migrations"):
            continue
        for name in imports(path):
            imported = name.removeprefix(prefix).split(".")[0] if name.startswith(prefix) else ""
            if imported in levels and levels[imported] > levels[room]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


@pytest.mark.parametrize("package", ORDER)
def test_every_room_has_its_place_in_the_order(package: str) -> None:
    rooms = {room_of(path, package) for path in (ROOT / package).rglob("*.py")} - {"__init__", "migrations"}
    assert rooms <= {room for line in ORDER[package] for room in line.split()}


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """The modules that each module imports, by their names."""
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in ("services", "gateway", "deploy")
        for path in (ROOT / package).rglob("*.py")
    }

    def module_named(name: str) -> str:
        while name and name not in modules:
            name = name.rpartition(".")[0]
        return name

    return {module: {module_named(name) for name in imports(path)} - {"", module} for module, path in modules.items()}


def check_acyclic(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_no_modules_import_each_other_in_a_circle(graph: dict[str, set[str]]) -> None:
    check_acyclic(graph)


def test_no_rooms_import_each_other_in_a_circle(graph: dict[str, set[str]]) -> None:
    """A room is a folder; a module beside folders is a room by itself."""
    folders = {module.rpartition(".")[0] for module in graph}
    parents = {folder.rpartition(".")[0] for folder in folders}
    rooms = {module: module if (folder := module.rpartition(".")[0]) in parents else folder for module in graph}
    by_room: dict[str, set[str]] = {}
    for module, imported in graph.items():
        by_room.setdefault(rooms[module], set()).update({rooms[name] for name in imported} - {rooms[module]})
    check_acyclic(by_room)


def test_rooms_stay_small() -> None:
    counts = Counter(
        str(path.parent.relative_to(ROOT))
        for package in ("services", "gateway", "deploy", "bench")
        for path in (ROOT / package).rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py") and path.parent.name != "migrations"  # a chain, by number
    )
    assert {room: count for room, count in counts.items() if count > MAX_MODULES} == {}


# docs/adr/0012: the modules that open a transaction beside a servicer, and why.
OPENERS = {
    "services/kit/events/consumer.py": "the inbox row and the handler's writes commit together",
    "services/kit/events/pruning.py": "a background task",
    "services/kit/events/recovery.py": "a background task",
    "services/kit/events/relay.py": "a background task",
    "services/kit/process/commands.py": "the operator's command line",
    "services/chat/admin.py": "the operator's command line",
    "services/chat/account_erasure.py": "a background task",
    "services/chat/away/recorder.py": "a background task",
    "services/chat/away/queue.py": "a background task, which calls push services between its transactions",
    "services/chat/membership/directory.py": "the social service is asked before a group's conversation is completed",
    "services/chat/membership/refresh.py": "the social service is asked between the look for the member and the change",
    "services/chat/presence.py": "a background task; a lookup asks the social service and Valkey in between",
    "services/chat/push/outbox.py": "a background task",
    "services/chat/sending/insert.py": "one transaction for the messages of many RPCs (group commit)",
    "services/chat/sending/sending.py": "the social and the media service are asked in between",
    "services/chat/search_words.py": "a background task",
    "services/chat/service.py": "the start of the process",
    "services/media/admin.py": "the operator's command line",
    "services/media/files/deletions.py": "a background task, which deletes files between its transactions",
    "services/media/files/ingest.py": "a file is put into the store between the look for it and its row",
    "services/media/files/resumable.py": "parts of a file are received and stored between its transactions",
    "services/media/maintenance/filling.py": "the operator's command line, which inspects files in between",
    "services/media/maintenance/metadata_cleaning.py": "the operator's command line, which inspects files in between",
    "services/media/maintenance/search_words.py": "a background task",
    "services/media/maintenance/sweeper.py": "a background task",
    "services/media/maintenance/unused_uploads.py": "a background task",
    "services/media/pictures/variants.py": "a child process makes the file between the look for it and its row",
    "services/media/processing/derivatives.py": "a background task, which converts and stores files in between",
    "services/media/processing/jobs.py": "a background task",
    "services/media/processing/progress.py": "a background task, beside a child process",
    "services/media/processing/progress_frames.py": "a background task",
    "services/media/relationships/backfill.py": "the operator's command line, which asks the social service in between",
    "services/media/service.py": "the start of the process",
    "services/media/videos/account_erasure.py": "a background task",
    "services/media/videos/captions/captions.py": "files are stored between the look for a video and its change",
    "services/media/videos/views.py": "one transaction for the views of many RPCs (group commit)",
    "services/social/admin.py": "the operator's command line",
    "services/user/second_factor/factors.py": "a password is verified before, and a guess counted around it",
    "services/user/second_factor/reencryption.py": "a background task",
    "services/user/exports/links.py": "a password is verified before",
    "services/user/exports/preparation.py": "a mail is sent between",
    "services/user/accounts.py": "the account is read before its password is verified",
    "services/user/admin.py": "the operator's command line",
    "services/user/credentials.py": "a password is verified or hashed, or a code redeemed, before",
    "services/user/email_changes.py": "a background task",
    "services/user/erasure.py": "a password is verified before; a background task",
    "services/user/guesses.py": "a guess is counted before the password is verified, and given back after",
    "services/user/moderation/commands.py": "the operator's command line",
    "services/user/registration.py": "a password is hashed, and a code redeemed, before",
    "services/user/service.py": "the start of the process",
    "services/user/retention.py": "a background task",
    "services/user/sessions.py": "a background task",
}


def test_a_transaction_is_opened_in_the_servicer_or_for_a_reason_that_is_written_down() -> None:
    opening = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "services").rglob("*.py")
        if path.name != "servicers.py" and ".transaction()" in path.read_text()
    }
    assert opening == OPENERS.keys()


def test_calls_to_urls_of_others_import_nothing_of_ours() -> None:
    wrong = offenders("services/outbound", ("services.", "gateway", "deploy", "protos"))
    assert [each for each in wrong if "imports services.outbound." not in each] == []


def test_the_parser_of_tags_imports_only_the_kit() -> None:
    assert offenders("services/kit", ("services.entities",)) == []
    others = tuple(f"services.{name}" for name in SERVICES)
    assert offenders("services/entities", (*others, "gateway", "deploy", "protos")) == []


def test_the_json_of_the_chat_is_written_from_the_contract_alone() -> None:
    forbidden = (*(f"services.{name}" for name in (*SERVICES, "kit")), "gateway", "deploy")
    assert offenders("services/client_json", forbidden) == []


PRONOUNS = re.compile(
    r"(?<![a-z])(?:h[e]|hi[sm]|hi[m]self)(?![a-z])", re.IGNORECASE
)  # written so as not to match itself
TEXTS = ("py", "proto", "md", "mjs", "yml", "yaml", "toml", "html")
FOLDERS = ("services", "gateway", "deploy", "protos", "docs", "clients", "bench", "tests", ".github")
AS_PUBLISHED = ("docs/contract/source-short-video.md", "docs/contract/source-hichat.md")  # others wrote them


def test_a_user_is_they() -> None:
    texts = [*ROOT.glob("*.*"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.*"))]
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts
        if path.suffix[1:] in TEXTS and str(path.relative_to(ROOT)) not in AS_PUBLISHED
        if not path.is_relative_to(ROOT / "clients/build")  # written by others, and in no commit
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if PRONOUNS.search(line)
    ]
    assert wrong == []


def test_nothing_runs_statements_by_sqlalchemys_engines() -> None:
    """docs/adr/0060: connections are `services.kit.sql.connection.AsyncConnection`."""
    assert offenders("services", ("sqlalchemy.ext.asyncio",)) + offenders("deploy", ("sqlalchemy.ext.asyncio",)) == []


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
    listing = (
        "import pytest, sys; pytest.main(['-qq', '--collect-only', 'tests/kit/test_ttl_map.py']); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", listing], cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "tests.kit.test_ttl_map" in loaded
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
    assert [str(path.relative_to(ROOT)) for path, lines in sizes.items() if lines > MAX_LINES] == []


def test_the_kit_stays_within_its_budget() -> None:
    """docs/adr/0008 says why it is what it is."""
    lines = sum(len(path.read_text().splitlines()) for path in (ROOT / "services/kit").rglob("*.py"))
    assert lines <= MAX_KIT_LINES
