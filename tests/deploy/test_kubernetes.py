"""deploy/kubernetes: what `kubectl apply -k` would send, against the schemas and against the code."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from deploy.local.services import SERVICES
from docs.generate import SERVICES as SETTINGS
from gateway.config import GatewaySettings
from gateway.http.forwarding import missing_for
from services.kit.config import load, variable_names
from services.kit.process.server import GRACE, LIVE
from services.media.config import MediaSettings
from tests.deploy.dockerfile import ROOT, read_dockerfile
from tests.deploy.kustomize import Resource, build, pod_of
from tests.deploy.observability import dashboards, rules
from tests.deploy.schemas.kubernetes import find_schema_faults
from tests.deploy.test_kubernetes_servers import SERVERS

FOLDER = ROOT / "deploy/kubernetes"
OVERLAYS = ("base", "small", "production")
PROCESSES = {service.name: service for service in SERVICES}
KINDS = dict(SETTINGS)
DIRECT = "postgres-direct-url"  # past the pooler
NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"
SAMPLES = {
    "postgres-url": "postgresql://a:b@db/a",
    DIRECT: "postgresql://a:b@db/a",
    "nats-url": "nats://a:b@nats:4222",
    "redis-url": "redis://:b@valkey:6379/0",
    "smtp-url": "smtps://a:b@mail",
    "url": "s3://bucket?region=x",
}
PUBLIC = yaml.safe_load((FOLDER / "production/settings.yaml").read_text())["data"]


@cache
def built(overlay: str) -> tuple[Resource, ...]:
    return tuple(build(FOLDER / overlay))


def of_kind(overlay: str, *kinds: str) -> list[Resource]:
    return [resource for resource in built(overlay) if resource["kind"] in kinds]


def find(overlay: str, kind: str, name: str) -> Resource:
    return next(resource for resource in of_kind(overlay, kind) if resource["metadata"]["name"] == name)


def container_of(resource: Resource) -> Resource:
    (container,) = pod_of(resource)["containers"]
    return dict(container)


def environment_of(resource: Resource) -> dict[str, str]:
    """What the process gets: its image's variables, then the container's, with something for each secret."""
    container = container_of(resource)
    stage = re.sub(r"^.*hitok-|:.*$", "", container["image"])
    own = {}
    for variable in container["env"]:
        if "value" in variable:
            own[variable["name"]] = variable["value"]
        elif "configMapKeyRef" in variable["valueFrom"]:
            own[variable["name"]] = PUBLIC[variable["valueFrom"]["configMapKeyRef"]["key"]]
        else:
            key = variable["valueFrom"]["secretKeyRef"]["key"]
            own[variable["name"]] = SAMPLES.get(key, "0123456789abcdef" * 4)
    return read_dockerfile()[stage].environment | own


workloads = pytest.mark.parametrize(
    ("overlay", "workload"),
    [
        pytest.param(overlay, resource, id=f"{overlay}-{resource['metadata']['name']}")
        for overlay in OVERLAYS
        for resource in of_kind(overlay, "Deployment", "Job", "CronJob")
    ],
)


# -- the files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_it_is_valid(overlay: str) -> None:
    assert find_schema_faults(built(overlay)) == []
    assert len({(r["kind"], r["metadata"]["name"]) for r in built(overlay)}) == len(built(overlay))
    assert len({r["kind"] for r in built(overlay)}) >= 6


@pytest.mark.skipif(not shutil.which("kustomize"), reason="needs kustomize")
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_our_rendering_is_kustomizes(overlay: str) -> None:
    done = subprocess.run(["kustomize", "build", FOLDER / overlay], capture_output=True, text=True, check=True)

    def by_name(resources: Any) -> dict[tuple[str, str], Resource]:
        return {(resource["kind"], resource["metadata"]["name"]): resource for resource in resources}

    assert by_name(built(overlay)) == by_name(yaml.safe_load_all(done.stdout))


@pytest.mark.parametrize("overlay", ["small", "production"])
def test_an_overlay_names_every_image_with_a_version(overlay: str) -> None:
    images = {container_of(resource)["image"] for resource in of_kind(overlay, "Deployment", "Job", "CronJob")}
    assert all(re.search(r"/hitok-\w+:[\w.]+$", image) and not image.endswith(":latest") for image in images)
    assert {re.sub(r"^.*hitok-|:.*$", "", image) for image in images} >= set(PROCESSES)


# -- settings ----------------------------------------------------------------------------------------------------------


@workloads
def test_a_process_gets_all_it_needs_and_nothing_it_does_not_read(overlay: str, workload: Resource) -> None:
    name = workload["metadata"]["labels"][NAME]
    given = {variable["name"] for variable in container_of(workload)["env"]}
    if name == "databases":
        owners = {service.postgres_setting for service in SERVICES if service.database}
        assert given == {"HITOK_POSTGRES_URL", *owners}
        return
    if name == "tools":
        for process, kind in KINDS.items():
            load(kind, process, environment_of(workload))
        return
    load(KINDS[name], name, environment_of(workload))
    read = {variable for field in msgspec.structs.fields(KINDS[name]) for variable in variable_names(name, field.name)}
    assert {variable for variable in given if variable.startswith("HITOK_")} <= read


def test_pushes_are_a_component_of_their_own() -> None:
    """The chat gets its keys, and is let out to the internet, but not to what is inside."""
    resources = build(FOLDER / "components/push", build(FOLDER / "small"))
    assert find_schema_faults(resources) == []
    chat = next(each for each in resources if (each["kind"], each["metadata"]["name"]) == ("Deployment", "chat"))
    assert {"HITOK_PUSH_VAPID_KEY", "HITOK_PUSH_CONTACT"} <= {each["name"] for each in container_of(chat)["env"]}
    (policy,) = (each for each in resources if each["metadata"]["name"] == "push-services")
    (rule,) = policy["spec"]["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]
    assert "10.0.0.0/8" in rule["to"][0]["ipBlock"]["except"]


def test_every_setting_named_exists() -> None:
    named = set(re.findall(r"HITOK_\w+", "".join(file.read_text() for file in FOLDER.rglob("*.yaml"))))
    known = {
        variable
        for service, kind in SETTINGS
        for field in msgspec.structs.fields(kind)
        for variable in variable_names(service, field.name)
    }
    assert named and named <= known


@workloads
def test_secrets_are_referred_to_and_never_written_out(overlay: str, workload: Resource) -> None:
    for variable in container_of(workload)["env"]:
        if re.search("SECRET|KEY_ID|ACCESS_KEY|(POSTGRES|DIRECT|REDIS|NATS|SMTP|MEDIA)_URL", variable["name"]):
            assert set(variable["valueFrom"]["secretKeyRef"]) == {"name", "key"}, "required, and without a default"
    assert of_kind(overlay, "Secret") == []


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", PROCESSES)
def test_where_a_process_looks_for_another_there_is_one(overlay: str, name: str) -> None:
    given = environment_of(find(overlay, "Deployment", name))
    for other, service in PROCESSES.items():
        if f"{other}_target" in KINDS[name].__struct_fields__:
            target = given[service.target_setting]
            host, port = target.removeprefix("dns:///").split(":")
            found = find(overlay, "Service", host)
            assert host == other and found["spec"]["clusterIP"] == "None", "else one replica would get every call"
            assert int(port) in {entry["port"] for entry in found["spec"]["ports"]}


# -- how they run ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", PROCESSES)
def test_ports_and_probes_are_those_the_process_listens_on(overlay: str, name: str) -> None:
    deployment, service = find(overlay, "Deployment", name), find(overlay, "Service", name)
    container, given = container_of(deployment), environment_of(deployment)
    ports = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
    listening = {int(port) for group in PROCESSES[name].ports for port in given[group.setting].split(",")}
    if PROCESSES[name].health == "grpc":
        listening.add(int(given["HITOK_HEALTH_PORT"]))
        assert container["readinessProbe"]["grpc"] == {"port": int(given["HITOK_HEALTH_PORT"])}
        assert container["livenessProbe"]["grpc"] == {"port": int(given["HITOK_HEALTH_PORT"]), "service": LIVE}
    else:
        assert container["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "http"}
        listening.add(int(given[f"HITOK_{name.upper()}_METRICS_PORT"]))
        assert container["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "http"}
    assert set(ports.values()) == listening
    assert max(listening) < 32_768, "a port among those of outgoing connections may be taken"
    selector, labels = service["spec"]["selector"], deployment["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items() and selector[COMPONENT] == "server", "no job among the replicas"
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert all(ports[entry["targetPort"]] == entry["port"] for entry in service["spec"]["ports"])


@workloads
def test_a_container_may_do_little(overlay: str, workload: Resource) -> None:
    pod, container = pod_of(workload), container_of(workload)
    context = pod["securityContext"]
    assert context["runAsNonRoot"] and context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == read_dockerfile()["base"].last("USER")
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
    assert container["resources"]["requests"].keys() == {"cpu", "memory", "ephemeral-storage"}
    assert container["resources"]["limits"].keys() == {"memory", "ephemeral-storage"}, "no CPU limit: it would throttle"
    mounts = {mount["name"] for mount in container.get("volumeMounts", ())}
    assert mounts == {volume["name"] for volume in pod.get("volumes", ())}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_media_service_has_a_place_for_the_largest_video(overlay: str) -> None:
    deployment = find(overlay, "Deployment", "media")
    settings = load(MediaSettings, "media", environment_of(deployment))
    (mount,) = (m for m in container_of(deployment)["volumeMounts"] if m["mountPath"] == settings.var)
    (volume,) = (v for v in pod_of(deployment)["volumes"] if v["name"] == mount["name"])
    assert int(volume["emptyDir"]["sizeLimit"].removesuffix("Gi")) << 30 >= 2 * settings.max_video_bytes


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", PROCESSES)
def test_a_rollout_loses_nobody(overlay: str, name: str) -> None:
    deployment = find(overlay, "Deployment", name)
    settings = load(KINDS[name], name, environment_of(deployment))
    assert pod_of(deployment)["terminationGracePeriodSeconds"] > settings.drain_seconds + GRACE + 5
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    probe = container_of(deployment)["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < settings.drain_seconds, "it leaves before it is missed"
    budget = find(overlay, "PodDisruptionBudget", name)["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"]["matchLabels"] == deployment["spec"]["selector"]["matchLabels"]
    spreads = pod_of(deployment)["topologySpreadConstraints"]
    assert [spread["topologyKey"] for spread in spreads] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    (apart,) = pod_of(deployment)["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    for selector in (*(spread["labelSelector"] for spread in spreads), apart["podAffinityTerm"]["labelSelector"]):
        assert selector["matchLabels"] == deployment["spec"]["selector"]["matchLabels"]


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", [name for name, service in PROCESSES.items() if service.database])
def test_a_job_migrates_with_the_services_image_and_settings(overlay: str, name: str) -> None:
    job, server = find(overlay, "Job", f"{name}-migrate"), find(overlay, "Deployment", name)
    assert container_of(job)["args"] == ["migrate"] and pod_of(job)["restartPolicy"] == "OnFailure"
    assert container_of(job)["image"] == container_of(server)["image"]
    pooled = overlay == "production"
    assert keys_of(job) == {PROCESSES[name].postgres_setting: (f"hitok-{name}", DIRECT if pooled else "postgres-url")}
    direct = {f"HITOK_{name.upper()}_POSTGRES_DIRECT_URL": (f"hitok-{name}", DIRECT)} if pooled else {}
    assert keys_of(server) == {PROCESSES[name].postgres_setting: (f"hitok-{name}", "postgres-url"), **direct}


def keys_of(resource: Resource) -> dict[str, tuple[str, str]]:
    """Secret and key of each variable that names a PostgreSQL."""
    named = [variable for variable in container_of(resource)["env"] if "_POSTGRES_" in variable["name"]]
    secrets = {variable["name"]: variable["valueFrom"]["secretKeyRef"] for variable in named}
    return {name: (secret["name"], secret["key"]) for name, secret in secrets.items()}


# -- who may talk to whom ----------------------------------------------------------------------------------------------


def allowed(overlay: str, direction: str, name: str, component: str = "server") -> list[tuple[set[str] | None, int]]:
    """(names of ours, None: anywhere; port) that the policies let the process reach, or be reached by."""
    found = []
    labels = {NAME: name, COMPONENT: component, "app.kubernetes.io/part-of": "hitok"}
    for policy in of_kind(overlay, "NetworkPolicy"):
        if selects(policy["spec"]["podSelector"], labels):
            for rule in policy["spec"].get(direction, ()):
                peers = rule.get("from", rule.get("to"))
                names = (
                    None
                    if peers is None
                    else {p["podSelector"]["matchLabels"][NAME] for p in peers if "podSelector" in p}
                )
                found += [(names, entry["port"]) for entry in rule["ports"]]
    return found


def selects(selector: Resource, labels: dict[str, str]) -> bool:
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    return all(
        (labels[term["key"]] in term["values"]) == (term["operator"] == "In")
        for term in selector.get("matchExpressions", ())
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_is_allowed_that_is_not_needed(overlay: str) -> None:
    deny = find(overlay, "NetworkPolicy", "nothing")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for caller in PROCESSES:
        for callee, service in PROCESSES.items():
            if service.health != "grpc":
                continue
            port = int(read_dockerfile()[callee].environment[service.ports[0].setting])
            calls = f"{callee}_target" in KINDS[caller].__struct_fields__
            assert (({callee}, port) in allowed(overlay, "egress", caller)) == calls
            inward = [names for names, open_port in allowed(overlay, "ingress", callee) if open_port == port]
            assert any(caller in (names or ()) for names in inward) == calls
            assert None not in inward, "open to everyone"
    open_to_all = {name for name in PROCESSES for names, _ in allowed(overlay, "ingress", name) if names is None}
    assert open_to_all == {"gateway"}


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", PROCESSES)
def test_what_a_process_stands_on_can_be_reached(overlay: str, name: str) -> None:
    outward = {port for names, port in allowed(overlay, "egress", name) if names is None}
    given = environment_of(find(overlay, "Deployment", name))
    assert {4222, 6379} <= outward and 53 in {port for _, port in allowed(overlay, "egress", name)}
    assert (5432 in outward) == PROCESSES[name].database
    assert (443 in outward) == ("HITOK_MEDIA_URL" in given)
    assert (465 in outward) == ("HITOK_SMTP_URL" in given)
    if PROCESSES[name].database:
        job = {port for names, port in allowed(overlay, "egress", name, "migration") if names is None}
        assert 5432 in job and 4222 not in job


# -- production --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROCESSES)
def test_production_scales_each_and_keeps_two(name: str) -> None:
    scaler = find("production", "HorizontalPodAutoscaler", name)["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]
    deployment = find("production", "Deployment", name)
    assert "replicas" not in deployment["spec"], "it would undo the scaler's work at each apply"


@pytest.mark.parametrize("name", PROCESSES)
def test_production_has_tls_between_its_processes(name: str) -> None:
    deployment = find("production", "Deployment", name)
    settings = load(KINDS[name], name, environment_of(deployment))
    (mount,) = (m for m in container_of(deployment)["volumeMounts"] if m["name"] == "tls")
    (volume,) = (v for v in pod_of(deployment)["volumes"] if v["name"] == "tls")
    files = [Path(file) for file in (settings.tls_ca, settings.tls_cert, settings.tls_key)]
    assert {str(file.parent) for file in files} == {mount["mountPath"]}
    assert [file.name for file in files] == ["ca.crt", "tls.crt", "tls.key"], "as cert-manager calls them"
    certificate = find("production", "Certificate", "hitok-tls")["spec"]
    assert volume["secret"]["secretName"] == certificate["secretName"]
    assert volume["secret"]["defaultMode"] == 0o440 and "fsGroup" in pod_of(deployment)["securityContext"]
    hosts = {host for key, host in re.findall(r"(HITOK_\w+_TARGET).*dns:///(\w+):", str(container_of(deployment)))}
    assert hosts <= set(certificate["dnsNames"]) and certificate["ipAddresses"] == ["127.0.0.1"]
    assert {"server auth", "client auth"} <= set(certificate["usages"])


@pytest.mark.parametrize("name", PROCESSES)
def test_production_is_scraped(name: str) -> None:
    monitor = find("production", "PodMonitor", "hitok")["spec"]
    deployment = find("production", "Deployment", name)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    ports = {entry["name"]: entry["containerPort"] for entry in container_of(deployment)["ports"]}
    scraped = [ports[endpoint["port"]] for endpoint in monitor["podMetricsEndpoints"]]
    assert len(scraped) == 1
    given = environment_of(deployment)
    assert str(scraped[0]) == given[f"HITOK_{name.upper()}_METRICS_PORT"]
    policy = find("production", "NetworkPolicy", "metrics")["spec"]["ingress"][0]["ports"]
    assert scraped[0] in {entry["port"] for entry in policy}


def test_production_has_the_alerts_and_the_dashboards() -> None:
    groups = find("production", "PrometheusRule", "hitok")["spec"]["groups"]
    assert [rule for group in groups for rule in group["rules"]] == rules()
    shown = find("production", "ConfigMap", "hitok-dashboards")
    assert shown["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert set(shown["data"]) == {path.name for path in dashboards()}
    assert sum(map(len, shown["data"].values())) < 1_000_000, "the most that a ConfigMap holds"


# -- behind an ingress -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlay", ["small", "production"])
def test_what_the_outside_has_to_be_is_said_and_required(overlay: str) -> None:
    """Without them a pod does not start; and the values are examples that nobody can take for theirs."""
    given = find(overlay, "ConfigMap", "hitok")["data"]
    needed = {}
    for name in ("gateway", "user"):
        for variable in container_of(find(overlay, "Deployment", name))["env"]:
            if reference := variable.get("valueFrom", {}).get("configMapKeyRef"):
                assert "optional" not in reference
                needed[variable["name"]] = reference["key"]
    assert needed == {
        "HITOK_PUBLIC_URL": "public-url",
        "HITOK_TRUSTED_PROXIES": "trusted-proxies",
        "HITOK_CORS_ORIGINS": "cors-origins",
        "HITOK_MAIL_FROM": "mail-from",
    }
    assert set(given) == set(needed.values())
    gateway = load(GatewaySettings, "gateway", environment_of(find(overlay, "Deployment", "gateway")))
    assert missing_for(gateway) == ""
    assert "example.com" in given["public-url"] and "example.com" in given["mail-from"]


def ways_in() -> list[Resource]:
    return [find("small", "Ingress", "gateway"), *build(FOLDER / "components/gateway-api")]


def test_the_ways_in_reach_the_gateway_and_name_no_port_of_metrics() -> None:
    service = find("small", "Service", "gateway")
    ports = {entry["name"]: entry["port"] for entry in service["spec"]["ports"]}
    ingress, route = ways_in()
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": service["metadata"]["name"], "port": {"name": "http"}}
    assert find_schema_faults([route]) == []
    (rule,) = route["spec"]["rules"]
    assert rule["backendRefs"] == [{"name": service["metadata"]["name"], "port": ports["http"]}]
    assert rule["timeouts"] == {"request": "0s"}
    (host,) = {ingress["spec"]["rules"][0]["host"], *route["spec"]["hostnames"], *ingress["spec"]["tls"][0]["hosts"]}
    assert PUBLIC["public-url"] == f"https://{host}"


def test_the_ingress_lets_uploads_and_sockets_through() -> None:
    largest = load(MediaSettings, "media", environment_of(find("small", "Deployment", "media"))).max_video_bytes
    notes = {key.rpartition("/")[2]: value for key, value in ways_in()[0]["metadata"]["annotations"].items()}
    assert int(notes["proxy-body-size"].removesuffix("m")) << 20 > largest
    assert notes["proxy-request-buffering"] == notes["proxy-buffering"] == "off"
    assert min(int(notes["proxy-read-timeout"]), int(notes["proxy-send-timeout"])) > 60, "a socket's heartbeat"
    assert notes["proxy-next-upstream"] == "error", "a 503 is not tried again: it may be a write"


# -- tools -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlay", ["small", "production"])
def test_backups_are_made_each_night_and_the_other_tools_by_hand(overlay: str) -> None:
    tools = {tool["metadata"]["name"]: tool["spec"] for tool in of_kind(overlay, "CronJob")}
    assert {name: spec.get("suspend", False) for name, spec in tools.items()} == {
        "backup": False,
        "doctor": True,
        "restore": True,
    }
    assert all(spec["concurrencyPolicy"] == "Forbid" for spec in tools.values())
    claim = find(overlay, "PersistentVolumeClaim", "backups")["metadata"]["name"]
    for name in ("backup", "restore"):
        pod = tools[name]["jobTemplate"]["spec"]["template"]["spec"]
        assert {"name": "backups", "persistentVolumeClaim": {"claimName": claim}} in pod["volumes"]
        assert pod["containers"][0]["args"][:2] == ["deploy.backup", {"backup": "create"}.get(name, name)]


def test_the_tools_of_production_go_past_the_pooler() -> None:
    for tool in of_kind("production", "CronJob"):
        assert keys_of(tool) == {
            service.postgres_setting: (f"hitok-{name}", DIRECT)
            for name, service in PROCESSES.items()
            if service.database
        }


@pytest.mark.parametrize("overlay", ["small", "production"])
def test_the_tools_reach_what_they_ask(overlay: str) -> None:
    outward = allowed(overlay, "egress", "tools", "tool")
    assert {5432, 4222, 6379, 26379, 443, 465, 587} <= {port for names, port in outward if names is None}
    for name, service in PROCESSES.items():
        port = 8888 if name == "gateway" else int(read_dockerfile()[name].environment[service.ports[0].setting])
        assert ({name}, port) in outward
        assert any(names is None or "tools" in names for names, at in allowed(overlay, "ingress", name) if at == port)


# -- lint --------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not shutil.which("kube-score"),
    reason="needs kube-score: go install github.com/zegl/kube-score/cmd/kube-score@v1.20.0",
)
@pytest.mark.parametrize("overlay", ["small", "production", "servers"])
def test_kube_score_finds_nothing_critical(overlay: str) -> None:
    # Images are examples; nobody's kubelet may limit CPU; secrets have to be variables, since the settings are.
    ignored = ["container-resources", "container-image-pull-policy", "pod-networkpolicy"]
    command = ["kube-score", "score", "-", "--output-format=ci", *(f"--ignore-test={name}" for name in ignored)]
    found = built(overlay) if overlay != "servers" else SERVERS
    done = subprocess.run(command, input=yaml.safe_dump_all(found), capture_output=True, text=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("[CRITICAL]")] == []
