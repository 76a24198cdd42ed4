"""A Hugging Face folder of random weights, drawn on the device that trains."""

import gc
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.training_gpu.settings import Settings


def ensure_weights(settings: Settings, device: torch.device) -> Path:
    """Write the weights in bf16 where the folder does not hold them yet."""
    if not (settings.folder / "config.json").exists():
        torch.manual_seed(settings.seed)
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        try:
            with device:
                model = LlamaForCausalLM(LlamaConfig(**settings.shape.config()))
        finally:
            torch.set_default_dtype(before)
        assert model.num_parameters() == settings.shape.parameters
        model.save_pretrained(settings.folder)
        del model
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return settings.folder
