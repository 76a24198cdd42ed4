"""Whether a folder holds a language model, and which one: found out before anything heavy is loaded."""

import hashlib
import json
from pathlib import Path
from typing import Any

from steper_ray.errors import InputError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
SETTING_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "steper.json",
)
SAMPLED_BLOCKS, BLOCK_BYTES = 256, 4096
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
    check_tokenizer_folder(path)
    _check_weights(path)


def position_limit(path: Path) -> int | None:
    """Most tokens that the folder's model was made for; None where nothing says, as in a tokenizer's folder."""
    config = path / "config.json"
    if not config.is_file():
        return None
    limit = json.loads(config.read_text(encoding="utf-8")).get("max_position_embeddings")
    return int(limit) if limit else None


def check_tokenizer_folder(path: Path) -> None:
    """Check that a tokenizer is there, with or without weights.

    Raises:
        InputError: there is none.
    """
    if not any((path / name).is_file() for name in TOKENIZER_FILES):
        raise InputError(
            f"no tokenizer ({', '.join(TOKENIZER_FILES)})",
            file=path,
            remedy="Save it there with `tokenizer.save_pretrained(folder)`",
        )


def model_identity(path: Path) -> dict[str, str]:
    """Digests by file name of what decides a model's output: settings, tokenizer, and a sample of the weights.

    Two trainings of one architecture agree in names, shapes and sizes, so bytes are compared: the header of each
    safetensors file and evenly spaced blocks of its contents; reading a large model whole would take minutes.
    """
    parts = {name: _digest((path / name).read_bytes()) for name in SETTING_FILES if (path / name).is_file()}
    return parts | {weights.name: _sampled_digest(weights) for weights in sorted(path.glob("*.safetensors"))}


def _sampled_digest(file: Path) -> str:
    size = file.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with file.open("rb") as content:
        header = int.from_bytes(content.read(8), "little")
        digest.update(content.read(header))
        for block in range(SAMPLED_BLOCKS):
            content.seek(8 + header + (size - 8 - header) * block // SAMPLED_BLOCKS)
            digest.update(content.read(BLOCK_BYTES))
    return digest.hexdigest()[:16]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


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
