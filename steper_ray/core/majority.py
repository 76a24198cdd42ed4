"""The majority answer of several paths of one question: in place of a gold answer, or as the answer given."""

from collections import Counter
from collections.abc import Sequence

from steper_ray.core.answers import normalise
from steper_ray.core.text import squeeze

LEAST_VOTES = 2
"""A majority of one is no agreement."""
LEAST_PATHS = 3
"""With two paths, either both agree or nothing can be said."""


def majority_answer(answers: Sequence[str]) -> str | None:
    """The answer that more paths gave than any other, at least `LEAST_VOTES`; None without one.

    Answers are the same when they are equal after `normalise`. Of the wordings of the winner the most common one is
    returned; among equally common ones the first.

    Source: self-consistency (Wang et al., ICLR 2023), with a strict plurality.
    """
    votes = Counter(map(_vote, answers)).most_common(2)
    if not votes or votes[0][1] < LEAST_VOTES or (len(votes) > 1 and votes[1][1] == votes[0][1]):
        return None
    winner = votes[0][0]
    return Counter(squeeze(answer) for answer in answers if _vote(answer) == winner).most_common(1)[0][0]


def plurality(answers: Sequence[str]) -> int:
    """Where the answer stands that speaks for all: the first of those given most often, ties going to the earliest.

    Answers are the same when they are equal after `normalise`; an empty one has no vote. `answers` must not be empty.

    Source: self-consistency (Wang et al., ICLR 2023).
    """
    votes = Counter(_vote(answer) for answer in answers if answer)
    most = max(votes.values(), default=0)
    return next((place for place, answer in enumerate(answers) if answer and votes[_vote(answer)] == most), 0)


def agree(one: str, other: str) -> bool:
    """Whether two answers count as one."""
    return _vote(one) == _vote(other)


def _vote(answer: str) -> str:
    # Of "The" or "!!!" normalisation leaves nothing; they are still not the same answer.
    return normalise(answer) or squeeze(answer).lower()
