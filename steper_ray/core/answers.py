"""Answers: finding them in a rationale, and the field's scores (EM, F1, Acc) as the official scripts compute them."""

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from steper_ray.core.text import squeeze

_MARKER = re.compile(r"so the answer is:", re.IGNORECASE)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)
_CLOSED = frozenset({"yes", "no", "noanswer"})
_SLACK_TOKENS = 8


def holds_marker(rationale: str) -> bool:
    """Whether the rationale answers."""
    return _MARKER.search(rationale) is not None


def extract_answer(rationale: str) -> str:
    """The text after the first marker without its last full stop; empty when there is no marker or no text."""
    found = _MARKER.search(rationale)
    return rationale[found.end() :].strip().removesuffix(".").strip() if found else ""


def replace_answer(rationale: str, answer: str) -> str:
    """The rationale with the text after its first marker replaced; one line, whatever the answer holds."""
    found = _MARKER.search(rationale)
    if found is None:
        raise ValueError(f"no marker in {rationale!r}")
    return f"{rationale[: found.end()]} {squeeze(answer)}."


def settled(text: str, *, by_line: bool) -> str:
    """What counts of a completion that the token limit ended.

    An answer that the limit cut off counts only where it had all the room to itself; else what stands before its
    marker is left.

    Args:
        text: what was written.
        by_line: several lines are written, so one that was cut off does not count behind whole ones.
    """
    *whole, last = text.splitlines(keepends=True) or [""]
    if last.splitlines() != [last]:
        return text
    found = _MARKER.search(last)
    before = "".join(whole) + last[: found.start()] if found else "".join(whole) if by_line else text
    return before if before.strip() else text


def normalise(text: str) -> str:
    """Lower case, punctuation out, articles out, white space squeezed: in this order (HotpotQA's script)."""
    lowered = "".join(character for character in text.lower() if character not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", lowered).split())


def exact_match(prediction: str, gold: str) -> float:
    """1.0 when both are equal after normalisation, else 0.0."""
    return float(normalise(prediction) == normalise(gold))


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much two bags of tokens have in common, or two sets of passages; each value in [0, 1]."""

    f1: float
    precision: float
    """Share of what was given that is right."""
    recall: float
    """Share of what is right that was given."""


NOTHING, EVERYTHING = Overlap(0.0, 0.0, 0.0), Overlap(1.0, 1.0, 1.0)


def token_overlap(prediction: str, gold: str, *, closed_rule: bool = True) -> Overlap:
    """Tokens in common after normalisation, each counted as often as both sides have it.

    Args:
        prediction: the answer given.
        gold: the gold answer.
        closed_rule: HotpotQA and 2WikiMultiHopQA: nothing if either side is yes/no/noanswer and they differ, and
            nothing if no token is left of either. MuSiQue has no such rule, and two sides without a token agree.
    """
    left, right = normalise(prediction), normalise(gold)
    if closed_rule and left != right and (left in _CLOSED or right in _CLOSED):
        return NOTHING
    left_tokens, right_tokens = left.split(), right.split()
    if not left_tokens or not right_tokens:
        return EVERYTHING if not closed_rule and left_tokens == right_tokens else NOTHING
    return overlap_of((Counter(left_tokens) & Counter(right_tokens)).total(), len(left_tokens), len(right_tokens))


def overlap_of(common: int, given: int, wanted: int) -> Overlap:
    """Precision, recall and their harmonic mean; all 0 where nothing is in common."""
    if common == 0:
        return NOTHING
    precision, recall = common / given, common / wanted
    return Overlap(2 * precision * recall / (precision + recall), precision, recall)


def f1(prediction: str, gold: str, *, closed_rule: bool = True) -> float:
    """Token F1 in [0, 1], see `token_overlap`."""
    return token_overlap(prediction, gold, closed_rule=closed_rule).f1


def accuracy_substring(prediction: str, gold: str) -> float:
    """Acc: 1.0 when the normalised gold stands anywhere in the normalised prediction ("no" is in "nothing").

    A gold of which nothing is left ("The", "!!!") stands in nothing but its like.
    """
    left, right = normalise(prediction), normalise(gold)
    return float(right in left if right else not left)


def accuracy_tokens(prediction: str, gold: str) -> float:
    """Acc, token-bounded: 1.0 when the gold's tokens stand in the prediction as a run of whole tokens."""
    return float(f" {normalise(gold)} " in f" {normalise(prediction)} ")


def best(
    score: Callable[[str, str], float], prediction: str, golden_answers: Iterable[str], *, empty_given: bool = False
) -> float:
    """The highest score over the gold answer and its aliases; 0 without any.

    Args:
        score: of a prediction and a gold answer.
        prediction: the answer given; empty when there is none.
        golden_answers: the gold answer and its aliases.
        empty_given: an empty prediction is scored like any other (MuSiQue's script), and so agrees with a gold answer
            of which normalisation leaves nothing ("The The"); else it is a missing one and scores 0.
    """
    if not prediction and not empty_given:
        return 0.0
    return max((score(prediction, gold) for gold in golden_answers), default=0.0)


def is_correct(answer: str, golden_answers: Sequence[str]) -> bool:
    """Whether a trajectory is kept: EM, or the gold token-bounded in an answer at most 8 tokens longer.

    Yes/no questions count by EM only; any alias counts.
    """
    if best(exact_match, answer, golden_answers):
        return True
    length = len(normalise(answer).split())
    open_golds = [gold for gold in golden_answers if normalise(gold) and normalise(gold) not in _CLOSED]
    near = [gold for gold in open_golds if length <= len(normalise(gold).split()) + _SLACK_TOKENS]
    return bool(best(accuracy_tokens, answer, near))
