"""The Ray Serve application: HTTP ingress → loop → student and retriever, each a deployment of its own."""

from typing import Any

import ray
from ray import serve
from ray.serve.config import AutoscalingConfig, RequestRouterConfig
from ray.serve.schema import LoggingConfig

from steper_ray.config import Config
from steper_ray.drive.placement import RETRIEVER_CPUS, resources
from steper_ray.sections.serve import ServeSection
from steper_ray.serve.ingress import Ingress
from steper_ray.serve.loop import LoopReplica
from steper_ray.serve.plan import LIGHT_CPUS, ServicePlan, engine_resources, loop_resources, plan_service
from steper_ray.serve.retriever import RetrieverReplica
from steper_ray.serve.routing import NearbyRouter
from steper_ray.serve.running import refuse_misfit
from steper_ray.serve.student import StudentReplica

APPLICATION = "steper"
UNLIMITED = 100_000
"""Calls in flight per replica where the loop's limits already bound them."""
WINDOW_S = 30.0
"""Over which Serve averages the requests in flight, at most."""
CHECK_S = 2.0
"""Time between Serve's looks at a replica; a dead one is replaced that fast."""


def build_app(config: Config) -> serve.Application:
    """The application for `serve run` and Serve config files (`import_path: steper_ray.serve.app:build_app`).

    Raises:
        UserError: see `plan_service`, and `refuse_misfit` for a service that runs already.
    """
    plan = plan_service(config)
    if ray.is_initialized():
        refuse_misfit(plan, APPLICATION)
    return bind(plan)


def bind(plan: ServicePlan) -> serve.Application:
    """The deployments of a checked plan, handles passed inwards. Needs a connection to Ray."""
    limits = plan.limits
    pace = _pace(limits)
    engines = _count(limits.engine_replicas, limits.engine_replicas_max, limits.engine_target_ongoing, pace)
    searchers = _count(limits.retriever_replicas, limits.retriever_replicas_max, limits.retriever_target_ongoing, pace)
    searching = resources(RETRIEVER_CPUS, 0, plan.retriever_resource)
    # A reload starts each light replica before its predecessor ends; an engine may lack the room for that.
    beside, patient = {"max_surge_percent": 100}, {"graceful_shutdown_timeout_s": limits.deadline_s}
    router: dict[str, Any] = {"request_router_class": NearbyRouter}
    nearby = {"request_router_config": RequestRouterConfig(**router)}
    engine_options = {"max_surge_percent": limits.engine_surge_percent, **patient, **nearby, **engines}
    queue = {"num_replicas": limits.loop_replicas, "max_queued_requests": limits.max_queued}

    student = _deploy("student", StudentReplica, limits, UNLIMITED, engine_resources(plan), **engine_options)
    retriever = _deploy("retriever", RetrieverReplica, limits, UNLIMITED, searching, **beside, **nearby, **searchers)
    loop = _deploy("loop", LoopReplica, limits, limits.max_ongoing, loop_resources(plan), **beside, **patient, **queue)
    light = resources(LIGHT_CPUS)
    ingress = _deploy("ingress", serve.ingress()(Ingress), limits, UNLIMITED, light, **beside, **patient)
    found = retriever.bind(plan.index, plan.index_source)
    return ingress.bind(plan, loop.bind(plan, student.bind(plan), found))


def _deploy(
    name: str, replica: type, limits: ServeSection, in_flight: int, asked: dict[str, float], **options: Any
) -> serve.Deployment:
    made: serve.Deployment = serve.deployment(
        name=name,
        max_ongoing_requests=in_flight,
        ray_actor_options=_actor_options(asked),
        health_check_period_s=CHECK_S,
        health_check_timeout_s=limits.health_timeout_s,
        graceful_shutdown_wait_loop_s=0.2,
        logging_config=LoggingConfig(enable_access_log=False),
        **options,
    )(replica)
    return made


def _count(least: int, most: int | None, target: int, pace: dict[str, float]) -> dict[str, Any]:
    """A fixed number of replicas, or one that follows the requests in flight."""
    if most is None:
        return {"num_replicas": least}
    scaling = AutoscalingConfig(min_replicas=least, max_replicas=most, target_ongoing_requests=target, **pace)
    return {"autoscaling_config": scaling}


def _pace(limits: ServeSection) -> dict[str, float]:
    """How fast numbers follow: requests in flight are averaged over no longer than the shorter delay."""
    up, down = limits.upscale_delay_s, limits.downscale_delay_s
    window = min(WINDOW_S, up, down)
    return {
        "upscale_delay_s": up,
        "downscale_delay_s": down,
        "look_back_period_s": window,
        "metrics_interval_s": window / 3,
    }


def _actor_options(asked: dict[str, float]) -> dict[str, Any]:
    """Ray's options of an actor that asks for these resources."""
    custom = {name: amount for name, amount in asked.items() if name not in ("CPU", "GPU")}
    return {"num_cpus": asked["CPU"], "num_gpus": asked.get("GPU", 0), "resources": custom}
