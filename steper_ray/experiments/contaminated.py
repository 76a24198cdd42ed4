"""What an ablation must say of its questions: which of them the members are trained on, evaluated or held out."""

from collections.abc import Iterable

from steper_ray.config import Config
from steper_ray.data.contamination import Trained, contamination, read_hashes, samples_warning
from steper_ray.data.questions import read_questions
from steper_ray.experiments.configs import samples_folder
from steper_ray.experiments.members import Form


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
    section, notes = config.evaluate, []
    trained = _all(read_hashes(samples_folder(config, form)) for form in made)
    assert section.questions is not None
    asked = read_questions(section.questions, limit=section.limit, sample=section.sample).questions
    if warning := contamination(asked, trained).warning():
        notes.append(warning)
    held_out = _all(read_hashes(samples_folder(config, form, held_out=True)) for form in made)
    if warning := samples_warning(held_out, trained):
        notes.append(warning)
    return notes


def _all(parts: Iterable[Trained | None]) -> Trained:
    """Forms drop different trajectories, so their questions differ a little."""
    found = [part for part in parts if part]
    return Trained(frozenset().union(*(part.ids for part in found)), frozenset().union(*(part.texts for part in found)))
