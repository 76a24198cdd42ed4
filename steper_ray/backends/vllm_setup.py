"""From a model section to a running vLLM engine: platform, environment, arguments and start-up errors."""

import os
from typing import TYPE_CHECKING, Any

from steper_ray.backends.model_folder import check_model_folder
from steper_ray.backends.vllm_engine import Engine
from steper_ray.errors import ConfigError, EnvironmentFault
from steper_ray.sections.model import ModelSection

if TYPE_CHECKING:
    from pathlib import Path

CPU_BLOCK_TOKENS = 32
GIB = 2**30


def start_engine(section: ModelSection, seed: int) -> Engine:
    """Load the model of `section`.

    Raises:
        ConfigError: no model is named, or vLLM refuses a setting (context or KV cache, mostly).
        InputError: the folder is not a model.
        EnvironmentFault: vLLM is not installed or does not start.
    """
    if section.model is None:
        raise ConfigError("backend vllm needs `model`, the folder with weights and tokenizer")
    check_model_folder(section.model)
    _quiet()
    on_cpu = _on_cpu()
    in_process = section.engine == "inprocess" or (section.engine == "auto" and on_cpu)
    if in_process or on_cpu:
        # On CPU this also keeps AsyncLLM's engine process from starting yet another one for the worker.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    arguments = engine_arguments(section, section.model, seed, on_cpu)
    try:
        return _start(arguments, in_process)
    except ValueError as error:
        raise ConfigError(
            f"vLLM refuses {section.model} with these settings: {error}; "
            "context_tokens, kv_cache_gib, gpu_memory_utilization and dtype belong to the model section"
        ) from error
    except RuntimeError as error:
        raise EnvironmentFault(
            f"vLLM did not start with {section.model}: {error}", "VLLM_LOGGING_LEVEL=INFO shows its log"
        ) from error


def engine_arguments(section: ModelSection, model: "Path", seed: int, on_cpu: bool) -> dict[str, Any]:
    """The keyword arguments of vLLM's `EngineArgs`."""
    arguments: dict[str, Any] = {
        "model": str(model),
        "max_model_len": section.context_tokens,
        "dtype": section.dtype,
        "seed": seed,
        "max_num_seqs": section.max_batch,
        "tensor_parallel_size": section.tensor_parallel_size,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
    }
    if section.tensor_parallel_size > 1:
        # Inside a placement group vLLM would start Ray actors of its own instead of using this actor's GPUs.
        arguments["distributed_executor_backend"] = "mp"
    if on_cpu:
        # Compiling needs a C++ compiler and minutes, and gains little where weights, not launches, take the time.
        arguments |= {
            "enforce_eager": True,
            "block_size": CPU_BLOCK_TOKENS,
            "kv_cache_memory_bytes": int(section.kv_cache_gib * GIB),
        }
    else:
        arguments["gpu_memory_utilization"] = section.gpu_memory_utilization
    return arguments


def _quiet() -> None:
    for name, value in {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}.items():
        os.environ.setdefault(name, value)


def _on_cpu() -> bool:
    try:
        from vllm.platforms import current_platform
    except ImportError as error:
        raise EnvironmentFault(
            f"vLLM cannot be imported: {error}", "install steper-ray[cpu], or steper-ray[gpu] on a machine with GPUs"
        ) from error
    return bool(current_platform.is_cpu())


def _start(arguments: dict[str, Any], in_process: bool) -> Engine:
    if in_process:
        from vllm import EngineArgs
        from vllm.v1.engine.llm_engine import LLMEngine

        from steper_ray.backends.vllm_inprocess import InprocessEngine

        return InprocessEngine(LLMEngine.from_engine_args(EngineArgs(**arguments)))
    from vllm import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    from steper_ray.backends.vllm_async import AsyncEngine
    from steper_ray.backends.vllm_owner import OWNER_VARIABLE, LeavesWithOwner

    os.environ[OWNER_VARIABLE] = str(os.getpid())
    arguments["worker_extension_cls"] = f"{LeavesWithOwner.__module__}.{LeavesWithOwner.__qualname__}"
    try:
        return AsyncEngine(AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments)))
    finally:
        del os.environ[OWNER_VARIABLE]
