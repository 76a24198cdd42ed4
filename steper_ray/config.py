"""The configuration: one frozen tree, read from YAML with `section.key=value` overrides on top.

Free of heavy imports, so that the command line answers at once. Unknown keys are errors. A folder left empty is
found under `run.folder`, so that phases of one run meet without being told where.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError, model_validator

from steper_ray.errors import ConfigError
from steper_ray.sections.ablate import AblateSection
from steper_ray.sections.base import Section
from steper_ray.sections.evaluate import EvaluateSection
from steper_ray.sections.generate import GenerateSection, SamplesSection
from steper_ray.sections.model import ModelSection, check_gpus
from steper_ray.sections.serve import ServeSection
from steper_ray.sections.shared import IndexSection, LoopSection, RaySection, RetrieverSection, RunSection
from steper_ray.sections.train import TrainSection


class Config(Section):
    """The whole configuration."""

    run: RunSection = RunSection()
    ray: RaySection = RaySection()
    index: IndexSection = IndexSection()
    loop: LoopSection = LoopSection()
    retriever: RetrieverSection = RetrieverSection()
    teacher: ModelSection = ModelSection()
    generate: GenerateSection = GenerateSection()
    samples: SamplesSection = SamplesSection()
    train: TrainSection = TrainSection()
    student: ModelSection = ModelSection()
    evaluate: EvaluateSection = EvaluateSection()
    serve: ServeSection = ServeSection()
    ablate: AblateSection = AblateSection()

    @model_validator(mode="after")
    def _engines_have_their_gpus(self) -> "Config":
        check_gpus("teacher", self.teacher)
        check_gpus("student", self.student)
        return self

    def folder(
        self, phase: Literal["index", "generate", "samples", "train", "evaluate", "serve", "report", "ablate"]
    ) -> Path:
        """The folder of a phase: its section's own, or the one under `run.folder` (samples: under generate's)."""
        own: Path | None = getattr(getattr(self, phase, None), "folder", None)
        return own or (self.folder("generate") if phase == "samples" else self.run.folder) / phase


def load_config(source: Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Read YAML and apply `section.key=value` overrides (values are YAML too).

    Raises:
        ConfigError: unreadable file, unknown key or a value that does not fit; names key, value and source.
    """
    tree = _read_yaml(source) if source else {}
    for override in overrides:
        _apply(tree, override)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error), source) from None


def _read_yaml(source: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration: {error.strerror}", source) from None
    except (yaml.YAMLError, ValueError) as error:  # an impossible date is a ValueError
        raise ConfigError(f"not YAML: {' '.join(str(error).split())}", source) from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"the configuration must be a mapping of sections, found {type(tree).__name__}", source)
    # A section whose keys are all commented out is the empty section.
    return {section: {} if values is None else values for section, values in tree.items()}


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    section, dot, name = key.partition(".")
    if not equals or not dot or not section or not name:
        raise ConfigError(f"an override is section.key=value, found {override!r}")
    values = tree.setdefault(section, {})
    if not isinstance(values, dict):
        raise ConfigError(f"section {section!r} must be a mapping, found {values!r}")
    try:
        values[name] = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):
        raise ConfigError(f"the value of override {override!r} is not YAML") from None


def _explain(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            lines.append(f"unknown key {key!r}{_nearest(fault['loc'])}")
        elif fault["type"] == "value_error":
            lines.append(str(fault["msg"]).removeprefix("Value error, "))
        else:
            message = fault["msg"][:1].lower() + fault["msg"][1:]
            lines.append(f"{key}: {message}, found {json.dumps(fault['input'], default=str)}")
    return "; ".join(lines)


def _nearest(location: tuple[int | str, ...]) -> str:
    from difflib import get_close_matches

    known = Config.model_fields
    if len(location) == 2 and location[0] in known:
        section: type[Section] = type(getattr(Config(), str(location[0])))
        known = section.model_fields
    match = get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {match[0]!r}?" if match else f"; known are {', '.join(known)}"
