"""What a run of the loop over many questions needs to know; crosses processes as it is."""

from dataclasses import dataclass, field
from pathlib import Path

from steper_ray.backends.interfaces import LanguageModel
from steper_ray.config import ModelSection, RetrieverSection
from steper_ray.core.chat import ChatFormat, load_chat_format
from steper_ray.core.types import FailureKind, LoopSettings, Target, Trajectory
from steper_ray.errors import ConfigError


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
    in_flight: int
    retrievers: int
    seed: int
    threads: int
    """Threads of one engine on CPU."""
    retriever: RetrieverSection = field(default_factory=RetrieverSection)


@dataclass(frozen=True, slots=True)
class Failure:
    """A question and path that could not be finished."""

    question_id: str
    path: int
    kind: FailureKind
    message: str


def check_model(section: ModelSection, role: str) -> None:
    """Refuse a role that is not completely described, before anything starts.

    Raises:
        ConfigError: a key is missing or not usable.
        InputError: the model folder or the recordings are not what they should be.
    """
    from steper_ray.backends.model_folder import check_model_folder, check_tokenizer_folder
    from steper_ray.data.chains import read_chains

    match section.backend:
        case "vllm":
            if section.model is None:
                raise ConfigError(f"{role}.model is missing: a Hugging Face folder with weights and tokenizer")
        case "replay":
            if section.recordings is None:
                raise ConfigError(f"{role}.recordings is missing: a JSONL file with recorded rationales")
            read_chains(section.recordings)
        case "openai":
            from steper_ray.backends.openai import OpenAIModel

            OpenAIModel.load(section, role=role)
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


def load_model(section: ModelSection, seed: int, chat: ChatFormat | None, *, in_flight: int = 64) -> LanguageModel:
    """Load whoever fills a role, in the current process.

    Args:
        section: the role.
        seed: of the engine.
        chat: its chat format.
        in_flight: most requests at once, for backends with connections.
    """
    match section.backend:
        case "vllm":
            from steper_ray.backends.vllm import VllmModel

            end = chat.end_of_turn_id if chat else None
            return VllmModel.load(section, seed, end_of_turn_id=end, exit_on_engine_death=True)
        case "openai":
            from steper_ray.backends.openai import OpenAIModel

            return OpenAIModel.load(section, in_flight=in_flight)
        case "replay":
            from steper_ray.backends.replay import ReplayModel
            from steper_ray.data.chains import read_chains

            assert section.recordings is not None
            return ReplayModel(read_chains(section.recordings))
        case "scripted":
            from steper_ray.backends.scripted import ScriptedModel

            return ScriptedModel()
