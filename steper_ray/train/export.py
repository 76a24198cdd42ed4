"""Weights: the trained student as a Hugging Face folder that transformers and vLLM load."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from steper_ray.core.chat import ChatFormat
from steper_ray.data.contamination import copy_hashes
from steper_ray.runs import write_text
from steper_ray.student.adapter import Adapter
from steper_ray.student.card import WeightsCard, write_card
from steper_ray.student.model import with_adapter
from steper_ray.train.curves import CURVES_FILE, draw_curves
from steper_ray.train.job import WEIGHTS
from steper_ray.train.model_card import CARD_PAGE, model_card

ADAPTER = "adapter"


def export_weights(
    folder: Path,
    base: Path,
    trained: Mapping[str, Tensor],
    adapter: Adapter | None,
    card: WeightsCard,
    *,
    samples: Path | None = None,
    update: int | None = None,
) -> Path:
    """Write `<folder>/weights`, replacing what an earlier export left; it appears only when it is whole.

    Args:
        folder: train folder.
        base: Hugging Face folder the training started from.
        trained: the trained weights by name (`student.model.gather_weights`).
        adapter: with LoRA: the merged weights are written, and the adapter in PEFT's format under `adapter/`.
        card: what the weights say about themselves.
        samples: folder of the samples, for the hashes of their questions: an evaluation warns where it meets them.
        update: the update whose weights these are, for the model card; None means the last.
    """
    target, temporary = folder / WEIGHTS, folder / f".{WEIGHTS}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    if adapter:
        adapted = with_adapter(model, adapter)
        _fill(adapted, trained)
        adapted.save_pretrained(str(temporary / ADAPTER))
        _forget_base(temporary / ADAPTER)
        model = _merged(adapted)
    else:
        _fill(model, trained)
    nn.Module.to(model, torch.bfloat16)
    form = _save_tokenizer(base, temporary)
    _stop_at(model, form.end_of_turn_id)
    model.save_pretrained(temporary)
    write_card(temporary, card)
    if samples:
        copy_hashes(samples, temporary)
    picture = _draw(folder, temporary)
    write_text(temporary / CARD_PAGE, model_card(folder, base, card, update=update, picture=picture))
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    return target


def _draw(folder: Path, target: Path) -> str:
    """Put the curves beside the weights; returns the picture's name, or nothing if there was nothing to draw."""
    try:
        draw_curves(folder, target / CURVES_FILE)
    except Exception:  # a picture is no reason to lose the weights
        return ""
    return CURVES_FILE


def _fill(model: nn.Module, trained: Mapping[str, Tensor]) -> None:
    rest = dict(trained)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in rest:
                parameter.copy_(rest.pop(name))
    assert not rest, f"weights without a place: {sorted(rest)[:3]}"


def _merged(model: PeftModel) -> PreTrainedModel:
    merged: PreTrainedModel = model.merge_and_unload()
    return merged


def _forget_base(folder: Path) -> None:
    """The adapter lies in its merged weights' folder: PEFT's record of the base model is a path of this machine."""
    (folder / "README.md").unlink(missing_ok=True)


def _save_tokenizer(base: Path, folder: Path) -> ChatFormat:
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    form = ChatFormat(tokenizer)
    tokenizer.save_pretrained(folder)
    return form


def _stop_at(model: PreTrainedModel, end_of_turn_id: int) -> None:
    """Add the end of turn to what ends a generation."""
    config = model.generation_config
    known = config.eos_token_id
    stops = [] if known is None else [known] if isinstance(known, int) else list(known)
    if end_of_turn_id not in stops:
        config.eos_token_id = [*stops, end_of_turn_id]
