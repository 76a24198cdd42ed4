"""The ceiling: all recorded prompts given to `LLM.generate` at once, with nothing to wait for between steps."""

import time

from benchmarks.generation.engine import generate, load_llm, watch
from benchmarks.generation.plan import Measured, Plan, usage
from benchmarks.generation.workload import read_workload


def raw_engine(plan: Plan, *, prefix_caching: bool) -> Measured:
    """Prompts question by question, so that the prefix cache serves every later step of the `turns` layout."""
    recordings = read_workload(plan.workload)
    llm = load_llm(plan.section(), plan.seed, plan.threads, prefix_caching=prefix_caching)
    clock = watch(llm.llm_engine)
    prompts = [prompt for found in recordings for prompt in found.prompts[plan.layout.value]]
    tokens = [count for found in recordings for count in found.tokens]
    started = time.time()
    outputs = generate(llm, prompts, tokens)
    ended = time.time()
    return Measured(started, ended, *usage(outputs), figures=clock.figures())
