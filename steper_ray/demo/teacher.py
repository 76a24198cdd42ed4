"""The demo's teacher: SmolLM2 with the LoRA adapter that `demo/recipe.py` made, merged once into the user's cache."""

import sys
from pathlib import Path

from steper_ray.demo.cache import cached_folder, sha256
from steper_ray.demo.model import MODEL_NAME, run_child

ADAPTER = Path(__file__).with_name("teacher")
MERGE_TIMEOUT_S = 900


def ensure_teacher(base: Path) -> Path:
    """The Hugging Face folder of the teacher (bf16), merged from `base` and the shipped adapter where it is missing.

    Raises:
        EnvironmentFault: merging failed.
    """
    identity = {"base": sha256(base / "model.safetensors"), "adapter": sha256(ADAPTER / "adapter_model.safetensors")}
    return cached_folder(base.parent, f"{MODEL_NAME}-teacher", identity, lambda folder: _run_merge(base, folder))


def merge(base: Path, folder: Path) -> None:
    """Write the merged model and the base's tokenizer into `folder`."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    merged = PeftModel.from_pretrained(model, str(ADAPTER)).merge_and_unload()
    merged.to(torch.bfloat16).save_pretrained(str(folder))
    AutoTokenizer.from_pretrained(str(base)).save_pretrained(str(folder))


def _run_merge(base: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "steper_ray.demo.teacher", str(base), str(folder)]
    run_child(command, MERGE_TIMEOUT_S, "cannot merge the teacher's adapter", "leave 2 GB of memory free")


if __name__ == "__main__":
    merge(Path(sys.argv[1]), Path(sys.argv[2]))
