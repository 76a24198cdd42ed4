"""The parts of a manifest that are Kubernetes' own, judged by its schemas in their strict form: no unknown field.

The schemas allow an empty value everywhere and any word where the API server takes one of a few; these slips are
looked for here.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from kubernetes_validate import SchemaNotFoundError, ValidationError, validate

Part = dict[str, Any]

OLDEST, NEWEST = "1.30", "1.37"
"""Releases of Kubernetes: fields come and go."""
WORDS = {
    "restartPolicy": {"Always", "OnFailure", "Never"},
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
    "operator": {"Exists", "Equal"},
    "effect": {"NoSchedule", "PreferNoSchedule", "NoExecute"},
    "accessModes": {"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"},
    "policyTypes": {"Ingress", "Egress"},
    "medium": {"Memory", "HugePages"},
    "protocol": {"TCP", "UDP", "SCTP"},
}
QUANTITY = re.compile(r"^[0-9]+(\.[0-9]+)?(m|k|[KMGTPE]i|[MGTPE])?$")
AUTOSCALERS = ("resources", "imagePullPolicy", "securityContext", "env", "envFrom", "volumeMounts", "command", "args")


def kubernetes_faults(manifest: Part, release: str = NEWEST) -> list[str]:
    """What Kubernetes would refuse in a manifest: all of its own kinds, the parts of it in KubeRay's."""
    return [f"{place}: {fault}" for place, part in parts(manifest) for fault in [*judge(part, release), *slips(part)]]


def parts(manifest: Part) -> Iterator[tuple[str, Part]]:
    """The parts as manifests of their own, and where they stand."""
    if manifest.get("apiVersion") != "ray.io/v1":
        yield "", manifest
        return
    # Any kind carries the same metadata; this one has nothing else that is required.
    yield "metadata", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": manifest.get("metadata")}
    yield from _inner(manifest.get("spec", {}), "spec")


def _inner(value: Any, place: str) -> Iterator[tuple[str, Part]]:
    if isinstance(value, list):
        for number, child in enumerate(value):
            yield from _inner(child, f"{place}[{number}]")
    elif isinstance(value, dict):
        for key, child in value.items():
            where = f"{place}.{key}"
            if key in ("template", "submitterPodTemplate"):
                yield where, {"apiVersion": "v1", "kind": "Pod", **child}
            elif key in ("headService", "serveService"):
                yield where, {"apiVersion": "v1", "kind": "Service", **child}
            elif key == "autoscalerOptions":
                yield where, _autoscaler(child)
            else:
                yield from _inner(child, where)


def _autoscaler(options: Part) -> Part:
    """The operator makes a container of these options."""
    container = {"name": "autoscaler", **{key: options[key] for key in AUTOSCALERS if key in options}}
    return {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}


def judge(part: Part, release: str) -> list[str]:
    """The most telling fault that the schema of the part's kind finds, if any."""
    if missing := {"apiVersion", "kind"} - part.keys():
        return [f"{' and '.join(sorted(missing))} missing"]
    fault = _judge(json.dumps(part, sort_keys=True), release)
    return [fault] if fault else []


@cache
def _judge(text: str, release: str) -> str:
    try:
        validate(json.loads(text), release, strict=True)
    except (ValidationError, SchemaNotFoundError) as error:
        return str(error.message)
    return ""


def slips(value: Any, key: str = "") -> Iterator[str]:
    """Empty values, unknown words, and quantities that are none."""
    if isinstance(value, dict):
        for name, child in value.items():
            if key in ("requests", "limits") or name == "sizeLimit":
                if not QUANTITY.match(str(child)):
                    yield f"{name}: {child!r} is no quantity"
            else:
                yield from slips(child, name)
    elif isinstance(value, list):
        for child in value:
            yield from slips(child, key)
    elif value is None:
        yield f"{key} is empty"
    elif key in WORDS and value not in WORDS[key]:
        yield f"{key}: {value!r} is none of {', '.join(sorted(WORDS[key]))}"
