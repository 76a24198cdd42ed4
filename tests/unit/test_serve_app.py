"""The deployments as Serve is told to run them."""

from typing import Any

import pytest

from steper_ray.config import load_config
from steper_ray.errors import ConfigError
from steper_ray.sections.serve import ServeSection
from steper_ray.serve.app import bind
from steper_ray.serve.plan import asks_of
from steper_ray.serve.routing import NearbyRouter
from tests.unit.local_service import plan_of


def deployments(student: dict[str, Any] | None = None, **limits: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def collect(application: Any) -> None:
        deployment = application._bound_deployment
        found[deployment.name] = deployment
        for argument in deployment.init_args:
            if hasattr(argument, "_bound_deployment"):
                collect(argument)

    collect(bind(plan_of(ServeSection(**limits), **(student or {}))))
    return found


def test_numbers_are_fixed_by_default() -> None:
    found = deployments(engine_replicas=3)
    assert {name: deployment.num_replicas for name, deployment in found.items()} == {
        "ingress": 1,
        "loop": 2,
        "student": 3,
        "retriever": 1,
    }
    assert found["loop"].max_queued_requests == 128


def test_engines_and_retrievers_follow_the_requests_in_flight_if_asked() -> None:
    found = deployments(engine_replicas_max=4, engine_target_ongoing=7, retriever_replicas=2, retriever_replicas_max=2)
    engines, searchers = (found[name]._deployment_config.autoscaling_config for name in ("student", "retriever"))
    assert (engines.min_replicas, engines.max_replicas, engines.target_ongoing_requests) == (1, 4, 7)
    assert (searchers.min_replicas, searchers.max_replicas) == (2, 2)


def test_numbers_follow_as_fast_as_they_are_told_to() -> None:
    slow = deployments(engine_replicas_max=2)["student"]._deployment_config.autoscaling_config
    assert (slow.upscale_delay_s, slow.downscale_delay_s) == (30, 600)
    assert (slow.look_back_period_s, slow.metrics_interval_s) == (30, 10)
    fast = deployments(retriever_replicas_max=2, upscale_delay_s=1, downscale_delay_s=3)["retriever"]
    scaling = fast._deployment_config.autoscaling_config
    assert (scaling.upscale_delay_s, scaling.downscale_delay_s, scaling.look_back_period_s) == (1, 3, 1)


def test_calls_to_engines_and_retrievers_stay_near_and_serve_can_send_the_router_anywhere() -> None:
    routers = {name: deployment._deployment_config.request_router_config for name, deployment in deployments().items()}
    near = [name for name, router in routers.items() if router.get_request_router_class() is NearbyRouter]
    assert near == ["student", "retriever"]
    # By value, so with its methods' code: Serve's own processes need not import this package.
    assert b"rank_replicas_via_locality" in routers["student"].get_serialized_request_router_cls()


def test_the_loop_runs_where_the_engines_do_and_asks_for_what_the_room_is_judged_by() -> None:
    asked = {name: found.ray_actor_options for name, found in deployments({"resource": "accelerator"}).items()}
    assert asked["loop"]["resources"] == asked["student"]["resources"] == {"accelerator": 0.001}
    assert asked["ingress"].get("resources") in (None, {})
    asks = {ask.what: (ask.count, dict(ask.each)) for ask in asks_of(plan_of(resource="accelerator"))}
    assert asks["loop replicas"] == (2, {"CPU": 0.25, "accelerator": 0.001})
    assert asks["ingress replicas"] == (1, {"CPU": 0.25})


def test_a_most_below_the_least_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"serve\.engine_replicas_max must be at least serve\.engine_replicas=3, found 2"
    ):
        load_config(None, ["serve.engine_replicas=3", "serve.engine_replicas_max=2"])


def test_a_reload_starts_the_light_replicas_beside_the_old_ones() -> None:
    found = deployments()
    surges = {name: deployment._deployment_config.max_surge_percent for name, deployment in found.items()}
    assert surges == {"ingress": 100, "loop": 100, "retriever": 100, "student": 0}
