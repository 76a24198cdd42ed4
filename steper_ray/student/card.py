"""`steper.json` in a weights folder: how the student was trained, so that it is measured and served in the same way."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.types import LoopSettings
from steper_ray.errors import ConfigError, RunFolderError
from steper_ray.runs import write_json
from steper_ray.sections.shared import LoopSection

CARD_FILE = "steper.json"
_KEYS = frozenset(field.name for field in fields(LoopSettings)) | {"prompt_version", "preset", "sigmas"}


@dataclass(frozen=True, slots=True)
class WeightsCard:
    """What weights say about themselves; in the file the loop's settings stand beside the other values."""

    loop: LoopSettings
    """The loop of the samples that the weights were trained on."""
    prompt_version: str
    preset: str
    """Loss preset."""
    sigmas: tuple[float, ...]
    """Final σ of init, exp, agg."""


def write_card(folder: Path, card: WeightsCard) -> None:
    """Write the card into a weights folder."""
    values = {"prompt_version": card.prompt_version, "preset": card.preset, "sigmas": card.sigmas}
    write_json(folder / CARD_FILE, {**asdict(card.loop), **values})


def read_card(folder: Path) -> WeightsCard | None:
    """The card of a weights folder; None where there is none, as in a model that was not trained here.

    Raises:
        RunFolderError: the card is broken, or lacks or has a setting that this version does not know.
    """
    path = folder / CARD_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if missing := sorted(_KEYS - values.keys()):
            raise RunFolderError(f"{path} does not say {missing[0]!r}; export the weights again")
        own = {name: values.pop(name) for name in ("prompt_version", "preset")}
        sigmas = tuple(float(sigma) for sigma in values.pop("sigmas"))
        return WeightsCard(loop=LoopSection.model_validate(values).settings(), sigmas=sigmas, **own)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}; export the weights again") from None


def loop_of(
    card: WeightsCard | None, section: LoopSection, *, forced: bool, remedy: str = "Leave these keys out"
) -> LoopSettings:
    """The loop to run a student with: the card's; without a card the configuration's.

    Args:
        card: the weights' card.
        section: the configuration's loop; of it, only values given explicitly can differ from the card.
        forced: whether given values that differ replace the card's.
        remedy: what to do about a difference, for the message.

    Raises:
        ConfigError: another prompt version, or a given value that differs and is not forced.
    """
    if card is None:
        return section.settings()
    if card.prompt_version != PROMPT_VERSION:
        raise ConfigError(
            f"the student was trained with prompt version {card.prompt_version!r}, this steper_ray builds "
            f"{PROMPT_VERSION!r}; train it again, or use the steper_ray that trained it"
        )
    trained: dict[str, Any] = asdict(card.loop)
    given = {name: getattr(section, name) for name in sorted(section.model_fields_set)}
    different = {name: value for name, value in given.items() if value != trained[name]}
    if different and not forced:
        changes = "; ".join(
            f"loop.{name} is {value}, trained with {trained[name]}" for name, value in different.items()
        )
        raise ConfigError(f"{changes}. {remedy}")
    try:
        return LoopSection.model_validate({**trained, **different}).settings()
    except ValidationError as error:
        raise ConfigError("; ".join(str(fault["msg"]) for fault in error.errors())) from None
