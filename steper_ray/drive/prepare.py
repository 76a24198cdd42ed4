"""From a phase's configuration to a job of the loop, everything read and checked before any engine starts."""

from pathlib import Path
from typing import Any, Protocol

from steper_ray.backends.index_facts import read_facts
from steper_ray.config import ModelSection
from steper_ray.core.types import LoopSettings
from steper_ray.data.demonstrations import demonstrations_of
from steper_ray.drive.cluster import threads_per_engine
from steper_ray.drive.fingerprint import fingerprint_parts
from steper_ray.drive.job import LoopJob, check_model, load_chat
from steper_ray.errors import ConfigError


class Crew(Protocol):
    """Who works and how many at once: what the generate and evaluate sections have in common."""

    @property
    def actors(self) -> int:
        """Engines."""

    @property
    def actors_max(self) -> int | None:
        """Engines at most; None: as many as `actors`."""

    @property
    def in_flight(self) -> int | None:
        """Questions in flight per engine; None: as many as the engine has room for."""

    @property
    def retrievers(self) -> int:
        """Retriever actors."""

    @property
    def step_timeout_s(self) -> float:
        """Longest wait for one retrieval or completion, seconds."""


def checked(section: ModelSection, role: str) -> ModelSection:
    """The section of a role with absolute paths, since Ray's workers may start in another folder.

    Raises:
        UserError: as `check_model`.
    """
    check_model(section, role)
    places = {name: path.absolute() for name in ("model", "recordings") if (path := getattr(section, name))}
    return section.model_copy(update=places)


def prepare(
    model: ModelSection, how: LoopSettings, index: Path, crew: Crew, *, seed: int, force_answer: bool
) -> tuple[LoopJob, dict[str, Any]]:
    """The job of a checked role, and the parts of its fingerprint.

    Raises:
        UserError: index, demonstrations or chat template are not usable.
    """
    demonstrations = demonstrations_of(model, how.strategy)
    facts = read_facts(index)
    parts = fingerprint_parts(how, model, load_chat(model, how), demonstrations, facts.identity())
    job = LoopJob(
        how=how,
        model=model,
        index=index.absolute(),
        demonstrations=demonstrations,
        force_answer=force_answer,
        step_timeout_s=crew.step_timeout_s,
        actors=crew.actors,
        actors_max=_most_actors(crew),
        in_flight=crew.in_flight,
        retrievers=crew.retrievers,
        seed=seed,
        threads=threads_per_engine(crew.actors),
    )
    return job, {**parts, "force_answer": force_answer}


def _most_actors(crew: Crew) -> int:
    if crew.actors_max is not None and crew.actors_max < crew.actors:
        raise ConfigError(f"actors_max must be at least actors, found {crew.actors_max} and {crew.actors}")
    return crew.actors_max or crew.actors
