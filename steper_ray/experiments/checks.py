"""Whether an ablation can be run at all, found out before the hours that it takes."""

from collections.abc import Sequence
from dataclasses import replace

from steper_ray.backends.model_folder import check_model_folder
from steper_ray.config import Config
from steper_ray.core.types import LoopSettings
from steper_ray.data.questions import read_questions
from steper_ray.errors import ConfigError
from steper_ray.evaluate.choice import check_choice
from steper_ray.experiments.members import Form, Member, parse_member, references_of


def checked_members(config: Config) -> list[Member]:
    """The members, when settings, model and questions are usable.

    Raises:
        ConfigError: a setting is missing, or would make the members' trainings or evaluations differ.
        InputError: model or questions are not what they should be.
    """
    members = [parse_member(text) for text in config.ablate.members]
    references_of(members, config.ablate.reference)
    _check_settings(config)
    section = config.evaluate
    if config.train.model is None:
        raise ConfigError("train.model is missing: the Hugging Face folder that every member starts from")
    check_model_folder(config.train.model)
    if section.questions is None:
        raise ConfigError("evaluate.questions is missing: a file of held-out questions with gold answers")
    read_questions(section.questions, limit=section.limit, sample=section.sample, aliases=section.aliases)
    return members


def check_forms(config: Config, members: Sequence[Member], how: LoopSettings) -> None:
    """Refuse forms that the model's chat template cannot carry (loads the tokenizer).

    Raises:
        ConfigError: names the template and the members to use instead.
    """
    from steper_ray.core.chat import load_chat_format

    assert config.train.model is not None
    chat = load_chat_format(config.train.model)
    for form in dict.fromkeys(member.form for member in members):
        instead = f"ablate.members=[{','.join(map(str, appended_instead(members, form)))}]"
        chat.check(replace(how, layout=form.layout, target=form.target), instead=instead)


def appended_instead(members: Sequence[Member], form: Form) -> list[Member]:
    """The members, those of a form in `appended`, which every template carries; `vanilla_kd` cannot be in it.

    Args:
        members: as given.
        form: that cannot be used.
    """
    kept = [member for member in members if member.form is not form or member.method != "vanilla_kd"]
    found = [Member(member.method, Form.APPENDED) if member.form is form else member for member in kept]
    if not any(member.trained for member in found):
        found.append(Member("steper", Form.APPENDED))
    return list(dict.fromkeys(found))


def _check_settings(config: Config) -> None:
    student, train = config.student, config.train
    if student.backend in ("service", "openai", "replay"):
        raise ConfigError(f"student.backend={student.backend} cannot run the members' weights; leave it out")
    if student.demonstrations is not None:
        raise ConfigError("student.demonstrations is set, but trained students see none; leave it out")
    if train.patience is not None:
        raise ConfigError(
            f"train.patience={train.patience} may end one member earlier than another, and members are compared after "
            "as much training; leave it out"
        )
    if train.export != "last":
        raise ConfigError(
            f"train.export={train.export} takes the weights of another update from each member, and members are "
            "compared after as much training; leave it out"
        )
    check_choice(config.model_copy(update={"evaluate": config.evaluate.model_copy(update={"role": "student"})}))
