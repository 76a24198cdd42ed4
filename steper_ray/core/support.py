"""Supporting facts or passages against the gold ones, and the joint scores of answer and support."""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, fields

from steper_ray.core.answers import EVERYTHING, Overlap, overlap_of


@dataclass(frozen=True, slots=True)
class Support:
    """Over one question each value is of that question; over many it is their mean."""

    exact_match: float
    """1 when exactly the gold ones were given."""
    f1: float
    precision: float
    recall: float
    joint_exact_match: float
    """Product with the answer's."""
    joint_f1: float
    """Of the products of both precisions and both recalls."""
    joint_precision: float
    joint_recall: float


NO_SUPPORT = Support(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def support_score(
    predicted: Collection[Hashable], gold: Collection[Hashable], answer_exact: float, answer: Overlap
) -> Support:
    """The support scores of one question, and the joint ones with its answer.

    Args:
        predicted: (title, sentence) pairs, titles or paragraph numbers; repetitions do not count.
        gold: of the same kind.
        answer_exact: EM of the answer.
        answer: precision and recall of the answer's tokens.

    Source: HotpotQA (Yang et al., EMNLP 2018), section 5.2; that nothing given where nothing is gold is right is
    MuSiQue's.
    """
    given, wanted = set(predicted), set(gold)
    found = overlap_of(len(given & wanted), len(given), len(wanted)) if given or wanted else EVERYTHING
    exact = float(given == wanted)
    precision, recall = answer.precision * found.precision, answer.recall * found.recall
    total = precision + recall
    joint_f1 = 2 * precision * recall / total if total else 0.0
    return Support(exact, found.f1, found.precision, found.recall, answer_exact * exact, joint_f1, precision, recall)


def mean_support(values: Sequence[Support]) -> Support:
    """The mean over questions; `values` must not be empty."""
    names = [field.name for field in fields(Support)]
    return Support(*(sum(getattr(value, name) for value in values) / len(values) for name in names))
