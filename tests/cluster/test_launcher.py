"""Every launcher file through Ray's own checks, and what all promise: token, groups, private ports, no secrets."""

import copy
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from steper_ray.drive.cluster import SERVE_SETTINGS
from tests.cluster.shipped import shipped_settings

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "cluster").glob("*.yaml"))
CLOUDS = [path for path in FILES if path.stem != "local"]


def read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(path.read_text())
    return values


def check(values: dict[str, Any]) -> dict[str, Any]:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared: dict[str, Any] = prepare_config(copy.deepcopy(values))
    validate_config(prepared)
    return prepared


def test_there_is_a_file_for_every_kind_of_machine() -> None:
    assert {path.stem for path in FILES} == {"aws", "aws-spot", "gcp", "gcp-spot", "local"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_launcher_file_passes_rays_own_checks_and_a_typing_error_does_not(path: Path) -> None:
    values = read(path)
    check(values)
    with pytest.raises(Exception, match="idle_timeout_minuets"):
        check({**values, "idle_timeout_minuets": 5})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_start_command_has_the_shared_environment_and_the_head_listens_on_localhost(path: Path) -> None:
    values = read(path)
    (_, head), (_, worker) = values["head_start_ray_commands"], values["worker_start_ray_commands"]
    for command in (head, worker):
        assert ". ~/steper_ray/cluster/ray.env" in command
        assert "--metrics-export-port=8080" in command
        assert subprocess.run(["bash", "-n", "-c", command]).returncode == 0
    assert "--num-cpus=0" in head
    assert "--dashboard-host=127.0.0.1" in head
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in head


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_token_is_copied_from_the_users_home_and_closed_to_others(path: Path) -> None:
    values = read(path)
    assert values["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert values["setup_commands"][0] == "chmod 600 ~/.ray/auth_token"
    assert any("uv pip install" in command and '".[gpu]"' in command for command in values["setup_commands"])


@pytest.mark.parametrize("path", CLOUDS, ids=lambda path: path.stem)
def test_a_cloud_has_an_idle_head_and_groups_for_retrieval_teachers_and_training(path: Path) -> None:
    prepared = check(read(path))
    groups = prepared["available_node_types"]
    assert list(groups) == ["head", "retrieval", "teacher", "training"]
    assert prepared["head_node_type"] == "head"
    assert groups["head"]["resources"] == {"CPU": 0}
    for name in ("retrieval", "teacher", "training"):
        assert groups[name]["resources"][name] == 1
        assert groups[name]["min_workers"] == 0 < groups[name]["max_workers"]
        assert bool(groups[name]["resources"].get("GPU")) is (name != "retrieval")
    assert prepared["provider"]["use_internal_ips"] is True
    assert sum(group["max_workers"] for group in groups.values()) <= prepared["max_workers"]


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_the_spot_variant_differs_in_nothing_but_the_teachers_market(cloud: str) -> None:
    plain, spot = (read(ROOT / "cluster" / f"{name}.yaml") for name in (cloud, f"{cloud}-spot"))
    key = {"aws": "InstanceMarketOptions", "gcp": "scheduling"}[cloud]
    market = spot["available_node_types"]["teacher"]["node_config"].pop(key)
    assert "spot" in json.dumps(market).lower()
    plain["available_node_types"]["teacher"]["node_config"].pop(key, None)
    assert spot.pop("cluster_name") == f"{plain.pop('cluster_name')}-spot"
    assert plain == spot


@pytest.mark.parametrize("path", CLOUDS, ids=lambda path: path.stem)
def test_gpus_asked_for_by_number_bring_nodes_for_teachers_and_none_for_training(path: Path) -> None:
    assert launched(read(path), {"CPU": 1.0, "GPU": 4.0}, 4) == {"teacher": 2}
    assert launched(read(path), {"CPU": 1.0, "GPU": 8.0, "training": 0.001}, 1) == {"training": 1}
    assert launched(read(path), {"CPU": 0.5, "retrieval": 0.001}, 2) == {"retrieval": 1}


def launched(values: dict[str, Any], bundle: dict[str, float], count: int) -> dict[str, int]:
    """What the scheduler of Ray's autoscaler starts on an empty cluster for so many bundles."""
    from ray.autoscaler.v2.instance_manager.config import NodeTypeConfig
    from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
    from ray.autoscaler.v2.utils import ResourceRequestUtil
    from ray.core.generated.autoscaler_pb2 import ClusterResourceConstraint

    groups = {
        name: NodeTypeConfig(
            name,
            group["min_workers"],
            group["max_workers"],
            priority=group.get("priority", 0),
            resources=group["resources"],
        )
        for name, group in values["available_node_types"].items()
    }
    wanted = ResourceRequestUtil.group_by_count([ResourceRequestUtil.make(bundle) for _ in range(count)])
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=groups,
        max_num_nodes=values["max_workers"],
        cluster_resource_constraints=[ClusterResourceConstraint(resource_requests=wanted)],
    )
    reply = ResourceDemandScheduler(None).schedule(request)
    return {launch.instance_type: launch.count for launch in reply.to_launch}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_instances_get_their_rights_from_a_role_and_no_file_holds_a_secret(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"AKIA[0-9A-Z]{16}|secret_access_key|private_key:|password", text, re.IGNORECASE)
    roles = {"aws": "IamInstanceProfile", "gcp": "serviceAccounts"}
    for group in read(path).get("available_node_types", {}).values():
        assert roles[read(path)["provider"]["type"]] in group["node_config"]


@pytest.mark.parametrize("path", [path for path in CLOUDS if path.stem.startswith("aws")], ids=lambda path: path.stem)
def test_on_aws_the_head_alone_may_start_nodes_and_give_them_no_other_role_than_theirs(path: Path) -> None:
    groups = read(path)["available_node_types"]
    profiles = {name: group["node_config"]["IamInstanceProfile"]["Name"] for name, group in groups.items()}
    assert profiles == {"head": "steper-ray-head"} | dict.fromkeys(
        ("retrieval", "teacher", "training"), "steper-ray-node"
    )
    rights = {}
    for role in set(profiles.values()):
        policy = json.loads((ROOT / "cluster" / "iam" / f"{role}.json").read_text())
        rights[role] = {statement["Sid"]: statement for statement in policy["Statement"]}
    assert all("s3:" in str(statement["Action"]) for statement in rights["steper-ray-node"].values())
    head = rights["steper-ray-head"]
    assert rights["steper-ray-node"].items() <= head.items()
    assert head["GiveNodesTheirRole"]["Resource"].endswith(":role/steper-ray-node")
    tag = head["EndNodesOfTheCluster"]["Condition"]["StringLike"]["aws:ResourceTag/ray-cluster-name"]
    assert read(path)["cluster_name"].startswith(tag.removesuffix("*"))


def test_serve_runs_here_as_on_a_cluster() -> None:
    shipped = {name: value for name, value in shipped_settings().items() if name.startswith("RAY_SERVE_")}
    assert shipped == SERVE_SETTINGS


def test_the_shared_environment_turns_tokens_on_and_finds_a_cut_node_within_seconds() -> None:
    values = shipped_settings()
    assert values["RAY_AUTH_MODE"] == "token"
    assert int(values["RAY_health_check_period_ms"]) * int(values["RAY_health_check_failure_threshold"]) <= 5000
    assert (
        int(values["RAY_grpc_client_keepalive_time_ms"]) + int(values["RAY_grpc_client_keepalive_timeout_ms"]) <= 5000
    )
    assert not any("TOKEN" in name for name in values)


def test_a_node_offers_teachers_and_training_where_it_has_a_gpu_and_else_retrieval(tmp_path: Path) -> None:
    script = ROOT / "cluster" / "resources.sh"
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'GPU 0: A'\n")
    smi.chmod(0o755)
    path = os.environ["PATH"]
    offered = [
        json.loads(subprocess.run([script], capture_output=True, check=True, env={"PATH": one}).stdout)
        for one in (f"{tmp_path}:{path}", "/usr/bin:/bin")
    ]
    assert offered[0] == {"teacher": 1, "training": 1}
    assert offered[1] in ({"retrieval": 1}, offered[0])


def test_the_slurm_script_refuses_an_unknown_phase_before_it_makes_a_token(tmp_path: Path) -> None:
    script = ROOT / "cluster" / "slurm.sh"
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SLURM_SUBMIT_DIR": str(ROOT)}
    for words, message in ((["fly"], "no phase fly"), ([], "usage")):
        done = subprocess.run([script, *words], capture_output=True, text=True, env=env)
        assert (done.returncode, message in done.stderr) == (2, True)
    assert not (tmp_path / ".ray").exists()
