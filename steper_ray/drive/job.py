"""What a run of the loop over many questions needs to know; crosses processes as it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from steper_ray.backends.index_source import IndexSource
from steper_ray.backends.interfaces import LanguageModel
from steper_ray.core.chat import ChatFormat, load_chat_format
from steper_ray.core.types import LoopSettings, System, Target, Trajectory
from steper_ray.drive.load import most_in_flight
from steper_ray.errors import ConfigError
from steper_ray.sections.model import ModelSection
from steper_ray.sections.shared import RetrieverSection
from steper_ray.telemetry.origin import Origin


def check_model(section: ModelSection, role: str) -> None:
    """Refuse a role that is not completely described, before anything starts.

    Raises:
        ConfigError: a key is missing or not usable.
        InputError: the model folder or the recordings are not what they should be.
    """
    from steper_ray.backends.model_folder import check_model_folder, check_tokenizer_folder
    from steper_ray.data.recordings import read_recordings

    match section.backend:
        case "vllm":
            if section.model is None:
                raise ConfigError(f"{role}.model is missing: a Hugging Face folder with weights and tokenizer")
        case "replay":
            if section.recordings is None:
                raise ConfigError(
                    f"{role}.recordings is missing: a JSONL file with recorded rationales, or MuSiQue's questions"
                )
            read_recordings(section.recordings)
        case "openai":
            from steper_ray.backends.openai import OpenAIModel

            OpenAIModel.load(section, role=role)
        case "service":
            from steper_ray.backends.service import ServiceModel

            ServiceModel.load(section, role=role)
    if section.model is not None:
        check = check_tokenizer_folder if section.backend == "openai" else check_model_folder
        check(section.model)


def load_chat(section: ModelSection, how: LoopSettings) -> ChatFormat | None:
    """The model's chat format, checked against the layout; None for a role without a tokenizer.

    Raises:
        ConfigError: the template, or a base model behind an endpoint, cannot carry the layout or target.
    """
    if section.backend == "openai" and section.endpoint_api == "completions" and how.target is Target.CUMULATIVE:
        raise ConfigError(
            "loop.target=cumulative needs a chat model with an end-of-turn token; with endpoint_api=completions turns "
            "end at a newline; use loop.target=step"
        )
    if section.model is None:
        return None
    chat = load_chat_format(section.model)
    chat.check(how)
    return chat


def load_model(section: ModelSection, seed: int, chat: ChatFormat | None) -> LanguageModel:
    """Load whoever fills a role, in the current process; `seed` is the engine's."""
    match section.backend:
        case "vllm":
            from steper_ray.backends.vllm import VllmModel

            end = chat.end_of_turn_id if chat else None
            return VllmModel.load(section, seed, end_of_turn_id=end, exit_on_engine_death=True)
        case "openai":
            from steper_ray.backends.openai import OpenAIModel

            return OpenAIModel.load(section)
        case "service":
            from steper_ray.backends.service import ServiceModel

            return ServiceModel.load(section)
        case "replay":
            from steper_ray.backends.replay import ReplayModel
            from steper_ray.data.recordings import read_recordings

            assert section.recordings is not None
            return ReplayModel(read_recordings(section.recordings))
        case "scripted":
            from steper_ray.backends.scripted import ScriptedModel, answer_after, log_normal_latency

            latency = log_normal_latency(section.scripted_latency_s, _LATENCY_SHAPE, seed=0)
            return ScriptedModel(answer_after(section.scripted_steps), latency=latency)


ModelLoader = Callable[[ModelSection, int, ChatFormat | None], LanguageModel]
"""Loads whoever fills a role, in the current process: section, seed, chat format."""

_LATENCY_SHAPE = 0.5
_START_S = 1800.0
_LEAST_PER_LEASE, _MOST_PER_LEASE = 4, 16
_LEASES_PER_ENGINE = 12
"""At least so many, so that the engines finish at about the same time."""


@dataclass(frozen=True, slots=True)
class LoopJob:
    """The loop, who answers, and how many at once."""

    how: LoopSettings
    model: ModelSection
    index: Path
    demonstrations: tuple[Trajectory, ...]
    force_answer: bool
    step_timeout_s: float
    actors: int
    actors_max: int
    in_flight: int | None
    """Questions in flight per engine; None: as many as the engine has room for."""
    retrievers: int
    seed: int
    threads: int
    """Threads of one engine on CPU."""
    retriever: RetrieverSection = field(default_factory=RetrieverSection)
    load: ModelLoader = load_model
    index_source: IndexSource | None = None
    """Where the index is published; None where `index` is on storage that all nodes see."""
    system: System = System.MULTI_STEP
    """The loop, or a baseline that answers at once."""
    origin: Origin = field(default_factory=Origin)
    """Whom its metrics speak of."""
    attempts: int = 0
    """Trajectories and failures that earlier executions left; the seeds of engines depend on it."""
    outage_s: float = 3600.0
    """Longest time in which no question gets through to a service, seconds."""

    @property
    def searches(self) -> bool:
        """Whether passages are retrieved by retriever actors of this run."""
        here = self.retriever.backend == "lucene" and self.model.backend != "service"
        return here and self.system is not System.CLOSED_BOOK

    @property
    def quicker_search(self) -> str:
        """What helps where steps wait for their passages."""
        if self.retriever.backend == "http":
            return "a quicker search service, or a higher retriever.requests or retriever.batch"
        return "more retrievers"

    @property
    def remote(self) -> bool:
        """Whether somebody else's service is asked."""
        return self.model.backend in ("openai", "service") or self.retriever.backend == "http"

    @property
    def most_in_flight(self) -> int:
        """The most questions in flight per engine."""
        return self.in_flight or most_in_flight(self.model.max_batch)

    @property
    def patience_s(self) -> float:
        """Longest time in which no engine finishes anything, seconds: its start, and the slowest question allowed.

        Where others answer, the longest outage besides.
        """
        return _START_S + 2 * self.how.step_limit * self.step_timeout_s + (self.outage_s if self.remote else 0)

    def lease_rows(self, questions: int) -> int:
        """Questions per lease: few, so that a death costs little; several, since each lease costs Ray time."""
        share = questions // (self.actors_max * _LEASES_PER_ENGINE)
        return max(1, min(_MOST_PER_LEASE, max(_LEAST_PER_LEASE, self.most_in_flight // 4), share))

    def open_leases(self, rows: int) -> int:
        """Leases of so many questions each that an engine needs to be full, and two in reserve."""
        return -(-self.most_in_flight // rows) + 2
