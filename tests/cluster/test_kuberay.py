"""Every KubeRay manifest against a schema that knows no typing errors, and what they promise about tokens and room."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from steper_ray.config import load_config
from tests.cluster.kuberay_schema import KINDS

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "cluster" / "kuberay").glob("*.yaml"))
Manifest = dict[str, Any]


def manifests() -> list[tuple[str, Manifest]]:
    return [(f"{path.stem}/{one['kind']}", one) for path in FILES for one in yaml.safe_load_all(path.read_text())]


def of_kind(name: str) -> Manifest:
    return next(one for _, one in manifests() if one["kind"] == name)


def clusters() -> list[Manifest]:
    return [of_kind("RayCluster")["spec"], of_kind("RayService")["spec"]["rayClusterConfig"]]


def faults(manifest: Manifest) -> list[str]:
    return [error.message for error in Draft202012Validator(KINDS[manifest["kind"]]).iter_errors(manifest)]


def pods(cluster: Manifest) -> Iterator[Manifest]:
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        yield group["template"]["spec"]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every mapping below a value."""
    if isinstance(value, dict):
        yield path
        for key, child in value.items():
            yield from places(child, (*path, key))
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from places(child, (*path, number))


FREE = {"labels", "matchLabels", "requests", "limits", "rayStartParams", "clusterSelector", "nodeSelector"}
"""Mappings whose keys are names of ours."""


def test_there_is_a_cluster_two_jobs_and_a_service() -> None:
    kinds = [one["kind"] for _, one in manifests()]
    assert {kind: kinds.count(kind) for kind in ("RayCluster", "RayJob", "RayService")} == {
        "RayCluster": 1,
        "RayJob": 2,
        "RayService": 1,
    }


@pytest.mark.parametrize(("name", "manifest"), manifests(), ids=[name for name, _ in manifests()])
def test_a_manifest_is_valid_and_a_typing_error_anywhere_in_it_is_not(name: str, manifest: Manifest) -> None:
    assert faults(manifest) == []
    for place in places(manifest):
        if place and place[-1] in FREE:
            continue
        broken = copy.deepcopy(manifest)
        target = broken
        for step in place:
            target = target[step]
        if not target:
            continue
        key = next(iter(target))
        target[key + "x"] = target.pop(key)
        assert faults(broken), f"{key}x at {place} is not refused"


@pytest.mark.parametrize("cluster", clusters(), ids=["cluster", "service"])
def test_a_cluster_has_a_token_from_a_secret_an_autoscaler_and_a_head_without_work(cluster: Manifest) -> None:
    assert cluster["authOptions"] == {"mode": "token", "secretName": "steper-ray-token"}
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["autoscalerOptions"]["version"] == "v2"
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for pod in pods(cluster):
        (container,) = pod["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": "steper-ray-env"}}]
        assert container["resources"]["requests"] == container["resources"]["limits"], "a Ray pod has what it announces"
        assert {"name": "metrics", "containerPort": 8080} in container["ports"]


@pytest.mark.parametrize("cluster", clusters(), ids=["cluster", "service"])
def test_pods_with_gpus_tolerate_the_taint_of_gpu_nodes_and_no_other_pod_does(cluster: Manifest) -> None:
    for pod in pods(cluster):
        gpus = pod["containers"][0]["resources"]["limits"].get("nvidia.com/gpu", 0)
        keys = [one["key"] for one in pod.get("tolerations", [])]
        assert ("nvidia.com/gpu" in keys) is bool(gpus)


@pytest.mark.parametrize("cluster", clusters(), ids=["cluster", "service"])
def test_groups_grow_within_their_limits_and_offer_one_custom_resource(cluster: Manifest) -> None:
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        offered = json.loads(json.loads(group["rayStartParams"]["resources"]))
        assert offered in ({"retrieval": 1}, {"teacher": 1}, {"training": 1}, {"student": 1})


@pytest.mark.parametrize("job", [one for _, one in manifests() if one["kind"] == "RayJob"])
def test_a_job_runs_an_entry_point_that_exists_with_settings_that_parse(job: Manifest) -> None:
    program, *words = job["spec"]["entrypoint"].removeprefix("python ").split()
    inside = "/home/ray/steper_ray/"
    assert (ROOT / program.removeprefix(inside)).is_file()
    config, *overrides = words
    settings = load_config(ROOT / config.removeprefix(inside), overrides)
    groups = {group["groupName"] for group in of_kind("RayCluster")["spec"]["workerGroupSpecs"]}
    wanted = {settings.retriever.resource, settings.teacher.resource, settings.train.resource} - {None}
    assert wanted <= groups, "a job asks for a resource that no group offers"
    assert job["spec"]["clusterSelector"]["ray.io/cluster"] == of_kind("RayCluster")["metadata"]["name"]


def test_no_manifest_holds_a_token_or_a_credential() -> None:
    for path in FILES:
        text = path.read_text()
        assert "RAY_AUTH_TOKEN" not in text
        assert not re.search(r"AKIA|aws_secret|private_key|kind: Secret", text)


def test_the_version_of_ray_is_the_one_the_package_asks_for() -> None:
    wanted = re.search(r'"ray\[[^"]*>=(\d+\.\d+)', (ROOT / "pyproject.toml").read_text())
    assert wanted
    for cluster in clusters():
        assert cluster["rayVersion"].startswith(wanted[1])
    assert f"rayproject/ray:{wanted[1]}" in (ROOT / "cluster" / "Dockerfile").read_text()
