"""What an ablation must say of its questions: which the members are trained on, and whether gold passages are there."""

from collections.abc import Iterable, Sequence

from steper_ray.config import Config
from steper_ray.core.types import Question
from steper_ray.data.contamination import Trained, contamination, read_hashes, samples_warning
from steper_ray.data.questions import read_questions
from steper_ray.drive.gold_there import gold_warning
from steper_ray.experiments.configs import samples_folder
from steper_ray.experiments.members import Form


def question_notes(config: Config, forms: Iterable[Form]) -> list[str]:
    """Sentences without full stop, known before anything is trained.

    Args:
        config: the ablation's.
        forms: whose samples are made.

    Raises:
        InputError: the questions are broken.
        RunFolderError: the hashes of a samples folder are.
    """
    foreign = gold_warning(config, _asked(config))
    return [*contamination_notes(config, forms), *([foreign] if foreign else [])]


def contamination_notes(config: Config, forms: Iterable[Form]) -> list[str]:
    """Sentences without full stop, known before anything is trained; none where no question occurs on both sides.

    Args:
        config: the ablation's.
        forms: whose samples are made.

    Raises:
        InputError: the questions are broken.
        RunFolderError: the hashes of a samples folder are.
    """
    made = [*forms]
    notes = []
    trained = _all(read_hashes(samples_folder(config, form)) for form in made)
    if warning := contamination(_asked(config), trained).warning():
        notes.append(warning)
    held_out = _all(read_hashes(samples_folder(config, form, held_out=True)) for form in made)
    if warning := samples_warning(held_out, trained):
        notes.append(warning)
    return notes


def _asked(config: Config) -> Sequence[Question]:
    section = config.evaluate
    assert section.questions is not None
    return read_questions(section.questions, limit=section.limit, sample=section.sample).questions


def _all(parts: Iterable[Trained | None]) -> Trained:
    """Forms drop different trajectories, so their questions differ a little."""
    found = [part for part in parts if part]
    return Trained(frozenset().union(*(part.ids for part in found)), frozenset().union(*(part.texts for part in found)))
