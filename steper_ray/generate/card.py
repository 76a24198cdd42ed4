"""The data card: `README.md` of a samples folder, for people and for `datasets.load_dataset`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from steper_ray.core.selection import Correctness
from steper_ray.core.types import STAGES, Sample, Stage
from steper_ray.data.schemas import MESSAGES_FOLDER
from steper_ray.generate.markdown import block, plain, table
from steper_ray.runs import Manifest, write_text
from steper_ray.sections.generate import SamplesSection

CARD_FILE = "README.md"
_SIZES = (("n<1K", 10**3), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5), ("100K<n<1M", 10**6), ("1M<n<10M", 10**7))

_COLUMNS = (
    ("id", "question id, path and step, joined by #"),
    ("question_id, path, step", "where the sample comes from; steps count from 1"),
    ("stage", "what it trains: " + ", ".join(stage.value for stage in STAGES)),
    ("prompt", "chat messages: what the student is shown in this step, the same as at inference"),
    ("completion", "one assistant message: the target"),
    ("target", "its text"),
    ("golden_answer", "the answer that stands in the last target, see below"),
    ("passage_ids", "all passages shown up to this step"),
    ("model", "the teacher"),
    ("prompt_version, fingerprint", "of the prompts, and of the settings that made the trajectories"),
)
_CORRECTNESS = {
    Correctness.GOLD: (
        "A trajectory is used when its answer is a gold answer after normalisation, or holds one as a run of whole "
        "tokens and is at most 8 tokens longer; yes and no must be exact. In the last target the text after the marker "
        "is the first gold answer."
    ),
    Correctness.MAJORITY: (
        "**No gold answers decided here.** A trajectory is used when its answer, normalised, is the one that more "
        "paths of the question gave than any other, at least two. In the last target the text after the marker is the "
        "majority's most common wording; `golden_answer` holds it too."
    ),
}


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the manifest does not say."""

    language: str | None
    """ISO 639-1 code of the corpus; None where it is not known."""
    parts: Mapping[str, Any]
    """Of the generation's fingerprint."""
    examples: Mapping[Stage, Sample]
    """One sample of each stage that occurs."""


def write_card(folder: Path, manifest: Manifest, section: SamplesSection, facts: CardFacts) -> None:
    """Write the card into a samples folder."""
    parts = [
        _front_matter(manifest, section, facts.language),
        f"# {plain(section.name)}",
        _what(manifest),
        _use(section),
        _counts(manifest),
        _rule(manifest, section),
        _settings(manifest, facts),
        "## Columns\n\n" + table(("column", "what it holds"), _COLUMNS),
        _examples(facts.examples),
    ]
    write_text(folder / CARD_FILE, "\n\n".join(parts) + "\n")


def _front_matter(manifest: Manifest, section: SamplesSection, language: str | None) -> str:
    samples = manifest.counts["samples"]
    configs: list[dict[str, Any]] = [{"config_name": "samples", "data_files": "part-*.parquet", "default": True}]
    if section.messages:
        configs.append({"config_name": MESSAGES_FOLDER, "data_files": f"{MESSAGES_FOLDER}/part-*.parquet"})
    values = {
        **({"license": section.licence.lower()} if section.licence else {}),
        "pretty_name": section.name,
        **({"language": [language]} if language else {}),
        "task_categories": ["question-answering", "text-generation"],
        "size_categories": [next((name for name, limit in _SIZES if samples < limit), "n>10M")],
        "tags": ["multi-hop", "retrieval-augmented-generation", "knowledge-distillation", "steper", "synthetic"],
        "configs": configs,
    }
    return f"---\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}---"


def _what(manifest: Manifest) -> str:
    counts = manifest.counts
    teachers = ", ".join(map(plain, manifest.facts["teachers"])) or "none"
    return (
        f"{counts['samples']:,} training samples from {counts['used']:,} trajectories on {counts['questions_used']:,} "
        f"questions. A teacher ({teachers}) answered multi-hop questions over several rounds of retrieval; every step "
        "of a trajectory is a sample that trains one stage of reasoning (StepER, Lee et al., EMNLP 2025)."
    )


