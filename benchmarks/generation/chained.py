"""`ray.data.llm` with one vLLM processor per step: no loop, so every question passes all of them."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.generation.lockstep import PROVENANCE
from benchmarks.generation.plan import FLUSH_ROWS, FLUSH_S, Measured, Plan
from benchmarks.generation.texts import STEPS
from benchmarks.generation.workload import Recording, read_workload
from steper_ray.core.types import Step, StopReason, Trajectory
from steper_ray.data.schemas import TRAJECTORIES, trajectory_row
from steper_ray.drive.writer import PartWriter

NOTHING = ((1,), 1)
"""Prompt and tokens for a question that has ended: the least that an engine takes, since no step can be skipped."""
CARRIED = ("id", "began", *(f"{name}_{step}" for step in range(STEPS[1]) for name in ("prompt", "tokens")))
"""Columns that one engine's output hands to the next."""
LOAD_TIMEOUT_S = 900
BATCH = 4


def ray_data_llm(plan: Plan, folder: Path) -> Measured:
    """Five engines in a chain.

    It is spared retrieval, prompt building and tokenising: its rows carry the recorded prompts. A question that has
    ended costs one token in each later engine.
    """
    import ray

    os.environ |= {"OMP_NUM_THREADS": str(plan.threads), "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    os.environ |= {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
    ray.init(num_cpus=16, include_dashboard=False, log_to_driver=False, object_store_memory=2**30)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.wait_for_min_actors_s = LOAD_TIMEOUT_S
    recordings = read_workload(plan.workload)
    data = ray.data.from_items([_row(found, plan) for found in recordings], override_num_blocks=len(recordings))
    for step in range(STEPS[1]):
        data = _processor(plan, step)(data)
    by_id = {found.question.id: found for found in recordings}
    rows, first = list[dict[str, Any]](), 0.0
    with PartWriter(folder, TRAJECTORIES, rows=FLUSH_ROWS, seconds=FLUSH_S) as writer:
        for row in data.iter_rows():
            rows.append(row)
            writer.add(_trajectory_row(by_id[row["id"]]))
            first = first or time.time()
            ended = time.time()
    # Three numbers per step of every question, in this order.
    prompt, cached, completion = (sum(sum(row["counts"][place::3]) for row in rows) for place in range(3))
    began = min(row["began"] for row in rows)
    return Measured(began, ended, prompt, cached, completion, first_written=first)


def _row(recording: Recording, plan: Plan) -> dict[str, Any]:
    prompts = recording.prompts[plan.layout.value]
    work = [(list(prompt), count) for prompt, count in zip(prompts, recording.tokens, strict=True)]
    work += [(list(NOTHING[0]), NOTHING[1])] * (STEPS[1] - len(work))
    columns: dict[str, Any] = {f"prompt_{step}": prompt for step, (prompt, _) in enumerate(work)}
    columns |= {f"tokens_{step}": count for step, (_, count) in enumerate(work)}
    return {"id": recording.question.id, "began": 0.0, "counts": [0, 0, 0], **columns}


def _processor(plan: Plan, step: int) -> Callable[[Any], Any]:
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    from steper_ray.backends.vllm_setup import engine_arguments

    how = plan.section().model_copy(update={"kv_cache_gib": plan.chained_kv_gib})
    arguments = engine_arguments(how, plan.model, plan.seed, on_cpu=True)
    del arguments["model"], arguments["use_tqdm_on_load"]
    config = vLLMEngineProcessorConfig(
        model_source=str(plan.model),
        engine_kwargs=arguments,
        concurrency=1,
        batch_size=BATCH,
        max_concurrent_batches=plan.batch // BATCH,
        chat_template_stage=False,
        tokenize_stage=False,
        detokenize_stage=False,
        log_engine_metrics=False,
        placement_group_config={"bundles": [{"CPU": 1}]},
    )

    def before(row: dict[str, Any]) -> dict[str, Any]:
        tokens = int(row[f"tokens_{step}"])
        sampling = {"max_tokens": tokens, "min_tokens": tokens, "ignore_eos": True, "temperature": 0.0, "stop": ["\n"]}
        began = row["began"] or time.time()
        prompt = [int(token) for token in row[f"prompt_{step}"]]
        return {"tokenized_prompt": prompt, "sampling_params": sampling, "began": began}

    def after(row: dict[str, Any]) -> dict[str, Any]:
        counts = [int(row["num_input_tokens"]), 0, int(row["num_generated_tokens"])]
        return {**{name: row[name] for name in CARRIED}, "counts": [*map(int, row["counts"]), *counts]}

    processor: Callable[[Any], Any] = build_processor(config, preprocess=before, postprocess=after)
    return processor


def _trajectory_row(recording: Recording) -> dict[str, Any]:
    steps = tuple(Step("", (), (), rationale) for rationale in recording.rationales)
    answer = recording.question.golden_answers[0]
    trajectory = Trajectory(recording.question, 0, steps, answer, StopReason.ANSWERED)
    return trajectory_row(trajectory, PROVENANCE)
