"""The images, as far as a machine without Docker can tell: what the Dockerfile says, and whether it would do."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from importlib.metadata import distribution
from pathlib import Path

import msgspec
import pytest

from deploy.docker.packages import REQUIREMENTS, licence_of, read_packages
from deploy.docker.sbom import make_bom
from deploy.local.services import SERVICES
from docs.generate import SERVICES as SETTINGS
from services.kit.config import variable_names
from tests.deploy.dockerfile import ROOT, copy_code, exec_form, pins, read_dockerfile

STAGES = read_dockerfile()
PROCESSES = {service.name: service for service in SERVICES}
SHIPPED = [*PROCESSES, "databases"]
IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path[:0] = sys.argv[1:3]
package = importlib.import_module(sys.argv[3])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(module.name)
import services.kit.health
"""


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


@pytest.mark.parametrize("name", PROCESSES)
def test_an_image_installs_exactly_its_part_of_the_lock(name: str) -> None:
    assert ("build", f"pip install -r {name}.txt") == (
        STAGES[f"{name}-packages"].parent.name,  # type: ignore[union-attr]
        STAGES[f"{name}-packages"].last("RUN"),
    )
    locked, listed = pins(ROOT / "requirements.lock"), pins(REQUIREMENTS / f"{name}.txt")
    assert listed and [line for line, entry in listed.items() if locked.get(line) != entry] == [], "run `make lock`"
    assert all("--hash" not in line for line in (REQUIREMENTS / f"{name}.txt").read_text().split("\n") if "==" in line)


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]

    def ignored(path: str) -> bool:
        verdict = False
        for rule in rules:
            pattern = rule.lstrip("!")
            parts = [path, *map(str, Path(path).parents)]
            if any(fnmatch(part, pattern) or fnmatch(part, pattern.replace("**/", "")) for part in parts):
                verdict = not rule.startswith("!")
        return verdict

    sources = {source for stage in STAGES.values() for origin, source, _ in stage.copies if not origin}
    assert sources
    assert [source for source in sources if not (ROOT / source).exists() or ignored(source)] == []
    assert not ignored("deploy/local/databases.py") and not ignored("services/user/migrations/0001_first.py")
    for secret in (".env", "var/secrets.json", ".git/config", "tests/conftest.py", "deploy/local/health.py"):
        assert ignored(secret)


# -- what they run -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROCESSES)
def test_an_image_starts_its_process_and_asks_it_for_its_health(name: str) -> None:
    stage, service = STAGES[name], PROCESSES[name]
    assert exec_form(stage.last("ENTRYPOINT")) == ["python", "-m", service.module]
    check = stage.last("HEALTHCHECK")
    assert exec_form(check) == ["python", "-m", "services.kit.health", service.health, name]
    given = stage.environment
    ports = [port for group in service.ports for port in given[group.setting].split(",")]
    assert ports == [port for group in service.ports for port in group.default.split(",")]
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


def test_each_process_finds_all_it_imports_in_its_image_and_no_other_service(tmp_path: Path) -> None:
    """In a Python that sees nothing but the image's code and packages."""

    def import_all(name: str) -> tuple[str, str]:
        app, packages = tmp_path / name / "app", tmp_path / name / "packages"
        copy_code(STAGES, name, app)
        link_packages(name, packages)
        others = [other for other in PROCESSES if other != name and (app / "services" / other).exists()]
        command = [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(app), str(packages), PROCESSES[name].module]
        done = subprocess.run(command, capture_output=True, text=True, cwd=app)
        return name, done.stderr + "".join(others)

    with ThreadPoolExecutor(2) as pool:
        assert dict(pool.map(import_all, PROCESSES)) == dict.fromkeys(PROCESSES, "")


def link_packages(name: str, folder: Path) -> None:
    """The image's packages, as links to the installed ones."""
    folder.mkdir(parents=True)
    for package in read_packages(REQUIREMENTS / f"{name}.txt"):
        installed = distribution(package.name)
        assert installed.version == package.version
        site = Path(str(installed.locate_file("")))
        for file in installed.files or ():
            top = Path(file.parts[0])
            # A folder without __init__.py is shared by several packages.
            linked = top if not (site / top).is_dir() or (site / top / "__init__.py").exists() else Path(file)
            if ".." not in file.parts and not (folder / linked).is_symlink():
                (folder / linked).parent.mkdir(parents=True, exist_ok=True)
                (folder / linked).symlink_to(site / linked)


# -- what they are made of, said to others -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROCESSES)
def test_a_bill_of_materials_names_every_package_with_its_licence(name: str) -> None:
    packages = list(read_packages(REQUIREMENTS / f"{name}.txt"))
    assert [package.name for package in packages if not licence_of(package.name)] == []
    bom = make_bom(REQUIREMENTS / f"{name}.txt")
    assert {component.name for component in bom.components} == {package.name for package in packages}
    assert all(component.hashes and component.licenses and component.purl for component in bom.components)
