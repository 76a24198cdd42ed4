"""Members of an ablation against the reference of their form: differences, tests, and whether training was equal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steper_ray.core.types import System
from steper_ray.evaluate.compare import check_same
from steper_ray.evaluate.evaluated import MEASURES, Evaluated
from steper_ray.evaluate.paired import Difference, paired
from steper_ray.experiments.members import Form, Member, Row
from steper_ray.experiments.outcome import Outcome, mean_scores
from steper_ray.sections.ablate import Control

UNEVEN = 0.05
"""Share by which training that should be equal may differ before it is said."""
_NAMES = {Control.UPDATES: "updates", Control.TARGET_TOKENS: "target_tokens"}


@dataclass(frozen=True)
class Against:
    """The reference of a form, in the loop, less another row of the form."""

    row: Row
    """The other one, as it stands under the first of the controls."""
    reference: Member
    controls: tuple[Control, ...]
    """Under which just these trainings are compared."""
    differences: Mapping[str, Difference]
    """By measure."""
    corrected: Mapping[str, float]
    """By measure: p-value times what Holm's method makes of the number of comparisons of the form."""


def against_references(
    rows: Sequence[tuple[Row, Sequence[Evaluated]]], references: Mapping[Form, Member], seed: int
) -> list[Against]:
    """Each form's reference, in the loop, against every other row of its form and control, and the untrained ones.

    What is the same comparison under both controls counts once.

    Raises:
        RunFolderError: they were evaluated on different questions.
    """
    return [found for form in references for found in _of_form(rows, references[form], seed)]


def _of_form(rows: Sequence[tuple[Row, Sequence[Evaluated]]], reference: Member, seed: int) -> list[Against]:
    mine = [(row, found) for row, found in rows if row.member.form is reference.form]
    pairs: dict[object, tuple[Row, list[Control], dict[str, Difference]]] = {}
    for ours, here in mine:
        if ours.member != reference or ours.system is not System.MULTI_STEP or ours.control is None:
            continue
        for row, there in mine:
            if row == ours or row.control not in (ours.control, None):
                continue
            same = (row.member, row.system, row.trainings, ours.trainings)
            if same not in pairs:
                pairs[same] = (Row(ours.control, row.member, row.system, row.trainings), [], _differ(here, there, seed))
            pairs[same][1].append(ours.control)
    corrected = {
        measure: holm([differences[measure].p_value for _, _, differences in pairs.values()]) for measure in MEASURES
    }
    return [
        Against(row, reference, tuple(controls), found, {measure: corrected[measure][place] for measure in MEASURES})
        for place, (row, controls, found) in enumerate(pairs.values())
    ]


def _differ(here: Sequence[Evaluated], there: Sequence[Evaluated], seed: int) -> dict[str, Difference]:
    check_same(here[0], there[0])
    order = list(here[0].questions)
    return {
        measure: paired(mean_scores(there, measure, order), mean_scores(here, measure, order), seed)
        for measure in MEASURES
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in the order given.

    Source: Holm, Scandinavian Journal of Statistics 1979.
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def uneven(outcomes: Sequence[Outcome], references: Mapping[Form, Member]) -> list[str]:
    """What should be equal under a control and is not, in sentences."""
    found = {}
    for outcome in outcomes:
        row, reference = outcome.row, references.get(outcome.row.member.form)
        mine = [one for one in outcomes if (one.row.control, one.row.member) == (row.control, reference)]
        if row.control is None or not mine:
            continue
        what = _NAMES[row.control]
        have, wanted = getattr(outcome.course, what), getattr(mine[0].course, what)
        if wanted and abs(have / wanted - 1) > UNEVEN:
            words = what.replace("_", " ")
            found[row.member, row.control] = (
                f"{row.member} had {have:,.0f} {words}, {reference} {wanted:,.0f}, where they should be equal"
            )
    return list(found.values())


def resolution(against: Sequence[Against]) -> float | None:
    """Half the widest interval of a difference in EM, in [0, 1]; None without a comparison."""
    found = [one.differences["exact_match"].interval for one in against]
    return max((interval.high - interval.low) / 2 for interval in found) if found else None
