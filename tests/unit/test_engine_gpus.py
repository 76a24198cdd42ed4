"""How many GPUs an engine asks Ray for, and where that is decided by the setting alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from steper_ray.config import load_config
from steper_ray.core.types import LoopSettings
from steper_ray.drive.cluster import engine_gpus
from steper_ray.drive.fingerprint import fingerprint_of, fingerprint_parts
from steper_ray.drive.placement import Ask, lacking, resources
from steper_ray.errors import ConfigError
from steper_ray.sections.model import ModelSection
from steper_ray.sections.serve import ServeSection
from steper_ray.serve.plan import ServicePlan, asks_of


@pytest.mark.parametrize(
    ("settings", "gpus"),
    [
        ({"device": "gpu"}, 1),
        ({"device": "gpu", "tensor_parallel_size": 4}, 4),
        ({"device": "gpu", "tensor_parallel_size": 4, "gpus": 8}, 8),
        ({"device": "gpu", "gpus": 0.5}, 0.5),
        ({"device": "gpu", "gpus": 0}, 0),
        ({"device": "cpu"}, 0),
        ({"backend": "scripted"}, 0),
        ({"backend": "scripted", "gpus": 0.25}, 0.25),
        ({"backend": "openai", "gpus": 1}, 1),
    ],
)
def test_an_engine_asks_for_what_is_set_else_for_what_its_backend_needs(settings: dict, gpus: float) -> None:
    assert engine_gpus(ModelSection(**settings)) == gpus


@pytest.mark.parametrize("role", ["teacher", "student"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("gpus=1.5",), "gpus=1.5 cannot be given: Ray has whole GPUs, or a share of one"),
        (("gpus=1.5", "backend=scripted"), "gpus=1.5 cannot be given"),
        (("gpus=2", "tensor_parallel_size=4"), "gpus=2 is less than ROLE.tensor_parallel_size=4"),
        (("gpus=0.5", "tensor_parallel_size=2", "gpu_memory_utilization=0.4"), "gpus=0.5 is less than"),
        (("gpus=0", "tensor_parallel_size=2"), "gpus=0 is less than"),
        (("gpus=0.5",), "ROLE.gpu_memory_utilization=0.9 must be at most 0.5"),
        (("gpus=-1",), "ROLE.gpus: input should be greater than or equal to 0, found -1"),
        (("gpus=.inf",), "ROLE.gpus: input should be a finite number"),
        (("gpus=one",), "ROLE.gpus: input should be a valid number"),
    ],
)
def test_what_ray_or_the_engine_cannot_do_is_refused_by_name(role: str, settings: tuple, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[f"{role}.{setting}" for setting in settings])
    assert message.replace("ROLE", role) in str(caught.value)
    assert f"{role}." in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        ("gpus=0.5", "gpu_memory_utilization=0.5"),
        ("gpus=0",),
        ("gpus=4", "tensor_parallel_size=4"),
        ("gpus=0.5", "backend=scripted"),
        ("gpus=0.5", "device=cpu"),
    ],
)
def test_what_both_can_do_is_taken(settings: tuple) -> None:
    load_config(overrides=[f"teacher.{setting}" for setting in settings])


def test_a_generation_goes_on_with_another_number_of_gpus() -> None:
    model = ModelSection(backend="scripted")
    parts = [
        fingerprint_parts(LoopSettings(), one, None, (), {})
        for one in (model, model.model_copy(update={"gpus": 0.5}), model.model_copy(update={"temperature": 0.7}))
    ]
    alone, shared, warmer = map(fingerprint_of, parts)
    assert alone == shared != warmer


def test_two_engines_of_half_a_gpu_fit_on_one_and_a_third_does_not() -> None:
    node = {"CPU": 8.0, "GPU": 1.0}
    engines = Ask("engines", 2, resources(1, 0.5))
    assert lacking([engines], [node]) == ""
    assert "ask for 1 CPU and 0.5 GPU each, there is room for 2" in lacking([replace(engines, count=3)], [node])


def test_a_service_asks_for_its_engines_share() -> None:
    student = ModelSection(backend="scripted", gpus=0.5)
    plan = ServicePlan(LoopSettings(), student, (), Path("index"), ServeSection(engine_replicas=2), 0, 1)
    engines = asks_of(plan)[0]
    assert (engines.count, engines.each) == (2, {"CPU": 1, "GPU": 0.5})
