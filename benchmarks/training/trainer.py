"""Hugging Face `Trainer` and TRL's `SFTTrainer` over padded rows: fp32 weights, bf16 autocast; no logs, no files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments

from benchmarks.training.padded import Padding, Row
from benchmarks.training.plan import Measured
from benchmarks.training.watch import Watch


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the rows are trained on; each update takes `batch` × `accumulation` of them, in their order."""

    batch: int
    """Rows of one micro-batch."""
    accumulation: int
    """Micro-batches of one update."""
    rate: float
    clip: float = 1.0
    cpu: bool = True
    checkpointing: bool = False
    """Activations are computed again in the backward pass."""
    compile: bool = False


def with_trainer(model: nn.Module, rows: Sequence[Row], recipe: Recipe, folder: Path, watch: Watch) -> Measured:
    """Take the rows' updates with `transformers.Trainer`; the loss is the mean over the target tokens of an update."""
    padding = Padding()
    trainer = Trainer(
        model=model,
        args=TrainingArguments(**_settings(recipe, len(rows), folder), remove_unused_columns=False),
        train_dataset=list(rows),
        data_collator=padding,
        callbacks=[_UpdateEnds(watch)],
    )
    return _run(trainer, padding, watch)


def with_sft_trainer(
    model: nn.Module, rows: Sequence[Row], recipe: Recipe, folder: Path, watch: Watch, tokenizer: Any
) -> Measured:
    """The same with `trl.SFTTrainer`, as prompts and completions that are tokenised already."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    padding = Padding()
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(**_settings(recipe, len(rows), folder), max_length=None),
        train_dataset=Dataset.from_list(list(rows)),
        data_collator=padding,
        processing_class=tokenizer,
        callbacks=[_UpdateEnds(watch)],
    )
    return _run(trainer, padding, watch)


def _settings(recipe: Recipe, rows: int, folder: Path) -> dict[str, Any]:
    per_update = recipe.batch * recipe.accumulation
    assert rows % per_update == 0, f"{rows} rows are no whole number of updates of {per_update}"
    return {
        "output_dir": str(folder),
        "max_steps": rows // per_update,
        "per_device_train_batch_size": recipe.batch,
        "gradient_accumulation_steps": recipe.accumulation,
        "train_sampling_strategy": "sequential",
        "learning_rate": recipe.rate,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "max_grad_norm": recipe.clip,
        "bf16": True,
        "gradient_checkpointing": recipe.checkpointing,
        "torch_compile": recipe.compile,
        "use_cpu": recipe.cpu,
        "dataloader_pin_memory": not recipe.cpu,
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def _run(trainer: Trainer, padding: Padding, watch: Watch) -> Measured:
    loss = trainer.train().training_loss
    return Measured(
        started=watch.started,
        ended=watch.ended,
        updates=watch.updates,
        tokens=padding.tokens,
        computed_tokens=padding.computed,
        target_tokens=padding.targets,
        loss=loss,
        rest_mib=watch.rest_mib,
        peak_mib=watch.peak_mib,
    )


class _UpdateEnds(TrainerCallback):  # type: ignore[misc]
    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """After the optimizer's step and the gradients' removal."""
        self._watch.updated()
