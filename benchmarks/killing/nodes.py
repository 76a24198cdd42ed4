"""A Ray cluster of several nodes on this machine, whose lost nodes are replaced after a while."""

import os
import time
from typing import Any

import psutil

NODES, CPUS = 3, 2
_STORE = 2**27
_REPLACED_AFTER_S = 5.0
_ALL_ON_ONE_MACHINE = {"RAY_health_check_timeout_ms": "3000", "RAY_worker_niceness": "0"}


class Nodes:
    """A head on which nothing runs, and nodes that may be lost; use as a context manager."""

    def __init__(self) -> None:
        os.environ.update(health_checks())
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": _STORE}
        )
        self._nodes = [self._add() for _ in range(NODES)]
        self._lost: list[tuple[float, Any]] = []

    def __enter__(self) -> "Nodes":
        return self

    def __exit__(self, *_: object) -> None:
        self._cluster.shutdown()

    @property
    def address(self) -> str:
        """For `ray.address`."""
        return str(self._cluster.address)

    def raylets(self) -> list[psutil.Process]:
        """Those that may be killed: none while only one node is left."""
        if len(self._nodes) < 2:
            return []
        return [psutil.Process(raylet_pid(node)) for node in self._nodes]

    def lose(self, raylet: psutil.Process) -> None:
        """Take note that a raylet was killed."""
        node = next(node for node in self._nodes if raylet_pid(node) == raylet.pid)
        self._nodes.remove(node)
        self._lost.append((time.monotonic(), node))

    def mend(self) -> None:
        """Replace the nodes that were lost long enough ago."""
        due = [(lost, node) for lost, node in self._lost if time.monotonic() - lost >= _REPLACED_AFTER_S]
        for entry in due:
            self._lost.remove(entry)
            self._cluster.remove_node(entry[1], allow_graceful=False)  # what the raylet left behind
            self._nodes.append(self._add())

    def _add(self) -> Any:
        return self._cluster.add_node(num_cpus=CPUS, object_store_memory=_STORE)


def health_checks() -> dict[str, str]:
    """Those of a cluster, but patient with nodes that share this machine's cores."""
    from tests.cluster.shipped import shipped_settings

    return {
        name: value for name, value in shipped_settings().items() if name.startswith("RAY_health_check_")
    } | _ALL_ON_ONE_MACHINE


def raylet_pid(node: Any) -> int:
    """Of a node that this process started."""
    (raylet,) = node.all_processes["raylet"]
    return int(raylet.process.pid)
