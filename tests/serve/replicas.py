"""Looking at the replicas of the running service, and killing them as an operating system would."""

import os
import signal
import time
from typing import Any


def replicas(deployment: str) -> list[Any]:
    """Actor handles of a deployment's replicas."""
    import ray
    from ray.util import list_named_actors

    names = [actor["name"] for actor in list_named_actors(all_namespaces=True) if f"#{deployment}#" in actor["name"]]
    return [ray.get_actor(name, namespace="serve") for name in names]


def process_id(replica: Any) -> int:
    """Of a replica."""
    import ray

    found: int = ray.get(replica.__ray_call__.remote(lambda _: os.getpid()), timeout=10)
    return found


def send_signal(deployment: str, number: int = signal.SIGKILL) -> None:
    """To every replica of a deployment."""
    for id in [process_id(replica) for replica in replicas(deployment)]:
        os.kill(id, number)


def hang_searches() -> None:
    """Let every search of the retrievers that run now last for ever; those that replace them search as usual."""
    import ray

    def hang(_: Any) -> None:
        from steper_ray.backends.lucene import LuceneIndex

        setattr(LuceneIndex, "search", lambda *_: time.sleep(3600))  # noqa: B010

    ray.get([replica.__ray_call__.remote(hang) for replica in replicas("retriever")], timeout=10)


def ongoing(deployment: str) -> int:
    """Requests in all replicas of a deployment."""
    import ray

    counts: list[int] = ray.get([replica.get_num_ongoing_requests.remote() for replica in replicas(deployment)])
    return sum(counts)


def running(deployment: str) -> int:
    """Replicas of a deployment that Serve sends requests to."""
    from ray import serve

    states = serve.status().applications["steper"].deployments[deployment].replica_states
    return int(states.get("RUNNING", 0))
