"""The fingerprint of a generation: all that changes its contents, and nothing else."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from steper_ray.backends.model_folder import model_identity
from steper_ray.core.chat import ChatFormat
from steper_ray.core.direct import direct_prompt
from steper_ray.core.prompts import PROMPT_VERSION, build_prompt
from steper_ray.core.types import LoopSettings, Passage, Question, Step, System, Target, Trajectory
from steper_ray.data.schemas import SCHEMA_VERSION
from steper_ray.errors import RunFolderError
from steper_ray.runs import write_json
from steper_ray.sections.model import ModelSection

FINGERPRINT_FILE = "fingerprint.json"
WORK_FILE = "work.parquet"
"""What an execution of the loop has to do; it is gone when that is done."""


def fingerprint_parts(
    how: LoopSettings,
    model: ModelSection,
    chat: ChatFormat | None,
    demonstrations: Sequence[Trajectory],
    index: dict[str, Any],
    system: System = System.MULTI_STEP,
) -> dict[str, Any]:
    """What the contents of trajectories depend on, by name.

    Args:
        how: the loop.
        model: who writes.
        chat: its chat format, None without a tokenizer.
        demonstrations: the worked examples shown first.
        index: what decides which passages a query finds: corpus digest, analyzer, k1, b; or a service's name.
        system: a baseline has parts of its own; the loop has none, so that folders from before baselines continue.
    """
    baseline = {} if system is System.MULTI_STEP else {"system": system, "direct": _digest(_direct(system, how, chat))}
    return (
        baseline
        | _room(how, system)
        | {
            "schema": SCHEMA_VERSION,
            "prompt_version": PROMPT_VERSION,
            "loop": asdict(how),
            "probe": _digest(_probe(how, chat)),
            "temperature": model.temperature,
            "demonstrations": _digest([asdict(trajectory) for trajectory in demonstrations]),
            "model": {"backend": model.backend, **_model_parts(model)},
            "index": index,
        }
    )


def fingerprint_of(parts: dict[str, Any]) -> str:
    """A short hash of the parts."""
    return _digest(parts)[:16]


def claim_folder(folder: Path, parts: dict[str, Any]) -> str:
    """Mark a folder with the fingerprint, or check that it carries the same one.

    Raises:
        RunFolderError: the folder holds another generation; the difference is shown.
    """
    path = folder / FINGERPRINT_FILE
    known = json.loads(json.dumps(parts, default=str))
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if changes := list(_differences(before, known)):
            raise RunFolderError(
                f"{folder} holds trajectories of other settings: {'; '.join(changes)}. "
                "Use another folder, or restore these settings"
            )
    else:
        write_json(path, known)
    return fingerprint_of(known)


def read_fingerprint(folder: Path) -> dict[str, Any]:
    """The parts that a folder of trajectories was claimed with.

    Raises:
        RunFolderError: the folder holds no generation.
    """
    path = folder / FINGERPRINT_FILE
    try:
        parts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunFolderError(f"no trajectories in {folder}; run `steper generate` first, or name its folder") from None
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from None
    return parts


def _probe(how: LoopSettings, chat: ChatFormat | None) -> Any:
    passage = Passage("p", "Title", "Text.")
    step = Step("q", ("p",), (passage,), "A rationale.")
    prompt = build_prompt(Question("q", "What is asked?"), (step,), (passage,), how)
    return chat.prompt_ids(prompt) if chat else [asdict(message) for message in prompt.messages]


def _direct(system: System, how: LoopSettings, chat: ChatFormat | None) -> Any:
    prompt = direct_prompt(Question("q", "What is asked?"), (Passage("p", "Title", "Text."),), system, how)
    return chat.prompt_ids(prompt) if chat else [asdict(message) for message in prompt.messages]


def _room(how: LoopSettings, system: System) -> dict[str, int]:
    """Most tokens of a completion that may hold a whole chain; how those that reach it are read goes with it."""
    whole = system is System.ONE_STEP or (system is System.MULTI_STEP and how.target is Target.CUMULATIVE)
    return {"room": how.rationale_tokens * how.step_limit} if whole else {}


def _model_parts(model: ModelSection) -> dict[str, str]:
    if model.backend == "service":
        # What it runs only it knows: where no name is given, the address stands for it.
        return {"service": model.endpoint_model or model.url or ""}
    if model.backend == "openai":
        # Not the url: the same model may move to another host.
        measured = {"context_tokens": str(model.context_tokens)} if model.model else {}
        return {"endpoint": model.endpoint_model or "", "api": model.endpoint_api, **measured}
    if model.backend == "scripted":
        return {"steps": str(model.scripted_steps)}
    if model.backend == "replay":
        assert model.recordings is not None
        return {"recordings": hashlib.sha256(model.recordings.read_bytes()).hexdigest()[:16]}
    assert model.model is not None
    return {"dtype": model.dtype, "context_tokens": str(model.context_tokens), **model_identity(model.model)}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _differences(before: Any, now: Any, name: str = "") -> Any:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif before != now:
        yield f"{name} was {before!r}, is {now!r}"
