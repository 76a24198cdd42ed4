"""Whether a folder holds a language model, found out before anything heavy is loaded."""

import json
from pathlib import Path
from typing import Any

from steper_ray.errors import InputError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
REMEDY = "A model folder is what `save_pretrained` writes: config.json, a tokenizer and *.safetensors"


def check_model_folder(path: Path) -> None:
    """Check that config, tokenizer and all weight files are there.

    Raises:
        InputError: names what is missing and what to do.
    """
    if not path.is_dir():
        raise InputError("is not a folder; a model is loaded from a local folder, not by its hub name", file=path)
    if "model_type" not in _read_json(path / "config.json", "no config.json, so this is no model folder"):
        raise InputError("names no model_type", file=path / "config.json", remedy=REMEDY)
    if not any((path / name).is_file() for name in TOKENIZER_FILES):
        raise InputError(
            f"no tokenizer ({', '.join(TOKENIZER_FILES)})",
            file=path,
            remedy="Save it beside the weights with `tokenizer.save_pretrained(folder)`",
        )
    _check_weights(path)


def _check_weights(path: Path) -> None:
    if not any(path.glob("*.safetensors")):
        raise InputError(
            "no *.safetensors",
            file=path,
            found=sorted(entry.name for entry in path.iterdir()),
            remedy="Convert other weights with `AutoModelForCausalLM.from_pretrained(...).save_pretrained(folder)`",
        )
    index = path / "model.safetensors.index.json"
    if not index.is_file():
        return
    shards = set(_read_json(index, "unreadable").get("weight_map", {}).values())
    missing = sorted(name for name in shards if not (path / name).is_file())
    if missing:
        raise InputError(
            f"{len(missing)} of {len(shards)} weight files are missing",
            file=path,
            found=missing,
            remedy="Copy or download the folder again",
        )


def _read_json(file: Path, missing: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(missing, file=file.parent, remedy=REMEDY) from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", file=file, remedy=REMEDY) from None
    if not isinstance(content, dict):
        raise InputError("must be a JSON object", file=file, found=type(content).__name__, remedy=REMEDY)
    return content
