"""What an ablation must say of its questions: which the members are trained on, and whether gold passages are there."""

from collections.abc import Iterable

from steper_ray.config import Config
from steper_ray.data.contamination import Trained, contamination, read_hashes, samples_warning
from steper_ray.data.questions import read_questions
from steper_ray.drive.gold_there import gold_warning
from steper_ray.experiments.configs import samples_folder
from steper_ray.experiments.members import Form


def question_notes(config: Config, forms: Iterable[Form]) -> list[str]:
    """Sentences without full stop, known before anything is trained; none where there is nothing to say.

    Args:
        config: the ablation's.
        forms: whose samples are made.

    Raises:
        InputError: the questions are broken.
        RunFolderError: the hashes of a samples folder are.
    """
    section, made = config.evaluate, [*forms]
    assert section.questions is not None
    asked = read_questions(section.questions, limit=section.limit, sample=section.sample).questions
    trained = _all(read_hashes(samples_folder(config, form)) for form in made)
    held_out = _all(read_hashes(samples_folder(config, form, held_out=True)) for form in made)
    warnings = (
        contamination(asked, trained).warning(),
        samples_warning(held_out, trained),
        gold_warning(config, asked),
    )
    return [warning for warning in warnings if warning]


def _all(parts: Iterable[Trained | None]) -> Trained:
    """Forms drop different trajectories, so their questions differ a little."""
    found = [part for part in parts if part]
    return Trained(frozenset().union(*(part.ids for part in found)), frozenset().union(*(part.texts for part in found)))
