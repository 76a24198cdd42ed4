"""The usual first service: one request at a time, `transformers.generate` in every step."""

import time
from typing import Any

from benchmarks.generation.workload import read_workload
from benchmarks.serving.plan import ServingPlan, report
from steper_ray.core.types import Layout

PROMPT_TOKENS, NEW_TOKENS = 1024, 100


def naive(plan: ServingPlan) -> dict[str, Any]:
    """The recorded prompts of some questions, each cut to its last tokens and continued greedily; no retrieval."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(plan.threads)
    model: Any = AutoModelForCausalLM.from_pretrained(plan.model, dtype=torch.bfloat16).eval()
    recordings = read_workload(plan.workload)[: plan.naive_questions]

    def write(prompt: tuple[int, ...]) -> None:
        ids = torch.tensor([prompt[-PROMPT_TOKENS:]])
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            do_sample=False,
            pad_token_id=0,
        )

    with torch.inference_mode():
        write(recordings[0].prompts[Layout.TURNS.value][0])
        started = time.time()
        for recording in recordings:
            for prompt in recording.prompts[Layout.TURNS.value]:
                write(prompt)
        ended = time.time()
    return report(started, ended, {"rps": len(recordings) / (ended - started)})
