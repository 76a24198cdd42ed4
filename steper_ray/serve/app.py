"""The Ray Serve application: HTTP ingress → loop → student and retriever, each a deployment of its own."""

from typing import Any

from ray import serve
from ray.serve.schema import LoggingConfig

from steper_ray.config import Config
from steper_ray.drive.cluster import engine_gpus
from steper_ray.serve.ingress import Ingress
from steper_ray.serve.loop import LoopReplica
from steper_ray.serve.plan import ServicePlan, plan_service
from steper_ray.serve.retriever import RetrieverReplica
from steper_ray.serve.student import StudentReplica

APPLICATION = "steper"
UNLIMITED = 100_000
"""Calls in flight per replica where the loop's limits already bound them."""
CHECK_S = 2.0
"""Time between Serve's looks at a replica; a dead one is replaced that fast."""


def build_app(config: Config) -> serve.Application:
    """The application for `serve run` and Serve config files (`import_path: steper_ray.serve.app:build_app`).

    Raises:
        UserError: see `plan_service`.
    """
    return bind(plan_service(config))


def bind(plan: ServicePlan) -> serve.Application:
    """The deployments of a checked plan, handles passed inwards. Needs a connection to Ray."""
    limits = plan.limits
    engine, search = limits.engine_replicas, limits.retriever_replicas
    student = _deploy("student", StudentReplica, engine, UNLIMITED, _engine_resources(plan)).bind(plan)
    retriever = _deploy("retriever", RetrieverReplica, search, UNLIMITED, {"num_cpus": 0.5}).bind(plan.index)
    light = {"num_cpus": 0.25}
    patience = {"graceful_shutdown_timeout_s": limits.deadline_s}
    queue = {"max_queued_requests": limits.max_queued}
    loop = _deploy("loop", LoopReplica, limits.loop_replicas, limits.max_ongoing, light, **patience, **queue)
    ingress = _deploy("ingress", serve.ingress()(Ingress), 1, UNLIMITED, light, **patience)
    return ingress.bind(plan, loop.bind(plan, student, retriever))


def _deploy(
    name: str, replica: type, count: int, in_flight: int, resources: dict[str, float], **options: Any
) -> serve.Deployment:
    made: serve.Deployment = serve.deployment(
        name=name,
        num_replicas=count,
        max_ongoing_requests=in_flight,
        ray_actor_options=resources,
        health_check_period_s=CHECK_S,
        graceful_shutdown_wait_loop_s=0.2,
        logging_config=LoggingConfig(enable_access_log=False),
        **options,
    )(replica)
    return made


def _engine_resources(plan: ServicePlan) -> dict[str, float]:
    return {"num_cpus": 1, "num_gpus": engine_gpus(plan.student)}
