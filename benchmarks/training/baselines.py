"""The contenders of the usual way on CPU: every sample of the `appended` layout is a padded row."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.training.padded import row_of
from benchmarks.training.plan import Measured, Plan
from benchmarks.training.trainer import Recipe, with_sft_trainer, with_trainer
from benchmarks.training.watch import Watch
from benchmarks.training.workload import read_workload
from steper_ray.core.types import Layout

CPU = torch.device("cpu")


def baseline(plan: Plan, folder: Path, *, rows_at_once: int, sft: bool = False) -> Measured:
    """Take all updates with `Trainer`, or TRL's, in micro-batches of so many rows."""
    torch.set_num_threads(plan.threads)
    updates = [update[Layout.APPENDED.value] for update in read_workload(plan.workload, plan.part)]
    recipe = Recipe(rows_at_once, len(updates[0]) // rows_at_once, plan.rate, plan.clip)
    rows = [row_of(unit) for units in updates for unit in units]
    model = AutoModelForCausalLM.from_pretrained(plan.model, dtype=torch.float32, local_files_only=True)
    watch = Watch(CPU)
    if sft:
        tokenizer = AutoTokenizer.from_pretrained(plan.model, local_files_only=True)
        return with_sft_trainer(model, rows, recipe, folder, watch, tokenizer)
    return with_trainer(model, rows, recipe, folder, watch)
