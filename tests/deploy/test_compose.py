"""docker-compose.yml, as far as a machine without Docker can tell."""

import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import msgspec
import psycopg
import pytest
import yaml

from deploy.docker.databases import make_databases
from deploy.local.databases import make_url
from deploy.local.errors import LocalError
from deploy.local.servers.cluster import INITDB_OPTIONS
from deploy.local.services import SERVICES
from deploy.unknown_settings import SCRATCH_URL, find_unknown_settings
from docs.generate import SERVICES as SETTINGS
from services.kit.config import ConfigError, load, variable_names
from tests.deploy.compose import (
    EXAMPLE,
    FILE,
    USE,
    MissingValue,
    environment_of,
    fill,
    load_settings,
    read_compose,
    read_env,
    target_of,
)
from tests.deploy.dockerfile import ROOT, exec_form, read_dockerfile
from tests.support.servers import Servers

COMPOSE = read_compose()
PROCESSES = {service.name: service for service in SERVICES}
KINDS = dict(SETTINGS)
OWN = {name: service for name, service in COMPOSE["services"].items() if target_of(service["image"])}
MIGRATIONS = [name for name in OWN if name.endswith("-migrate")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where `make-env.sh` was run."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "deploy/docker").mkdir(parents=True)
    shutil.copy(EXAMPLE, folder)
    shutil.copy(ROOT / "deploy/docker/make-env.sh", folder / "deploy/docker")
    make_env(folder).check_returncode()
    return folder


@pytest.fixture(scope="module")
def environ(made: Path) -> dict[str, str]:
    """What an operator's .env says."""
    return read_env((made / ".env").read_text())


def make_env(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/bin/sh", str(folder / "deploy/docker/make-env.sh")], capture_output=True, text=True)


def test_it_is_valid() -> None:
    schema = msgspec.json.decode((ROOT / "tests/deploy/schemas/compose-spec.json").read_bytes())
    validator = jsonschema_rs.validator_for(schema)
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []
    assert not validator.is_valid(COMPOSE | {"services": {"x": {"imagee": "x"}}})
    assert {match[0] for match in re.finditer(r"\$\{[^}]*\}", FILE.read_text()) if not USE.fullmatch(match[0])} == set()


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_every_secret_is_required_and_the_example_gives_none_of_them() -> None:
    uses = list(USE.finditer(FILE.read_text()))
    required = {use["name"] for use in uses if use["kind"] == "?"}
    assert required == set(read_env(EXAMPLE.read_text()))
    assert set(read_env(EXAMPLE.read_text()).values()) == {""}
    assert not [use[0] for use in uses if use["kind"] != "?" and re.search("SECRET|PASSWORD|KEY|TOKEN", use["name"])]
    assert not re.search(r"(PASSWORD|SECRET|KEY)\w*: +[^$\s{]", FILE.read_text()), "a secret written out"


@pytest.mark.parametrize("name", read_env(EXAMPLE.read_text()))
def test_nothing_starts_while_one_is_missing(name: str, environ: dict[str, str]) -> None:
    with pytest.raises(MissingValue, match=f"^{name}$"):
        fill(FILE.read_text(), environ | {name: ""})


def test_a_made_env_has_a_value_of_its_own_for_each(made: Path, environ: dict[str, str]) -> None:
    values = [environ[name] for name in read_env(EXAMPLE.read_text())]
    assert len(set(values)) == len(values)
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in values)
    assert (made / ".env").stat().st_mode & 0o077 == 0
    before = (made / ".env").read_bytes()
    again = make_env(made)
    assert again.returncode == 1 and again.stderr.startswith("error: .env is there already")
    assert (made / ".env").read_bytes() == before


@pytest.mark.parametrize("weak", ["", "short", "changeme" * 8, "x" * 64])
@pytest.mark.parametrize("secret", ["HITOK_JWT_SECRET", "HITOK_INTERNAL_SECRET"])
def test_a_process_refuses_a_secret_that_can_be_guessed(weak: str, secret: str, environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=f"^{secret} "):
        load(KINDS["user"], "user", environment_of("user", environ) | {secret: weak})


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_gets_all_it_needs_and_nothing_it_does_not_read(name: str, environ: dict[str, str]) -> None:
    load_settings(KINDS[name], name, environ)
    given = {key for key in COMPOSE["services"][name]["environment"] if key.startswith("HITOK_")}
    read = {variable for field in msgspec.structs.fields(KINDS[name]) for variable in variable_names(name, field.name)}
    assert given <= read
    if PROCESSES[name].database:
        assert environment_of(f"{name}-migrate", environ) == environment_of(name, environ)
        assert COMPOSE["services"][f"{name}-migrate"]["command"] == ["migrate"]


def test_the_examples_settings_exist(environ: dict[str, str]) -> None:
    shown = re.findall(r"^#?(\w+)=", EXAMPLE.read_text(), re.MULTILINE)
    passed_on = {key for service in OWN.values() for key in service["environment"]}
    assert [name for name in shown if name not in passed_on and f"${{{name}" not in FILE.read_text()] == []
    values = {
        line[1:].split("=")[0]: line.split("=", 1)[1] for line in EXAMPLE.read_text().splitlines() if "#HITOK" in line
    }
    for name in PROCESSES:
        load_settings(KINDS[name], name, environ | values)


@pytest.mark.parametrize("name", PROCESSES)
def test_where_a_process_looks_for_another_there_is_one(name: str, environ: dict[str, str]) -> None:
    given = environment_of(name, environ)
    stages = read_dockerfile()
    for other, service in PROCESSES.items():
        if f"{other}_target" in KINDS[name].__struct_fields__:
            port = stages[other].environment[service.ports[0].setting]
            assert given[service.target_setting] == f"dns:///{other}:{port}"
    ports = {"postgres": 5432, "valkey": 6379, "nats": 4222, "mailpit": 1025}
    urls = {key: urlsplit(value) for key, value in given.items() if key.endswith("_URL") and value}
    assert {(url.hostname, url.port) for key, url in urls.items() if "MEDIA_URL" not in key} <= set(ports.items())
    data = [COMPOSE["services"][host]["networks"] == ["data"] for host in ports if host != "mailpit"]
    assert all(data) and "data" in COMPOSE["services"][name]["networks"]


def test_the_tools_get_what_the_processes_do(environ: dict[str, str]) -> None:
    """The doctor compares what each process was given, and backups read each service's."""
    given = environment_of("tools", environ)
    for name in PROCESSES:
        load(KINDS[name], name, given)
        own = environment_of(name, environ)
        assert {key: own[key] for key in own.keys() & given.keys()} == {
            key: given[key] for key in own.keys() & given.keys()
        }
        assert {key for key in own if re.search("SECRET|KEY|URL|TARGET", key)} <= given.keys()
    assert COMPOSE["services"]["tools"]["command"] == ["deploy.doctor", "--url", "http://gateway:8888"]


# -- how they run ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_container_may_do_little(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service["restart"] == ("no" if name in ("databases", "load", "tools", *MIGRATIONS) else "unless-stopped")
    assert ("privileged" not in service and "cap_add" not in service) or name == "s3"
    if name not in OWN:
        assert re.search(r":v?\d+\.\d+(\.\d+)?[\w.-]*$", service["image"]), "no full version"


def test_an_image_is_built_once_and_never_asked_for_elsewhere() -> None:
    """Two builds of one name race for it, and the next `docker compose up` starts anew whoever got the other one."""
    built = [service["image"] for service in OWN.values() if "build" in service]
    assert len(set(built)) == len(built)
    for service in COMPOSE["services"].values():
        assert (service.get("pull_policy") == "never") == (service in OWN.values())
    for service in OWN.values():
        assert service["image"] == f"hitok-{target_of(service['image'])}:${{IMAGE_TAG:-local}}"


def test_what_is_written_has_a_place(environ: dict[str, str]) -> None:
    """The media service's files under way; the others keep nothing, with mail sent and a bucket."""
    folder = environment_of("media", environ)["HITOK_VAR"]
    writable = {volume.split(":")[1] for volume in COMPOSE["services"]["media"]["volumes"]}
    assert folder in writable
    assert f"-o 10001 -g 10001 {folder}" in read_dockerfile()["media"].last("RUN"), "a new volume takes its owner"


def test_only_the_gateway_is_published_to_others() -> None:
    published = {name: port for name, service in COMPOSE["services"].items() for port in service.get("ports", ())}
    assert {name for name, port in published.items() if not port.startswith("127.0.0.1:")} == {"gateway"}
    assert set(published) == {"gateway", "mailpit", "grafana", "jaeger"}
    assert fill(published["gateway"], {}) == "127.0.0.1:8889:8889", "not to everyone, unless asked to"


@pytest.mark.parametrize(
    ("name", "dependency", "condition"),
    [
        (name, dependency, how["condition"])
        for name, service in COMPOSE["services"].items()
        if isinstance(service.get("depends_on"), dict)
        for dependency, how in service["depends_on"].items()
    ],
)
def test_what_is_waited_for_can_come_true(name: str, dependency: str, condition: str) -> None:
    waited_for = COMPOSE["services"][dependency]
    if condition == "service_healthy":
        assert "healthcheck" in waited_for or exec_form(read_dockerfile()[dependency].last("HEALTHCHECK"))
    else:
        assert condition == "service_completed_successfully" and waited_for["restart"] == "no"


def test_profiles_leave_the_plain_start_alone() -> None:
    profiles = {name: service["profiles"] for name, service in COMPOSE["services"].items() if "profiles" in service}
    assert profiles == {
        "prometheus": ["observability"],
        **{f"{server}-exporter": ["observability"] for server in ("postgres", "nats", "valkey", "node")},
        "grafana": ["observability"],
        "otel-collector": ["observability"],
        "jaeger": ["observability"],
        "load": ["load"],
        "tools": ["tools"],
        "scratch": ["scratch"],
    }
    mounted = [v.split(":")[0] for service in COMPOSE["services"].values() for v in service.get("volumes", ())]
    assert [path for path in mounted if path.startswith("./") and not (ROOT / path).exists()] == []
    assert {path for path in mounted if not path.startswith("./")} == {*COMPOSE["volumes"], "/"}


def test_what_observes_looks_where_the_processes_are() -> None:
    folder, stages = ROOT / "deploy/observability", read_dockerfile()
    scraped: dict[str, str] = {}
    for config in yaml.safe_load((folder / "prometheus.yml").read_text())["scrape_configs"]:
        for source in config.get("static_configs", ()):
            assert [target.partition(":")[0] in COMPOSE["services"] for target in source["targets"]] == [True]
        for source in config.get("dns_sd_configs", ()):
            scraped |= dict.fromkeys(source["names"], str(source["port"]))
    assert scraped == {name: stages[name].environment[f"HITOK_{name.upper()}_METRICS_PORT"] for name in PROCESSES}
    assert "=http://otel-collector:4317" in EXAMPLE.read_text() and "otel-collector" in COMPOSE["services"]
    assert COMPOSE["services"]["otel-collector"]["environment"]["TRACES_ENDPOINT"] == "jaeger:4317"


# -- the servers that it needs -----------------------------------------------------------------------------------------


def test_nats_takes_its_configuration_and_keeps_what_it_acknowledged() -> None:
    file = ROOT / "deploy/docker/nats.conf"
    program = Path(sys.executable).with_name("nats-server")
    quoted = COMPOSE["services"]["nats"]["environment"]["NATS_PASS"]
    assert quoted.startswith('"${NATS_PASSWORD') and quoted.endswith('}"')
    environ = {"NATS_PASS": '"12e5"'}  # without its quotes it would be a number
    done = subprocess.run([program, "-t", "-c", file], capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    assert "sync_interval: always" in file.read_text()


def test_the_exporter_of_nats_is_answered_where_it_asks() -> None:
    """It asks from a container of its own, which an address of the loopback does not serve."""
    asked = urlsplit(COMPOSE["services"]["nats-exporter"]["command"][-1])
    listens = re.findall('^http: "(.+)"$', (ROOT / "deploy/docker/nats.conf").read_text(), re.MULTILINE)
    assert (asked.hostname, listens) == ("nats", [f"0.0.0.0:{asked.port}"])


def test_a_backup_is_verified_in_an_empty_server_of_its_own(environ: dict[str, str]) -> None:
    scratch, postgres = COMPOSE["services"]["scratch"], COMPOSE["services"]["postgres"]
    url = urlsplit(environment_of("tools", environ)[SCRATCH_URL])
    assert (url.hostname, url.username, url.password) == ("scratch", "hitok", environ["POSTGRES_PASSWORD"])
    assert scratch["volumes"] == [] and (scratch["image"], scratch["networks"]) == (postgres["image"], ["data"])
    assert list(find_unknown_settings({SCRATCH_URL: ""})) == []


def test_no_secret_is_in_a_command_line() -> None:
    """Every process of the host can read it, and `docker inspect` shows it to more people than need it."""
    words = {
        name: " ".join([*service.get("command", ()), *service.get("entrypoint", ())])
        for name, service in COMPOSE["services"].items()
    }
    found = {name for name, text in words.items() if re.search(r"[^$]\$\{?[A-Z_]*(PASSWORD|SECRET|KEY|AUTH)", text)}
    assert found == set()


def test_valkey_takes_its_password_from_a_file_of_its_own(tmp_path: Path) -> None:
    valkey = COMPOSE["services"]["valkey"]
    shell, option, script, name = valkey["entrypoint"]
    program = tmp_path / "valkey-server"
    program.write_text('#!/bin/sh\ncat "$1"\nshift\necho "$@"\nls -l /dev/null "$HOLDER" | grep -c "^-rw------- "\n')
    program.chmod(0o700)
    script = script.replace("$$", "$").replace("/tmp/auth.conf", str(tmp_path / "auth.conf"))
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "VALKEYCLI_AUTH": "12e5", "HOLDER": str(tmp_path / "auth.conf")}
    done = subprocess.run([shell, option, script, name, "--save", ""], capture_output=True, text=True, env=environ)
    assert done.stdout.splitlines() == ["requirepass 12e5", "--save ", "1"], done.stderr


def test_postgres_is_set_up_as_it_is_elsewhere() -> None:
    options = COMPOSE["services"]["postgres"]["environment"]["POSTGRES_INITDB_ARGS"].split()
    assert set(options) - {"--auth-host=scram-sha-256"} == {o for o in INITDB_OPTIONS if "locale" in o or "encod" in o}


def test_the_databases_are_made_from_the_urls_the_services_get(servers: Servers) -> None:
    name, password = f"hitok_{secrets.token_hex(3)}", "first"
    environ = {
        "HITOK_POSTGRES_URL": servers.postgres_url,
        "HITOK_USER_POSTGRES_URL": make_url(servers.postgres_url, name, password),
    }
    try:
        assert make_databases(environ) == [name]
        changed = environ | {"HITOK_USER_POSTGRES_URL": make_url(servers.postgres_url, name, "second/p@ss")}
        assert make_databases(changed) == [name]
        with psycopg.connect(changed["HITOK_USER_POSTGRES_URL"]) as connection:
            connection.execute("CREATE TABLE kept ()")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(environ["HITOK_USER_POSTGRES_URL"])
    finally:
        with psycopg.connect(servers.postgres_url, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name}")
            admin.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"HITOK_POSTGRES_URL": ""}, "HITOK_POSTGRES_URL and a "),
        ({"HITOK_USER_POSTGRES_URL": "postgresql://a:b@host/c"}, "HITOK_USER_POSTGRES_URL must be "),
        ({"HITOK_USER_POSTGRES_URL": "postgresql://a@host/a"}, "HITOK_USER_POSTGRES_URL has no password"),
        ({"HITOK_POSTGRES_URL": "postgresql://a:b@127.0.0.1:1/c"}, "cannot prepare the database a: "),
    ],
)
def test_what_the_databases_lack_is_named(changes: dict[str, str], complaint: str) -> None:
    environ: dict[str, Any] = {
        "HITOK_POSTGRES_URL": "postgresql://a:b@127.0.0.1:1/c",
        "HITOK_USER_POSTGRES_URL": "postgresql://a:secret@127.0.0.1:1/a",
    }
    with pytest.raises(LocalError, match=f"^{complaint}") as refused:
        make_databases(environ | changes)
    assert "secret" not in str(refused.value)


def test_the_program_says_it_in_one_line() -> None:
    command = [sys.executable, "-m", "deploy.docker.databases"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 2
    assert done.stderr == "error: HITOK_POSTGRES_URL and a HITOK_<SERVICE>_POSTGRES_URL have to be set\n"
