"""What all sections of the configuration have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys refused, numbers may be written as strings (PyYAML reads 1e-5 so)."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)


def check_sample(section: str, sample: int | None, limit: int | None) -> None:
    """Raises ValueError when a seed is given and no number of questions."""
    if sample is not None and limit is None:
        raise ValueError(
            f"{section}.sample={sample} chooses questions at random but {section}.limit, their number, is empty; set it"
        )


def check_actors(section: str, least: int, most: int | None) -> None:
    """Raises ValueError when there shall be fewer engines at most than at least."""
    if most is not None and most < least:
        raise ValueError(
            f"{section}.actors_max must be at least {section}.actors, found {most} and {least}; leave it empty"
        )
