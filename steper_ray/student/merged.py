"""A LoRA adapter merged with its base model into a weights folder, once, so that engines and metrics take it as any."""

import hashlib
import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from steper_ray.backends.model_folder import check_model_folder, model_identity
from steper_ray.data.contamination import HASHES_FILE
from steper_ray.errors import EnvironmentFault, InputError
from steper_ray.student.card import CARD_FILE

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_BESIDE = (CARD_FILE, HASHES_FILE)
"""What a training leaves beside the merged weights, in whose folder its adapter lies."""


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds a LoRA adapter alone, as PEFT saves it."""
    return (folder / ADAPTER_CONFIG).is_file() and not (folder / "config.json").is_file()


def merged_weights(adapter: Path, base: Path | None, below: Path) -> Path:
    """The weights folder of adapter and base, made in `below` where it is not there yet.

    Raises:
        InputError: the adapter is broken or does not fit the base, or no base is known; names the file.
        EnvironmentFault: the process that merges died, as it does when memory is short.
    """
    base = base or _named_base(adapter)
    check_model_folder(base)
    weights = adapter / ADAPTER_WEIGHTS
    if not weights.is_file():
        raise InputError(
            f"no {ADAPTER_WEIGHTS}", file=adapter, remedy="Save the adapter with `save_pretrained(folder)`"
        )
    target = below / f"{adapter.name}-{_digest(adapter, base)}"
    if not target.is_dir():
        print(f"merging the adapter {adapter} with {base} into {target}")
        _in_own_process(adapter, base, target)
    return target


def merge(adapter: Path, base: Path, target: Path) -> None:
    """Write the merged weights in bfloat16; the folder appears only when it is whole.

    Raises:
        InputError: adapter and base do not fit.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    try:
        adapted: Any = PeftModel.from_pretrained(model, str(adapter))
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        said = str(error).strip().splitlines()[0]
        raise InputError(
            f"does not fit the base model {base}: {said}", file=adapter, remedy="Set student.base"
        ) from None
    adapted.merge_and_unload().to(torch.bfloat16).save_pretrained(temporary)
    AutoTokenizer.from_pretrained(base, local_files_only=True).save_pretrained(temporary)
    for name in _BESIDE:
        source = next((place / name for place in (adapter, adapter.parent) if (place / name).is_file()), None)
        if source:
            shutil.copyfile(source, temporary / name)
    temporary.rename(target)


def _in_own_process(adapter: Path, base: Path, target: Path) -> None:
    """The memory of two models is free when it ends."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            pool.submit(merge, adapter, base, target).result()
        except BrokenProcessPool:
            raise EnvironmentFault(
                f"the process that merges {adapter} with {base} died",
                "It holds the base model in float32, four bytes per parameter; free memory, or merge elsewhere",
            ) from None


def _named_base(adapter: Path) -> Path:
    path = adapter / ADAPTER_CONFIG
    try:
        named = json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"cannot be read: {error}", file=path) from None
    if not isinstance(named, str) or not Path(named).is_dir():
        raise InputError(
            "is no folder here, so the adapter's base model is not known",
            file=path,
            field="base_model_name_or_path",
            found=named,
            remedy="Set student.base to the folder of the model that the adapter was trained on",
        )
    return Path(named)


def _digest(adapter: Path, base: Path) -> str:
    digest = hashlib.sha256(json.dumps(model_identity(base), sort_keys=True).encode())
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        digest.update((adapter / name).read_bytes())
    return digest.hexdigest()[:16]
