"""`Trainer`, or TRL's, on the same trajectories: a row per trajectory, the rows of a pack padded to the longest."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from benchmarks.training.padded import Row, row_of
from benchmarks.training.plan import Measured
from benchmarks.training.trainer import Recipe, with_sft_trainer, with_trainer
from benchmarks.training.watch import Watch
from benchmarks.training_gpu.ours import adapter_of
from benchmarks.training_gpu.settings import Settings
from benchmarks.training_gpu.synthetic import pack_units
from benchmarks.training_gpu.weights import ensure_weights
from steper_ray.student.model import with_adapter


def baseline(settings: Settings, folder: Path, *, sft: bool = False) -> Measured:
    """Take all updates in one process."""
    device = torch.device(settings.device)
    ensure_weights(settings, device)
    recipe = Recipe(
        batch=settings.units_per_pack,
        accumulation=settings.packs,
        rate=settings.rate,
        cpu=device.type == "cpu",
        checkpointing=settings.activation_checkpointing,
        compile=settings.compile,
    )
    watch, rows, model = Watch(device, settings.warm_up), rows_of(settings), load(settings)
    if sft:
        return with_sft_trainer(model, rows, recipe, folder, watch, no_tokenizer())
    return with_trainer(model, rows, recipe, folder, watch)


def rows_of(settings: Settings) -> list[Row]:
    """The trajectories of all packs, in their order."""
    return [
        row_of(unit)
        for update in range(settings.warm_up + settings.updates)
        for pack in range(settings.packs)
        for unit in pack_units(settings, update, pack)
    ]


def load(settings: Settings) -> PreTrainedModel:
    """Weights in fp32; with an adapter these are frozen and in bf16, as they are for ours."""
    adapter = adapter_of(settings)
    dtype = torch.bfloat16 if adapter else torch.float32
    model = AutoModelForCausalLM.from_pretrained(settings.folder, dtype=dtype, local_files_only=True)
    return with_adapter(model, adapter) if adapter else model


def no_tokenizer() -> PreTrainedTokenizerFast:
    """What `SFTTrainer` insists on having, though its rows are token ids."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    words = WordLevel({"<pad>": 0, "<eos>": 1}, unk_token="<pad>")
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), pad_token="<pad>", eos_token="<eos>")
