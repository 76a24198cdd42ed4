"""`README.md` of a weights folder: what the student is, how it was trained and on what, how to serve it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from steper_ray import __version__
from steper_ray.core.types import STAGE_TERMS, STAGES
from steper_ray.student.card import WeightsCard
from steper_ray.train.checkpoint_folders import IDENTITY_FILE
from steper_ray.train.journal import read_journal, updates_of

CARD_PAGE = "README.md"
_LICENCE_KEYS = ("license", "license_name", "license_link")


def model_card(folder: Path, base: Path, card: WeightsCard, *, update: int | None = None, picture: str = "") -> str:
    """The page, from what lies in the train folder: `identity.json` and the journal.

    Args:
        folder: train folder; what is missing there is left out of the page.
        base: model folder that the training started from; its name is shown, not where it lies.
        card: what the weights say about themselves.
        update: the update whose weights these are; None means the last.
        picture: file name of the curves beside the page, if they were drawn.
    """
    lines = [line for line in read_journal(folder) if update is None or line["update"] <= update]
    licence = _licence(base)
    blocks = [_front_matter(base, licence), f"# {base.name}, distilled step by step", _opening(base)]
    blocks += ["## Use", _use(card), "## Training", _course(card, lines)]
    if picture:
        blocks.append(f"![losses, held-out figures and σ over the updates]({picture})")
    blocks += [_settings(folder), "## Licence", _licence_line(base, licence)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _front_matter(base: Path, licence: dict[str, str]) -> str:
    values = {
        "base_model": base.name,
        **(licence or {"license": "other", "license_name": "that-of-the-base-model"}),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["steper", "multi-hop-question-answering", "retrieval-augmented", "distillation"],
    }
    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---"


def _opening(base: Path) -> str:
    return (
        "A student that answers multi-hop questions over several rounds of retrieval: each turn shows it passages, and "
        "it writes one line of reasoning, until it writes the answer. Trained from "
        f"`{base.name}` by step-wise distillation (StepER, EMNLP 2025) with steper_ray {__version__}. bf16 weights."
    )


def _use(card: WeightsCard) -> str:
    loop = yaml.safe_dump(json.loads(json.dumps(asdict(card.loop))), sort_keys=False, allow_unicode=True)
    return (
        "```sh\n"
        "steper serve    student.model=THIS_FOLDER index.folder=INDEX_FOLDER     # POST /v1/answer\n"
        "steper evaluate student.model=THIS_FOLDER evaluate.questions=QUESTIONS\n"
        "```\n\n"
        "`steper.json` holds the loop of its training, and both commands take it from there; the student is not meant "
        f"for other prompts (prompt version {card.prompt_version}):\n\n```yaml\n{loop}```"
    )


def _course(card: WeightsCard, lines: list[dict[str, Any]]) -> str:
    updates = updates_of(lines)
    held_out: dict[str, Any] = next((line["held_out"] for line in reversed(lines) if "held_out" in line), {})
    last = updates[-1] if updates else {}
    table = [
        "| stage | σ | training loss | held-out loss | held-out token accuracy |",
        "|---|---:|---:|---:|---:|",
    ]
    for stage, sigma in zip(STAGES, card.sigmas, strict=True):
        term = STAGE_TERMS[stage]
        losses = [_shown(values.get(f"L_{term}"), ".4f") for values in (last, held_out)]
        accuracy = _shown(held_out.get(f"accuracy_{term}"), ".1%")
        table.append(f"| {stage.value} | {sigma:.4f} | {' | '.join(losses)} | {accuracy} |")
    after = f"Weights of update {last['update']:,}. " if last else ""
    what = f"{after}Preset `{card.preset}`; losses are nats per target token, those of training of a single update."
    return f"{what}\n\n" + "\n".join(table)


def _settings(folder: Path) -> str:
    path = folder / IDENTITY_FILE
    if not path.exists():
        return ""
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    data, model = values.pop("samples", "unknown"), values.pop("model", "unknown")
    shown = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return (
        f"Settings:\n\n```yaml\n{shown}```\n\n## Data\n\n"
        f"Fingerprint of the samples: `{data}`; of the model that the training started from: `{model}`."
    )


def _licence(base: Path) -> dict[str, str]:
    """What the base model's own page says in its front matter."""
    try:
        text = (base / CARD_PAGE).read_text(encoding="utf-8")
        values = yaml.safe_load(text.split("---")[1]) if text.startswith("---") else {}
        return {key: str(values[key]) for key in _LICENCE_KEYS if values.get(key)}
    except (OSError, ValueError, IndexError, AttributeError, yaml.YAMLError):
        return {}


def _licence_line(base: Path, licence: dict[str, str]) -> str:
    known = licence.get("license_name") or licence.get("license")
    what = f" ({known})" if known else ", which its folder did not name,"
    return f"These weights derive from `{base.name}`; the licence of that model{what} applies to them."


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
