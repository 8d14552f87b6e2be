"""As much of `kustomize build` as deploy/kubernetes uses: resources, components, ConfigMaps of files,
namespace, images, strategic merge patches.

Anything else in a kustomization fails, and `test_kubernetes.py` compares with the real one where there is one.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

Resource = dict[str, Any]
MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
FIELDS = {"apiVersion", "kind", "namespace", "resources", "components", "configMapGenerator", "images", "patches"}


def build(folder: Path, resources: list[Resource] | None = None) -> list[Resource]:
    """`resources`: those that a component adds to. Raises ValueError for what it does not know."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := set(kustomization) - FIELDS:
        raise ValueError(f"{folder}: {unknown}")
    resources = [] if resources is None else resources
    resources += [resource for entry in kustomization.get("resources", ()) for resource in read(folder / entry)]
    resources += [of_files(folder, **entry) for entry in kustomization.get("configMapGenerator", ())]
    for component in kustomization.get("components", ()):
        build(folder / component, resources)
    for patch in kustomization.get("patches", ()):
        text = yaml.safe_load((folder / patch["path"]).read_text())
        chosen = [resource for resource in resources if matches(resource, **patch["target"])]
        if not chosen:
            raise ValueError(f"{folder}: {patch['path']} is for nothing")
        for resource in chosen:
            merge(resource, {key: value for key, value in text.items() if key not in ("kind", "metadata")})
    for image in kustomization.get("images", ()):
        rename(resources, **image)
    for resource in resources:
        if "namespace" in kustomization and resource["kind"] != "Namespace":
            resource["metadata"]["namespace"] = kustomization["namespace"]
    return resources


def read(path: Path) -> Iterable[Resource]:
    return build(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))


def of_files(folder: Path, name: str, files: list[str], options: Resource) -> Resource:
    assert options.get("disableNameSuffixHash"), "else the name would have a hash"
    data = {Path(file).name: (folder / file).read_text() for file in files}
    metadata = {"name": name, "labels": options.get("labels", {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def matches(resource: Resource, kind: str, labelSelector: str = "") -> bool:  # noqa: N803 - kustomize's name
    label, _, value = labelSelector.partition("=")
    labels = resource["metadata"].get("labels", {})
    return bool(re.fullmatch(kind, resource["kind"])) and (not label or labels.get(label) == value)


def merge(target: Resource, patch: Resource) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        elif isinstance(value, list) and key in MERGE_KEYS and key in target:
            merge_list(target[key], value, MERGE_KEYS[key])
        else:
            target[key] = yaml.safe_load(yaml.safe_dump(value))  # a copy: it goes into several


def merge_list(target: list[Resource], patch: list[Resource], key: str) -> None:
    """What the patch names comes first, in its order."""
    known = {item[key]: item for item in target}
    named = {item[key] for item in patch}
    first = []
    for item in yaml.safe_load(yaml.safe_dump(patch)):
        if item[key] in known:
            merge(known[item[key]], item)
        first.append(known.get(item[key], item))
    target[:] = first + [item for item in target if item[key] not in named]


def rename(resources: Iterable[Resource], name: str, newName: str, newTag: str) -> None:  # noqa: N803
    for resource in resources:
        for container in pod_of(resource).get("containers", ()):
            if container["image"] == name:
                container["image"] = f"{newName}:{newTag}"


def pod_of(resource: Resource) -> Resource:
    """The pod's spec; empty for what has none."""
    spec = resource.get("spec", {})
    pod: Resource = spec.get("jobTemplate", {}).get("spec", spec).get("template", {}).get("spec", {})
    return pod
