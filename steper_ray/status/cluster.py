"""A Ray cluster as it stands: nodes, what waits for room, actors that die. Ray is imported only to ask."""

import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from steper_ray.errors import ConfigError, EnvironmentFault

_TIMEOUT_S, _KNOCK_S = 10, 5.0
_OPTION = "--gcs-address="
_SHOWN = ("CPU", "GPU")


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What is worth telling."""

    address: str
    alive: int
    """Nodes."""
    dead: int
    resources: dict[str, tuple[float, float]] = field(default_factory=dict)
    """In use and in total, CPUs and GPUs."""
    actors: dict[str, int] = field(default_factory=dict)
    """By state."""
    findings: tuple[str, ...] = ()


def look(address: str) -> ClusterView:
    """Ask the cluster's control store; no driver is started, so nothing of this is left behind.

    Raises:
        ConfigError: not an address.
        EnvironmentFault: it does not answer.
    """
    _knock(address)
    from ray._private.state import GlobalState
    from ray.autoscaler.v2.sdk import get_cluster_status

    raylet: Any = import_module("ray._raylet")  # compiled, without types
    state = GlobalState()
    try:
        found = get_cluster_status(address, timeout=_TIMEOUT_S)
        state._initialize_global_state(
            raylet.GcsClientOptions.create(address, None, allow_cluster_id_nil=True, fetch_cluster_id_if_nil=True)
        )
        actors = list(state.actor_table(None).values())
        nodes = [bool(node["Alive"]) for node in state.node_table()]
    except Exception as error:  # whatever gRPC has to say
        raise _silent(address, error) from None
    finally:
        state.disconnect()
    usage = {each.resource_name: (each.used, each.total) for each in found.cluster_resource_usage}
    demands = found.resource_demands
    waiting = [
        (dict(shape.bundle), shape.count)
        for demand in [*demands.ray_task_actor_demand, *demands.placement_group_demand]
        for shape in demand.bundles_by_count
    ]
    return view(address, nodes, usage, waiting, actors)


def _knock(address: str) -> None:
    """Ray itself would wait for most of a minute."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ConfigError(f"--cluster is HOST:PORT of a Ray cluster's head, as in ray.address; found {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()
    except OSError as error:
        raise _silent(address, error) from None


def _silent(address: str, error: Exception) -> EnvironmentFault:
    words = " ".join(str(error).split())[:200].rstrip(".")
    remedy = "Correct --cluster, and set RAY_AUTH_MODE=token where it asks for one"
    return EnvironmentFault(f"the cluster at {address} does not answer: {words}", remedy)


def view(
    address: str,
    nodes: Sequence[bool],
    usage: Mapping[str, tuple[float, float]],
    waiting: Sequence[tuple[Mapping[str, float], int]],
    actors: Sequence[Mapping[str, Any]],
) -> ClusterView:
    """Judge what a cluster says.

    Args:
        address: of the cluster.
        nodes: whether each node that it ever had is alive.
        usage: in use and in total by resource.
        waiting: what could not be placed yet, and how often.
        actors: of Ray's actor table: ActorClassName, State, NumRestarts.
    """
    findings = [f"waits for room: {count} × {_shape(shape)}" for shape, count in waiting]
    restarted: Counter[str] = Counter()
    for actor in actors:
        if actor["State"] != "DEAD":
            restarted[actor["ActorClassName"]] += int(actor["NumRestarts"])
    findings += [f"{name} was restarted {_times(times)}" for name, times in sorted(restarted.items()) if times]
    return ClusterView(
        address=address,
        alive=sum(nodes),
        dead=len(nodes) - sum(nodes),
        resources={name: usage[name] for name in _SHOWN if name in usage},
        actors=dict(Counter(str(actor["State"]) for actor in actors)),
        findings=tuple(findings),
    )


def show_cluster(cluster: ClusterView) -> str:
    """The lines about a cluster."""
    words = [f"{cluster.alive} nodes alive" if cluster.alive != 1 else "1 node alive"]
    words += [f"{cluster.dead} lost"] if cluster.dead else []
    words += [f"{used:g} of {total:g} {name} in use" for name, (used, total) in cluster.resources.items()]
    living = {state: count for state, count in sorted(cluster.actors.items()) if state != "DEAD"}
    words += [f"{count} actors {state.lower().replace('_', ' ')}" for state, count in living.items()]
    lines = [f"Ray at {cluster.address}", f"  {' · '.join(words)}"]
    return "\n".join([*lines, *(f"    ! {finding}" for finding in cluster.findings)])


def ray_of(pid: int, processes: Path = Path("/proc")) -> str:
    """The address of the Ray that a process of this machine started, from its descendants; empty without one."""
    parents: dict[int, int] = {}
    addresses: dict[int, str] = {}
    for entry in processes.glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):  # it has just ended, or there is no such file system
            continue
        parents[int(entry.name)] = parent
        if told := next((word.removeprefix(_OPTION) for word in words if word.startswith(_OPTION)), ""):
            addresses[int(entry.name)] = told
    return next((address for child, address in addresses.items() if _descends(child, pid, parents)), "")


def _descends(child: int, ancestor: int, parents: Mapping[int, int]) -> bool:
    while child in parents:
        if child == ancestor:
            return True
        child = parents[child]
    return False


def _shape(shape: Mapping[str, float]) -> str:
    return " + ".join(f"{amount:g} {name}" for name, amount in sorted(shape.items())) or "nothing"


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
