"""From a phase's configuration to a job of the loop, everything read and checked before any engine starts."""

from pathlib import Path
from typing import Any, Protocol

from steper_ray.backends.index_facts import read_facts
from steper_ray.backends.index_source import IndexSource
from steper_ray.backends.interfaces import Request
from steper_ray.backends.openai_wire import estimated_tokens
from steper_ray.core.direct import direct_tokens
from steper_ray.core.prompts import build_prompt, with_demonstrations
from steper_ray.core.types import LoopSettings, Question, System, Trajectory
from steper_ray.data.demonstrations import demonstrations_of
from steper_ray.drive.cluster import threads_per_engine
from steper_ray.drive.fingerprint import fingerprint_parts
from steper_ray.drive.job import LoopJob, check_model, load_chat
from steper_ray.drive.load import most_in_flight
from steper_ray.drive.trial import try_endpoint, try_search, try_service
from steper_ray.errors import ConfigError
from steper_ray.sections.model import ModelSection
from steper_ray.sections.shared import IndexSection, RetrieverSection

_LIMITS = ("requests_per_minute", "tokens_per_minute")
_PATHS = ("model", "base", "recordings", "key_file")


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

    @property
    def outage_s(self) -> float:
        """Longest time in which no question gets through to a service, seconds."""


def checked(section: ModelSection, role: str) -> ModelSection:
    """The section of a role with absolute paths, since Ray's workers may start in another folder.

    An endpoint is asked for a trial completion, so that a wrong key or address ends the command here.

    Raises:
        UserError: as `check_model`, or the endpoint refuses the trial.
        EnvironmentFault: the endpoint does not answer.
    """
    check_model(section, role)
    if section.backend == "openai":
        try_endpoint(section, role)
    if section.backend == "service":
        try_service(section, role)
    places = {name: path.absolute() for name in _PATHS if (path := getattr(section, name))}
    return section.model_copy(update=places)


def prepare(
    model: ModelSection,
    how: LoopSettings,
    index: Path,
    crew: Crew,
    *,
    seed: int,
    force_answer: bool,
    retriever: RetrieverSection | None = None,
    source: IndexSource | None = None,
    system: System = System.MULTI_STEP,
) -> tuple[LoopJob, dict[str, Any]]:
    """The job of a checked role, and the parts of its fingerprint.

    Closed-book, and where a service answers, nothing is searched here, so no index need be there.

    Raises:
        UserError: index or search service, demonstrations, chat template or rate limits are not usable.
        EnvironmentFault: the search service does not answer.
    """
    retriever = retriever or RetrieverSection()
    demonstrations = demonstrations_of(model, how.strategy)
    searched = system is not System.CLOSED_BOOK and model.backend != "service"
    retrieval = retrieval_identity(retriever, index, source) if searched else {}
    parts = fingerprint_parts(how, model, load_chat(model, how), demonstrations, retrieval, system)
    job = LoopJob(
        how=how,
        model=_shared(model, crew, _least_tokens(how, system, demonstrations)),
        index=index.absolute(),
        demonstrations=demonstrations,
        force_answer=force_answer,
        step_timeout_s=crew.step_timeout_s,
        outage_s=crew.outage_s,
        actors=_first_actors(model, crew),
        actors_max=_most_actors(crew),
        in_flight=crew.in_flight,
        retrievers=crew.retrievers,
        seed=seed,
        threads=threads_per_engine(_most_actors(crew)),
        retriever=retriever.model_copy(update={"key_file": retriever.key_file and retriever.key_file.absolute()}),
        index_source=source,
        system=system,
    )
    return job, {**parts, "force_answer": force_answer}


def _most_actors(crew: Crew) -> int:
    return crew.actors_max or crew.actors


def _first_actors(model: ModelSection, crew: Crew) -> int:
    """Engines to start with: all of them where they share a limit, since each holds its share from the start."""
    limited = model.backend == "openai" and any(getattr(model, name) for name in _LIMITS)
    return _most_actors(crew) if limited else crew.actors


def index_source(section: IndexSection) -> IndexSource | None:
    """Where the index is published, if it is."""
    return IndexSource(section.uri, section.cache) if section.uri else None


def retrieval_identity(retriever: RetrieverSection, index: Path, source: IndexSource | None = None) -> dict[str, Any]:
    """What decides which passages a query finds; goes into fingerprints.

    Raises:
        UserError: there is no complete index, or the search service refuses a trial search.
        EnvironmentFault: the search service does not answer.
    """
    if retriever.backend == "lucene":
        return (source.facts() if source else read_facts(index)).identity()
    try_search(retriever)
    return {"service": retriever.name or retriever.url}


def _shared(model: ModelSection, crew: Crew, request_tokens: int) -> ModelSection:
    """The section with each actor's share of the rate limits.

    Args:
        model: with the limits of the whole run.
        crew: whose actors share them.
        request_tokens: of a request at least, completion included.

    Raises:
        ConfigError: the last in the queue of an actor would wait longer than a step may take.
    """
    if model.backend != "openai":
        return model
    actors = _most_actors(crew)
    in_flight = actors * (crew.in_flight or most_in_flight(model.max_batch))
    size = f" of at least {request_tokens} tokens"
    for name, each, shown in (("requests_per_minute", 1, ""), ("tokens_per_minute", request_tokens, size)):
        limit = getattr(model, name)
        wait_s = 60 * in_flight * each / limit if limit else 0.0
        if wait_s >= crew.step_timeout_s:
            raise ConfigError(
                f"with {name}={limit:g}, {in_flight} questions in flight{shown} wait up to {wait_s:.0f} s for their "
                f"turn, longer than step_timeout_s={crew.step_timeout_s:g}; lower in_flight or raise step_timeout_s"
            )
    return model.model_copy(update={name: limit / actors for name in _LIMITS if (limit := getattr(model, name))})


def _least_tokens(how: LoopSettings, system: System, demonstrations: tuple[Trajectory, ...]) -> int:
    """Tokens that a first request is reckoned with at least: those of a question without text or passages."""
    if system is not System.MULTI_STEP:
        return direct_tokens(system, how)
    prompt = with_demonstrations(build_prompt(Question("", ""), (), (), how), demonstrations)
    return estimated_tokens(Request(prompt, (), how.rationale_tokens))
