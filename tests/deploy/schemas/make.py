"""How kubernetes.json was made; run again for a newer version of Kubernetes or of the operators:

python -m tests.deploy.schemas.make WHEEL CRD…

WHEEL is kubernetes-validate's from PyPI, each CRD a file of an operator. Kinds of operators that are not named stay as
they were.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import yaml

VERSION = "v1.37.0"
KINDS = {
    "v1/Namespace": "core.v1.Namespace",
    "v1/Service": "core.v1.Service",
    "v1/ConfigMap": "core.v1.ConfigMap",
    "v1/PersistentVolumeClaim": "core.v1.PersistentVolumeClaim",
    "apps/v1/Deployment": "apps.v1.Deployment",
    "apps/v1/StatefulSet": "apps.v1.StatefulSet",
    "batch/v1/Job": "batch.v1.Job",
    "batch/v1/CronJob": "batch.v1.CronJob",
    "policy/v1/PodDisruptionBudget": "policy.v1.PodDisruptionBudget",
    "networking.k8s.io/v1/NetworkPolicy": "networking.v1.NetworkPolicy",
    "networking.k8s.io/v1/Ingress": "networking.v1.Ingress",
    "autoscaling/v2/HorizontalPodAutoscaler": "autoscaling.v2.HorizontalPodAutoscaler",
}
FILE = Path(__file__).with_name("kubernetes.json")


def main(wheel: str, *crds: str) -> None:
    with ZipFile(wheel) as archive:
        definitions = json.loads(
            archive.read(f"kubernetes_validate/kubernetes-json-schema/{VERSION}-local-strict/_definitions.json")
        )["$defs"]
    names = {kind: f"io.k8s.api.{name}" for kind, name in KINDS.items()}
    kept: dict[str, Any] = {}
    waiting = [*names.values()]
    while waiting:
        if (name := waiting.pop()) not in kept:
            kept[name] = plain(definitions[name])
            waiting += re.findall(r'"#/\$defs/([^"]+)"', json.dumps(kept[name]))
    kinds = json.loads(FILE.read_bytes())["kinds"]
    kinds |= {kind: {"$ref": f"#/$defs/{name}"} for kind, name in names.items()}
    for crd in crds:
        kinds |= dict(custom(yaml.safe_load(Path(crd).read_text())["spec"]))
    FILE.write_text(json.dumps({"kinds": kinds, "$defs": dict(sorted(kept.items()))}, separators=(",", ":")) + "\n")


def custom(spec: dict[str, Any]) -> list[tuple[str, Any]]:
    found = []
    for version in spec["versions"]:
        schema = strict(plain(version["schema"]["openAPIV3Schema"]))
        schema["properties"]["metadata"] = {"type": "object"}
        found.append((f"{spec['group']}/{version['name']}/{spec['names']['kind']}", schema))
    return found


def plain(schema: Any) -> Any:
    """Without what only explains."""
    if isinstance(schema, list):
        return [plain(part) for part in schema]
    if isinstance(schema, str):
        return schema.removeprefix("/api/_definitions.json")
    if not isinstance(schema, dict):
        return schema
    # A property may be called "description"; then it is no text.
    return {
        key: plain(value)
        for key, value in schema.items()
        if not (key == "description" and isinstance(value, str))
        and not key.startswith("x-kubernetes")
        and key != "format"
    }


def strict(schema: Any) -> Any:
    """As the API server is with `kubectl apply --validate=strict`: an unknown field is a mistake."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


if __name__ == "__main__":
    main(*sys.argv[1:])
