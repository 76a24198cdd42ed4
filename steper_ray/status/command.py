"""The `status` sub-command: what it takes and what it prints."""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steper_ray.status.cluster import ClusterView
    from steper_ray.status.run import RunStatus

_WHAT = "what runs, how far it is, how healthy, and what to do"


def add_status(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the sub-command to the command line."""
    command = commands.add_parser("status", help=_WHAT, description=_WHAT)
    command.add_argument("runs", nargs="+", metavar="RUN", help="run folders, folders of a phase, or s3:// and gs://")
    command.add_argument(
        "--cluster", metavar="ADDRESS", help="a Ray cluster to look at too; else that of a run on this machine"
    )
    command.add_argument("--json", action="store_true", help="for machines")
    command.set_defaults(run=_status)


def _status(options: argparse.Namespace) -> None:
    from steper_ray.status.run import read_status

    now = time.time()
    folders = [Path(run) for run in options.runs if "://" not in run]
    runs = [read_status(folder, now) for folder in folders]
    addresses = [options.cluster] if options.cluster else list(dict.fromkeys(filter(None, map(_ray_of, runs))))
    clusters = _clusters(addresses)
    if options.json:
        print(json.dumps({"runs": [asdict(run) for run in runs], "clusters": list(map(asdict, clusters))}, default=str))
        return
    from steper_ray.status.cluster import show_cluster
    from steper_ray.status.published import show_published
    from steper_ray.status.show import show

    texts = [show(run, now) for run in runs]
    texts += [show_published(run) for run in options.runs if "://" in run]
    print("\n\n".join([*texts, *map(show_cluster, clusters)]))


def _clusters(addresses: Sequence[str]) -> "list[ClusterView]":
    from steper_ray.status.cluster import look

    return [look(address) for address in addresses]


def _ray_of(run: "RunStatus") -> str:
    """The Ray that a phase which runs on this machine has started."""
    import socket

    from steper_ray.status.cluster import ray_of

    holders = [holder for holder in [run.holder, *(phase.holder for phase in run.phases)] if holder and holder.alive]
    here = [holder.pid for holder in holders if holder.host == socket.gethostname()]
    return next(filter(None, map(ray_of, here)), "")
