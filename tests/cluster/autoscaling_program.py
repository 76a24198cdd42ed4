"""A generation on a cluster that grows from a head without CPUs; arguments: folder, questions, index.

Run it in namespaces of its own (`unshare --pid --net --mount-proc`): Ray's fake provider starts nodes as processes of
this machine, on fixed ports. Prints one JSON line: the exit code, the most nodes of each group that were seen, those
left at the end.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

RAY = str(Path(sys.executable).with_name("ray"))
PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
GROUPS = {
    "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
    "teacher": {"resources": {"CPU": 1, "GPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 2},
    "retrieval": {"resources": {"CPU": 2, "retrieval": 1}, "node_config": {}, "min_workers": 0, "max_workers": 1},
}
OFFERS = {"teacher": "GPU", "retrieval": "retrieval"}
"""What the nodes of a group offer and those of no other do."""
COMMANDS = (
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)
LEAVE_S = 60


def main(folder: Path, questions: Path, index: Path) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.environ |= {"HOME": str(folder), "RAY_AUTH_MODE": "disabled", "RAY_worker_niceness": "0"}
    os.environ["RAY_TMPDIR"] = tempfile.mkdtemp(prefix="steper-")
    # Ray Data asks for more GPUs once it has measured the first engine, and by default every 10 s.
    os.environ["RAY_DATA_MIN_GAP_BETWEEN_AUTOSCALING_REQUESTS"] = "2"
    head = start_head(folder)
    import ray

    ray.init(address="127.0.0.1:6379", log_to_driver=False)
    seen: dict[str, int] = {}
    done = threading.Event()
    watcher = threading.Thread(target=watch, args=(seen, done))
    watcher.start()
    settings = [
        f"run.folder={folder / 'run'}",
        f"index.folder={index}",
        f"generate.questions={questions}",
        "teacher.backend=scripted",
        "teacher.scripted_latency_s=0.3",
        "teacher.gpus=1",
        "retriever.resource=retrieval",
        "generate.actors_max=2",
        "generate.in_flight=4",
        "ray.address=127.0.0.1:6379",
    ]
    code = subprocess.run([sys.executable, "-m", "steper_ray.cli", "generate", *settings], check=False).returncode
    patience = time.monotonic() + LEAVE_S
    while groups_now() and time.monotonic() < patience:
        time.sleep(0.5)
    done.set()
    watcher.join()
    print(json.dumps({"code": code, "seen": seen, "left": groups_now()}), flush=True)
    head.kill()
    shutil.rmtree(os.environ["RAY_TMPDIR"], ignore_errors=True)


def start_head(folder: Path) -> "subprocess.Popen[bytes]":
    config: dict[str, Any] = {
        "cluster_name": "fake",
        "max_workers": 3,
        "idle_timeout_minutes": 0.1,
        "upscaling_speed": 100.0,
        "provider": {
            "type": "external",
            "module": PROVIDER,
            "gcs_address": "127.0.0.1:6379",
            # All nodes have one address here; told by it alone, none would ever be seen idle.
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
        },
        "available_node_types": GROUPS,
        "head_node_type": "ray.head.default",
        **{key: {} for key in ("auth", "docker", "file_mounts")},
        **{key: [] for key in ("cluster_synced_files", "rsync_exclude", "rsync_filter", *COMMANDS)},
        "file_mounts_sync_continuously": False,
    }
    (folder / "cluster.json").write_text(json.dumps(config))
    env = {
        **os.environ,
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "0",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        # As Ray's launcher names the head's group: by its label a phase knows that the cluster may grow.
        "RAY_NODE_TYPE_NAME": "ray.head.default",
    }
    options = ["--head", "--block", "--num-cpus=0", "--num-gpus=0", "--port=6379", "--node-ip-address=127.0.0.1"]
    more = [f"--autoscaling-config={folder / 'cluster.json'}", "--object-store-memory=100000000"]
    with (folder / "head.log").open("w") as log:
        head = subprocess.Popen([RAY, "start", *options, *more], env=env, stdout=log, stderr=log)
    patience = time.monotonic() + 90
    while "Ray runtime started" not in (folder / "head.log").read_text() and time.monotonic() < patience:
        time.sleep(0.3)
    return head


def groups_now() -> dict[str, int]:
    """How many living nodes each group has, the head's left out."""
    import ray

    offered = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    counts = {group: sum(what in one for one in offered) for group, what in OFFERS.items()}
    return {name: count for name, count in counts.items() if count}


def watch(seen: dict[str, int], done: threading.Event) -> None:
    while not done.wait(0.5):
        for name, count in groups_now().items():
            seen[name] = max(seen.get(name, 0), count)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
