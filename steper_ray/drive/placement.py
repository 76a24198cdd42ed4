"""Whether a cluster has room for what a phase asks of it: said before anything waits, instead of waiting for ever."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steper_ray.drive.cluster import cluster_address
from steper_ray.errors import EnvironmentFault
from steper_ray.sections.shared import RaySection

SHARE = 0.001
"""Of a custom resource: enough to choose a node by, too little to run short of."""
RETRIEVER_CPUS = 0.5
GROUP_LABEL = "ray.io/node-group"
"""Set on nodes that Ray's cluster launcher or KubeRay started, hence where an autoscaler may start more."""
_POLL_S = 1.0
_DATA_PLACES = 5


@dataclass(frozen=True, slots=True)
class Ask:
    """So many actors or workers, all needed at once, each on one node."""

    what: str
    """In the plural, for messages."""
    count: int
    each: Mapping[str, float]
    """Resources of one, by Ray's names."""


def resources(cpus: float, gpus: float = 0, custom: str | None = None) -> dict[str, float]:
    """Resources of one actor by Ray's names; nothing that is zero."""
    asked = {"CPU": cpus, "GPU": gpus, **({custom: SHARE} if custom else {})}
    return {name: amount for name, amount in asked.items() if amount}


def even_calls(least: int, each: Mapping[str, float]) -> int:
    """The fewest calls at a time, from `least` up, whose shares of an actor make up the whole actor again.

    Ray Data reckons with the resources of one call, rounded to five places. Where that rounds them down, three calls of
    0.33333 are less than an actor, and it never asks the autoscaler for the last one.
    """
    calls = least
    while any(round(amount / calls, _DATA_PLACES) * calls < amount for amount in each.values()):
        calls += 1
    return calls


def lacking(asks: Sequence[Ask], nodes: Sequence[Mapping[str, float]]) -> str:
    """What the nodes have no room for, or nothing. `nodes` are total resources: what is busy now will be free."""
    free = [dict(node) for node in nodes]
    # The hardest to place first.
    for ask in sorted(asks, key=lambda ask: (ask.each.get("GPU", 0), ask.each.get("CPU", 0)), reverse=True):
        placed = sum(_place(ask.each, free) for _ in range(ask.count))
        if placed < ask.count:
            return (
                f"{ask.count} {ask.what} ask for {_words(ask.each)} each, there is room for {placed}; "
                f"the nodes offer {'; '.join(_words(node, ask.each) for node in nodes) or 'nothing'}"
            )
    return ""


def await_room(asks: Sequence[Ask], section: RaySection) -> None:
    """Wait up to `ray.join_s` for nodes that fit; a cluster that may grow is given the benefit of the doubt.

    Raises:
        EnvironmentFault: the cluster neither has nor will have room; names what it lacks.
    """
    import ray

    patience = time.monotonic() + (section.join_s if cluster_address(section) else 0.0)
    while True:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        lack = lacking(asks, [node["Resources"] for node in nodes])
        if not lack:
            return
        if may_grow(nodes, section.autoscaling):
            print(
                f"waiting for nodes that the autoscaler may bring: {lack}. `ray status` shows what it does", flush=True
            )
            return
        if time.monotonic() >= patience:
            raise EnvironmentFault(
                lack,
                "Ask for less, add nodes, or set ray.autoscaling=true where an autoscaler will bring them",
            )
        time.sleep(_POLL_S)


def may_grow(nodes: Sequence[Mapping[str, Any]], said: bool | None) -> bool:
    """Whether an autoscaler may start nodes: as the configuration says, else by the label of its nodes."""
    return said if said is not None else any(GROUP_LABEL in node.get("Labels", {}) for node in nodes)


def _place(each: Mapping[str, float], free: Sequence[dict[str, float]]) -> bool:
    for node in free:
        if all(node.get(name, 0.0) >= amount - 1e-9 for name, amount in each.items()):
            for name, amount in each.items():
                node[name] = node.get(name, 0.0) - amount
            return True
    return False


def _words(amounts: Mapping[str, float], names: Mapping[str, float] | None = None) -> str:
    shown = [f"{amounts.get(name, 0):g} {name}" for name in (names or amounts)]
    return " and ".join(shown)
