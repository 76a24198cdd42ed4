"""What every phase of a pipeline needs, looked at before the first begins: hours may lie between them."""

from itertools import islice

from steper_ray.backends.index_facts import check_language
from steper_ray.backends.model_folder import check_model_folder
from steper_ray.config import Config
from steper_ray.core.chat import load_chat_format
from steper_ray.core.types import Layout, Target
from steper_ray.data.corpus import read_corpus
from steper_ray.data.questions import read_questions
from steper_ray.drive.job import check_model
from steper_ray.errors import ConfigError
from steper_ray.generate.asked import check_recordings, question_set
from steper_ray.generate.samples_job import check_samples, form
from steper_ray.train.trackers import check_trackers

_LOOKED_AT = 1000


def check_all(config: Config) -> None:
    """Refuse what a later phase would refuse: missing files, unusable models, settings that do not fit each other.

    Raises:
        UserError: names file or key.
        EnvironmentFault: a tracker is not installed.
    """
    if config.retriever.backend == "lucene":
        _check_corpus(config)
    question_set(config)
    check_recordings(config)
    check_model(config.teacher, "teacher")
    check_samples(config)
    _check_training(config)
    if config.evaluate.questions is None:
        raise ConfigError("evaluate.questions is missing: a file of held-out questions with gold answers")
    read_questions(config.evaluate.questions, limit=config.evaluate.limit, sample=config.evaluate.sample)


def _check_corpus(config: Config) -> None:
    if config.index.corpus is None:
        raise ConfigError("index.corpus names no file; set index.corpus=FILE")
    check_language(config.index.language)
    for _ in islice(read_corpus(config.index.corpus, config.index.passage_words), _LOOKED_AT):
        pass


def _check_training(config: Config) -> None:
    section = config.train
    if section.model is None:
        raise ConfigError("train.model is missing: the Hugging Face folder of the model to start from")
    check_model_folder(section.model)
    check_trackers(section.trackers)
    how = form(config.samples, config.loop.settings())
    if section.preset == "vanilla_kd" and (how.layout, how.target) != (Layout.APPENDED, Target.CUMULATIVE):
        raise ConfigError(
            f"train.preset=vanilla_kd needs samples in layout appended and target cumulative, found {how.layout} and "
            f"{how.target}; set samples.layout=appended samples.target=cumulative"
        )
    load_chat_format(section.model).check(how)
