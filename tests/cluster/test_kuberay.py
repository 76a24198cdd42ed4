"""Every manifest against schemas that know no typing errors, and what the manifests promise about tokens and room."""

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
from tests.cluster.kubernetes_parts import OLDEST, kubernetes_faults
from tests.cluster.shipped import shipped_settings

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "cluster" / "kuberay").glob("*.yaml"))
Manifest = dict[str, Any]


def manifests() -> list[tuple[str, Manifest]]:
    return [(f"{path.stem}/{one['kind']}", one) for path in FILES for one in yaml.safe_load_all(path.read_text())]


def of_kind(name: str) -> Manifest:
    return next(one for _, one in manifests() if one["kind"] == name)


def clusters() -> list[Manifest]:
    return [of_kind("RayCluster")["spec"], of_kind("RayService")["spec"]["rayClusterConfig"]]


def jobs() -> list[Manifest]:
    return [one for _, one in manifests() if one["kind"] == "RayJob"]


def faults(manifest: Manifest) -> list[str]:
    own = KINDS.get(manifest.get("kind", ""), {})
    return [error.message for error in Draft202012Validator(own).iter_errors(manifest)] + kubernetes_faults(manifest)


def pods(cluster: Manifest) -> Iterator[Manifest]:
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        yield group["template"]["spec"]


def all_pods() -> list[Manifest]:
    submitters = [job["spec"]["submitterPodTemplate"]["spec"] for job in jobs()]
    return [pod for cluster in clusters() for pod in pods(cluster)] + submitters


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
    assert faults(manifest) == kubernetes_faults(manifest, OLDEST) == []
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


HEAD_POD = ("spec", "headGroupSpec", "template", "spec")
WRONG_VALUES: list[tuple[str, tuple[Any, ...], Any]] = [
    ("RayCluster", ("spec", "authOptions", "mode"), "tokens"),
    ("RayCluster", ("spec", "autoscalerOptions", "version"), "v3"),
    ("RayCluster", ("spec", "autoscalerOptions", "resources", "limits", "cpu"), "half a core"),
    ("RayCluster", ("spec", "autoscalerOptions", "resources", "requests"), ["cpu"]),
    ("RayCluster", ("spec", "workerGroupSpecs", 0, "maxReplicas"), 2**31),
    ("RayCluster", ("spec", "workerGroupSpecs", 0, "rayStartParams", "metrics-export-port"), 8080),
    ("RayCluster", (*HEAD_POD, "restartPolicy"), "never"),
    ("RayCluster", (*HEAD_POD, "containers", 0, "image"), None),
    ("RayCluster", (*HEAD_POD, "containers", 0, "ports", 0, "containerPort"), "gcs"),
    ("RayCluster", (*HEAD_POD, "securityContext", "runAsUser"), "ray"),
    ("RayCluster", ("spec", "workerGroupSpecs", 1, "template", "spec", "tolerations", 0, "effect"), "NoScheduling"),
    ("RayJob", ("spec", "submissionMode"), "k8sJobMode"),
    ("RayJob", ("spec", "activeDeadlineSeconds"), "2 days"),
    ("RayService", ("metadata", "labels"), ["steper-ray"]),
    ("PersistentVolumeClaim", ("spec", "accessModes"), ["ReadWriteMost"]),
    ("NetworkPolicy", ("spec", "policyTypes"), ["Inwards"]),
    ("ServiceAccount", ("apiVersion",), "v2"),
]


@pytest.mark.parametrize(("name", "place", "value"), WRONG_VALUES)
def test_a_value_of_the_wrong_kind_is_refused(name: str, place: tuple[Any, ...], value: Any) -> None:
    broken = copy.deepcopy(of_kind(name))
    target = broken
    for step in place[:-1]:
        target = target[step]
    assert place[-1] in target if isinstance(target, dict) else True
    target[place[-1]] = value
    assert faults(broken)


