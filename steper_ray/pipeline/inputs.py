"""What the outcome of each phase depends on, as one hash: its sections, the files it reads, the phases before it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from steper_ray.backends.model_folder import model_identity
from steper_ray.config import Config
from steper_ray.pipeline.record import output_of

_SECTIONS = {
    "index": ("index",),
    "generate": ("loop", "retriever", "teacher", "generate"),
    "samples": ("samples",),
    "train": ("train",),
    "evaluate": ("loop", "retriever", "student", "evaluate"),
    "report": (),
}
"""Whole sections: a setting that changes nothing has its phase look again, and find itself finished."""
_BEFORE = {
    "index": (),
    "generate": ("index",),
    "samples": ("generate",),
    "train": ("samples",),
    "evaluate": ("index", "train"),
    "report": ("train", "evaluate"),
}


def inputs_of(phase: str, config: Config) -> str:
    """A hash over all that a phase's outcome depends on; equal in every process."""
    values: dict[str, Any] = {"seed": config.run.seed}
    for name in _SECTIONS[phase]:
        section = getattr(config, name)
        values[name] = {key: _shown(value) for key, value in section.model_dump().items() if key != "overwrite"}
    for before in _BEFORE[phase]:
        values[f"{before}/"] = output_of(config.folder(before))  # type: ignore[arg-type]
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _shown(value: Any) -> Any:
    """A file by its content, a model's folder by its identity, any other value as it is."""
    if not isinstance(value, Path):
        return value
    if value.is_file():
        with value.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if (value / "config.json").is_file() and (value / "tokenizer.json").is_file():
        return model_identity(value)
    return str(value)
