"""Whom an evaluation asks and with which loop; settings that contradict each other are refused."""

from dataclasses import replace

from steper_ray.config import Config
from steper_ray.core.types import LoopSettings, System, Target
from steper_ray.drive.prepare import checked
from steper_ray.errors import ConfigError
from steper_ray.sections.model import ModelSection
from steper_ray.student.card import read_card
from steper_ray.student.choice import chosen_student, student_loop


def check_choice(config: Config) -> None:
    """Refuse settings that contradict each other, before anything is read.

    Raises:
        ConfigError: names the keys.
    """
    section = config.evaluate
    model = config.teacher if section.role == "teacher" else config.student
    if section.paths > 1 and model.temperature == 0:
        raise ConfigError(
            f"evaluate.paths above 1 needs {section.role}.temperature above 0; greedy paths are all the same"
        )
    if model.backend != "service":
        return
    if section.system is not System.MULTI_STEP:
        raise ConfigError(f"evaluate.system={section.system} asks no service: it runs the loop; name another backend")
    if section.force_answer:
        raise ConfigError("evaluate.force_answer is the service's to decide (serve.force_answer); leave it out")
    if config.loop.model_fields_set:
        keys = ", ".join(f"loop.{name}" for name in sorted(config.loop.model_fields_set))
        raise ConfigError(f"the service has a loop of its own; leave {keys} out")


def chosen_model(config: Config) -> ModelSection:
    """The section of whoever is evaluated, with absolute paths.

    Raises:
        UserError: model, recordings, endpoint or service are not usable.
        EnvironmentFault: endpoint or service do not answer.
    """
    if config.evaluate.role == "teacher":
        return checked(config.teacher, "teacher")
    return checked(chosen_student(config), "student")


def chosen_loop(config: Config, model: ModelSection) -> LoopSettings:
    """The loop to run it with: a trained student's own, the configuration's for others.

    Weights that were not trained here have no form to keep to: asked with one retrieval they get the instruction that
    says so, not the loop's first prompt.

    Raises:
        ConfigError: a given setting differs from what the student was trained with.
    """
    if config.evaluate.role == "teacher":
        return config.loop.settings()
    remedy = "Leave these keys out, or set evaluate.force_loop=true to run the student so nevertheless"
    how = student_loop(config, model, forced=config.evaluate.force_loop, remedy=remedy)
    # Behind an endpoint the folder is the tokenizer alone.
    untrained = model.backend != "openai" and model.model is not None and read_card(model.model) is None
    if untrained and config.evaluate.system is System.ONE_STEP:
        return replace(how, target=Target.STEP)
    return how