@pytest.mark.parametrize("name", ["headGroupSpec", "workerGroupSpecs"])
def test_fields_of_the_operator_that_we_do_not_use_are_known(name: str) -> None:
    cluster = copy.deepcopy(of_kind("RayCluster"))
    cluster["spec"] |= {"upgradeStrategy": {"type": "Recreate"}, "headServiceAnnotations": {"a": "b"}}
    groups = cluster["spec"][name]
    for group in groups if isinstance(groups, list) else [groups]:
        group |= {"labels": {"zone": "a"}, "resources": {"CPU": "4"}}
    assert faults(cluster) == []
    cluster["spec"]["headGroupSpec"]["headService"] = {"metadata": {"name": "head"}, "specs": {}}
    assert faults(cluster)


@pytest.mark.parametrize("job", jobs())
def test_a_job_in_a_standing_cluster_leaves_out_what_the_operator_refuses_there(job: Manifest) -> None:
    spec = job["spec"]
    assert spec["clusterSelector"] == {"ray.io/cluster": of_kind("RayCluster")["metadata"]["name"]}
    assert not any(spec.get(field) for field in ("shutdownAfterJobFinishes", "backoffLimit", "suspend"))
    assert spec["submissionMode"] != "SidecarMode"
    assert spec["submitterConfig"]["backoffLimit"] > 0, "a submitter that loses the head is started again"


def test_every_pod_has_an_identity_limits_and_no_rights_of_root() -> None:
    accounts = [one["metadata"]["name"] for _, one in manifests() if one["kind"] == "ServiceAccount"]
    for pod in all_pods():
        assert pod["serviceAccountName"] in accounts
        assert pod["restartPolicy"] == "Never"
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }
            assert set(container["resources"]) == {"requests", "limits"}
            assert {"cpu", "memory"} <= set(container["resources"]["limits"])


def test_only_the_heads_autoscaler_may_talk_to_kubernetes() -> None:
    heads = [cluster["headGroupSpec"]["template"]["spec"] for cluster in clusters()]
    for pod in all_pods():
        assert pod["automountServiceAccountToken"] is (pod in heads)


def test_what_pods_mount_and_the_operator_reads_is_made_by_the_set_up() -> None:
    setup = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    secrets = re.findall(r"create secret generic (\S+) --from-file=(\w+)=", setup)
    assert secrets == [("steper-ray-token", "auth_token")], "the operator reads the token under this key"
    maps = re.findall(r"create configmap (\S+) --from-env-file=(\S+)", setup)
    assert maps == [("steper-ray-env", "cluster/ray.env")]
    claims = {one["metadata"]["name"] for _, one in manifests() if one["kind"] == "PersistentVolumeClaim"}
    for pod in all_pods():
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        wanted = {one["persistentVolumeClaim"]["claimName"] for one in volumes.values() if "emptyDir" not in one}
        assert wanted <= claims
        for container in pod["containers"]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} == set(volumes)


def test_the_environment_is_a_config_map_that_kubernetes_takes() -> None:
    data = shipped_settings()
    assert data["RAY_AUTH_MODE"] == "token"
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "steper-ray-env"}, "data": data}
    assert faults(made) == []


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


@pytest.mark.parametrize("job", jobs())
def test_a_job_runs_an_entry_point_that_exists_with_settings_that_parse(job: Manifest) -> None:
    program, *words = job["spec"]["entrypoint"].removeprefix("python ").split()
    inside = "/home/ray/steper_ray/"
    assert (ROOT / program.removeprefix(inside)).is_file()
    config, *overrides = words
    settings = load_config(ROOT / config.removeprefix(inside), overrides)
    groups = {group["groupName"] for group in of_kind("RayCluster")["spec"]["workerGroupSpecs"]}
    wanted = {settings.retriever.resource, settings.teacher.resource, settings.train.resource} - {None}
    assert wanted <= groups, "a job asks for a resource that no group offers"


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
