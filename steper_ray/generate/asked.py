"""What a generation is asked: its questions, and the form that recorded rationales must have."""

from steper_ray.config import Config
from steper_ray.core.selection import Correctness
from steper_ray.core.types import Strategy
from steper_ray.data.questions import QuestionSet, read_questions
from steper_ray.data.recordings import coverage_line, holds_decompositions, read_recordings
from steper_ray.drive.gold_there import gold_warning
from steper_ray.errors import ConfigError


def question_set(config: Config, *, answered: bool = False) -> QuestionSet:
    """The questions of `generate.questions`, with gold answers unless a majority of paths decides.

    Args:
        config: the whole configuration.
        answered: trajectories exist already and hold the gold answers of their questions.

    Raises:
        UserError: no file is named, or it is faulty.
    """
    section = config.generate
    if section.questions is None:
        raise ConfigError("generate.questions is missing: a file of questions")
    gold = config.samples.correctness is Correctness.GOLD and not answered
    return read_questions(section.questions, limit=section.limit, sample=section.sample, require_answers=gold)


def tell_asked(config: Config, asked: QuestionSet) -> None:
    """Say on the terminal what is asked, what recordings cover, and whether gold passages can be found at all."""
    assert config.generate.questions is not None
    print(asked.line(config.generate.questions))
    if config.teacher.backend == "replay" and config.teacher.recordings:
        print(coverage_line(read_recordings(config.teacher.recordings), asked.questions))
    if warning := gold_warning(config, asked.questions):
        print(f"warning: {warning}")


def check_recordings(config: Config) -> None:
    """Refuse MuSiQue's decompositions, which ask, as recordings of another strategy.

    Raises:
        ConfigError: names the strategy that fits.
    """
    recordings = config.teacher.recordings
    if config.teacher.backend != "replay" or recordings is None or config.loop.strategy is Strategy.SELF_ASK:
        return
    if holds_decompositions(recordings):
        raise ConfigError(
            f"teacher.recordings={recordings} holds decompositions, which are self-ask; found loop.strategy="
            f"{config.loop.strategy}, set loop.strategy=self_ask"
        )
