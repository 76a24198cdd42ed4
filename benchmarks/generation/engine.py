"""vLLM with the engine settings of `steper_ray`, sampling that writes a given number of tokens, and a stop-watch."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steper_ray.backends.vllm_setup import engine_arguments
from steper_ray.sections.model import ModelSection

if TYPE_CHECKING:
    from vllm import LLM, PoolingRequestOutput, RequestOutput, SamplingParams
    from vllm.v1.engine.llm_engine import LLMEngine

WARM_UP_IDS = tuple(range(1000, 1300))
WARM_UP_TOKENS = 8
BATCHED_TOKENS = 2048
"""vLLM's default for `LLMEngine`: most tokens of one step."""


@dataclass
class StepClock:
    """Where an engine's stepping thread spends its time; made by `watch`, seconds since `reset`."""

    steps: int = 0
    busy_s: float = 0.0
    """Wall time inside `step`."""
    busy_cpu_s: float = 0.0
    """CPU time of the stepping thread inside `step`; what is missing to `busy_s` it waited: for its helper threads,
    for a core, or for Python's lock."""
    gap_s: float = 0.0
    """Wall time between two steps while requests were unfinished."""

    def reset(self) -> None:
        """Begin anew."""
        self.steps, self.busy_s, self.busy_cpu_s, self.gap_s = 0, 0.0, 0.0, 0.0

    def figures(self) -> dict[str, float]:
        """For the results."""
        return {
            "engine_steps": self.steps,
            "engine_busy_s": self.busy_s,
            "engine_busy_cpu_s": self.busy_cpu_s,
            "engine_gap_s": self.gap_s,
        }


def watch(engine: "LLMEngine") -> StepClock:
    """Let a clock run with every step of an engine."""
    clock, step = StepClock(), engine.step
    last: list[float] = []

    def timed() -> "list[RequestOutput | PoolingRequestOutput[Any]]":
        started, cpu = time.perf_counter(), time.thread_time()
        if last:
            clock.gap_s += started - last.pop()
        outputs = step()
        ended = time.perf_counter()
        clock.steps += 1
        clock.busy_s += ended - started
        clock.busy_cpu_s += time.thread_time() - cpu
        if engine.has_unfinished_requests():
            last.append(ended)
        return outputs

    engine.step = timed  # type: ignore[method-assign]
    return clock


def section(model: Path, batch: int, kv_gib: float) -> ModelSection:
    """The settings of every engine here."""
    return ModelSection(model=model, max_batch=batch, kv_cache_gib=kv_gib)


def load_llm(how: ModelSection, seed: int, threads: int, *, prefix_caching: bool = True) -> "LLM":
    """vLLM's offline engine, in this process, as `steper_ray` sets its own up; warmed up."""
    os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": str(threads)}
    os.environ |= {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
    from vllm import LLM

    assert how.model is not None
    arguments: dict[str, Any] = engine_arguments(how, how.model, seed, on_cpu=True)
    # `LLM` has another default here than the engine classes that ours uses.
    arguments |= {"max_num_batched_tokens": BATCHED_TOKENS, "enable_prefix_caching": prefix_caching}
    llm = LLM(**arguments)
    generate(llm, [WARM_UP_IDS], [WARM_UP_TOKENS])
    return llm


def generate(llm: "LLM", prompts: "list[tuple[int, ...]]", tokens: list[int]) -> "list[RequestOutput]":
    """Let each prompt be continued by exactly as many tokens as given."""
    from vllm.inputs import tokens_input

    inputs: Any = [tokens_input(list(prompt)) for prompt in prompts]  # a type that vLLM takes but does not declare
    outputs: list[RequestOutput] = llm.generate(inputs, [sampling(count) for count in tokens], use_tqdm=False)
    assert [len(output.outputs[0].token_ids) for output in outputs] == tokens
    return outputs


def sampling(tokens: int) -> "SamplingParams":
    """Exactly so many tokens; the stop text is looked for as in earnest, but not before the last token."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        max_tokens=tokens,
        min_tokens=tokens,
        ignore_eos=True,
        temperature=0.0,
        stop=["\n"],
        output_kind=RequestOutputKind.FINAL_ONLY,
    )
