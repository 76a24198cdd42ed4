"""What vLLM is told of a model section, without loading vLLM."""

import ast
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from steper_ray.backends.vllm_setup import engine_arguments
from steper_ray.sections.model import ModelSection


def arguments(on_cpu: bool = False, **values: Any) -> dict[str, Any]:
    return engine_arguments(ModelSection(model="m", **values), Path("m"), 7, on_cpu)


def test_an_engine_on_several_gpus_keeps_them_in_its_own_actor() -> None:
    several = arguments(tensor_parallel_size=4, gpu_memory_utilization=0.8)
    assert (several["tensor_parallel_size"], several["distributed_executor_backend"]) == (4, "mp")
    assert several["gpu_memory_utilization"] == 0.8


def test_an_engine_on_one_gpu_leaves_the_choice_of_the_executor_to_vllm() -> None:
    assert arguments()["tensor_parallel_size"] == 1
    assert "distributed_executor_backend" not in arguments()


def test_the_settings_of_the_section_arrive_and_prefixes_are_cached() -> None:
    told = arguments(context_tokens=4096, dtype="bfloat16", max_batch=96)
    assert (told["model"], told["seed"]) == ("m", 7)
    assert (told["max_model_len"], told["dtype"], told["max_num_seqs"]) == (4096, "bfloat16", 96)
    assert told["enable_prefix_caching"] is True


def test_on_cpu_the_cache_has_a_size_and_nothing_is_compiled() -> None:
    told = arguments(on_cpu=True, kv_cache_gib=0.5, tensor_parallel_size=2)
    assert told["kv_cache_memory_bytes"] == 2**29
    assert told["enforce_eager"] is True
    assert told["block_size"] % 32 == 0
    assert told["distributed_executor_backend"] == "mp"
    assert "gpu_memory_utilization" not in told


def test_vllm_knows_every_argument_by_its_name() -> None:
    spec = importlib.util.find_spec("vllm")
    if spec is None or spec.origin is None:
        pytest.skip("vLLM is not installed")
    source = Path(spec.origin).parent / "engine" / "arg_utils.py"
    (definition,) = (
        node
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == "EngineArgs"
    )
    known = {item.target.id for item in definition.body if isinstance(item, ast.AnnAssign)}  # type: ignore[union-attr]
    assert {*arguments(tensor_parallel_size=2), *arguments(on_cpu=True)} <= known