def _use(section: SamplesSection) -> str:
    lines = ["from datasets import load_dataset", "", 'samples = load_dataset("THIS_FOLDER", split="train")']
    if section.messages:
        lines.append(f'chats = load_dataset("THIS_FOLDER", "{MESSAGES_FOLDER}", split="train")')
    chats = (
        f"`{MESSAGES_FOLDER}` holds one row per trajectory as a chat; there the loss belongs on the assistant's turns "
        "(in TRL `assistant_only_loss=True`). "
        if section.messages
        else ""
    )
    return (
        "## Use\n\n```python\n" + "\n".join(lines) + "\n```\n\n"
        "`steper train train.samples=THIS_FOLDER train.model=MODEL` trains all stages with the difficulty-aware loss. "
        "Trainers for supervised fine-tuning take `prompt` and `completion` as they are, with one weight for all "
        f"stages. {chats}Targets end with the end-of-turn token of the student's chat template, which trainers add."
    )


def _counts(manifest: Manifest) -> str:
    counts, shares = manifest.counts, manifest.facts["stage_shares"]
    stages = [(stage, f"{number:,}", f"{shares.get(stage, 0):.1%}") for stage, number in counts["stages"].items()]
    outcomes = [("finished", counts["finished"]), ("used", counts["used"])]
    outcomes += [(f"dropped: {reason}", number) for reason, number in counts["dropped"].items()]
    warnings = "".join(f"\n\n**Note:** {plain(warning)}." for warning in manifest.facts["warnings"])
    return (
        "## Counts\n\n"
        + table(("stage", "samples", "share"), stages)
        + "\n\n"
        + table(("trajectories", "number"), [(name, f"{number:,}") for name, number in outcomes])
        + warnings
    )


def _rule(manifest: Manifest, section: SamplesSection) -> str:
    rules = {name: value for name, value in manifest.facts["rules"].items() if value is not None}
    lines = ["## What counts as correct", _CORRECTNESS[section.correctness]]
    if vote := manifest.facts.get("majority"):
        lines.append(
            f"Of {vote['asked']:,} questions with a finished trajectory {vote['decided']:,} had a majority. Gold "
            f"answers were known of {vote['with_gold']:,} of these; {vote['gold']:,} majorities agree with them."
        )
    lines.append(
        "Of paths with the same reasoning the first is used. Rules: "
        + ", ".join(f"`{name}={value}`" for name, value in rules.items())
        + "."
    )
    licence = plain(section.licence) if section.licence else "not stated"
    lines += ["## Licence", f"{licence}. Prompts quote the corpus, and targets are the teacher's: both have a say."]
    return "\n\n".join(lines)


def _settings(manifest: Manifest, facts: CardFacts) -> str:
    index, model = facts.parts.get("index", {}), facts.parts.get("model", {})
    rows = [
        *((f"loop.{name}", value) for name, value in manifest.facts["loop"].items()),
        ("teacher", ", ".join(manifest.facts["teachers"])),
        *((f"teacher: {name}", value) for name, value in model.items()),
        ("temperature", facts.parts.get("temperature", "")),
        *((f"index: {name}", value) for name, value in index.items()),
        ("prompt version", manifest.facts["prompt_version"]),
        ("fingerprint of the trajectories", manifest.fingerprint),
        ("steper_ray", manifest.version),
        ("written", manifest.written),
    ]
    return "## Settings\n\n" + table(("what", "value"), rows)


def _examples(examples: Mapping[Stage, Sample]) -> str:
    shown = [_example(stage, examples[stage]) for stage in STAGES if stage in examples]
    return "\n\n".join(["## Examples", "Long lines are cut here, not in the data.", *shown])


def _example(stage: Stage, sample: Sample) -> str:
    said = [f"[{message.role}]\n{message.content}" for message in sample.prompt.messages]
    text = "\n\n".join([*said, f"[target]\n{sample.target}"])
    return f"### {stage.value}\n\nSample {plain(sample.id)}\n\n{block(text)}"
