"""The Ray Serve application: HTTP ingress → loop → student and retriever, each a deployment of its own."""

from typing import Any

from ray import serve
from ray.serve.schema import LoggingConfig

from steper_ray.config import Config
from steper_ray.drive.placement import RETRIEVER_CPUS, resources
from steper_ray.serve.ingress import Ingress
from steper_ray.serve.loop import LoopReplica
from steper_ray.serve.plan import LIGHT_CPUS, ServicePlan, engine_resources, plan_service
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
    searching = resources(RETRIEVER_CPUS, 0, plan.retriever_resource)
    student = _deploy("student", StudentReplica, engine, UNLIMITED, engine_resources(plan)).bind(plan)
    retriever = _deploy("retriever", RetrieverReplica, search, UNLIMITED, searching).bind(plan.index, plan.index_source)
    light = resources(LIGHT_CPUS)
    patience = {"graceful_shutdown_timeout_s": limits.deadline_s}
    queue = {"max_queued_requests": limits.max_queued}
    loop = _deploy("loop", LoopReplica, limits.loop_replicas, limits.max_ongoing, light, **patience, **queue)
    ingress = _deploy("ingress", serve.ingress()(Ingress), 1, UNLIMITED, light, **patience)
    return ingress.bind(plan, loop.bind(plan, student, retriever))


def _deploy(
    name: str, replica: type, count: int, in_flight: int, asked: dict[str, float], **options: Any
) -> serve.Deployment:
    made: serve.Deployment = serve.deployment(
        name=name,
        num_replicas=count,
        max_ongoing_requests=in_flight,
        ray_actor_options=_actor_options(asked),
        health_check_period_s=CHECK_S,
        graceful_shutdown_wait_loop_s=0.2,
        logging_config=LoggingConfig(enable_access_log=False),
        **options,
    )(replica)
    return made


def _actor_options(asked: dict[str, float]) -> dict[str, Any]:
    """Ray's options of an actor that asks for these resources."""
    custom = {name: amount for name, amount in asked.items() if name not in ("CPU", "GPU")}
    return {"num_cpus": asked["CPU"], "num_gpus": asked.get("GPU", 0), "resources": custom}
