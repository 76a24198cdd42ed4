"""The ceiling: all recorded prompts given to `LLM.generate` at once, with nothing to wait for between steps."""

import time

from benchmarks.generation.engine import generate, load_llm, watch
from benchmarks.generation.plan import Measured, Plan, usage
from benchmarks.generation.workload import read_workload


def raw_engine(plan: Plan, *, prefix_caching: bool, by_step: bool) -> Measured:
    """Prompts question by question, so that the prefix cache serves every later step of the `turns` layout.

    Or by step: all first ones, then all second ones; the prefix cache must then hold all questions at once.
    """
    recordings = read_workload(plan.workload)
    llm = load_llm(plan.section(), plan.seed, plan.threads, prefix_caching=prefix_caching)
    clock = watch(llm.llm_engine)
    requests = [
        (number, prompt, count)
        for found in recordings
        for number, (prompt, count) in enumerate(zip(found.prompts[plan.layout.value], found.tokens, strict=True))
    ]
    if by_step:
        requests.sort(key=lambda request: request[0])
    prompts, tokens = [prompt for _, prompt, _ in requests], [count for _, _, count in requests]
    started = time.time()
    outputs = generate(llm, prompts, tokens)
    ended = time.time()
    return Measured(started, ended, *usage(outputs), figures=clock.figures())
