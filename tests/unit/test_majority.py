"""The majority answer."""

import pytest

from steper_ray.core.majority import agree, majority_answer


@pytest.mark.parametrize(
    ("answers", "winner"),
    [
        (["Hee Haw", "Opry", "hee haw!"], "Hee Haw"),
        (["the Opry", "Opry", "Hee Haw", "the Opry"], "the Opry"),  # wordings of one answer: the commonest
        (["Opry", "The Opry", "x"], "Opry"),  # equally common: the first
        (["a", "b", "c"], None),
        (["Hee Haw"], None),
        (["Hee Haw", "Opry", "Opry", "Hee Haw"], None),
        (["yes", "yes", "no", "no", "no"], "no"),
        ([], None),
        (["!!!", "???", "the"], None),  # nothing is left of any after normalisation, yet they differ
    ],
)
def test_the_majority_is_a_strict_plurality_of_at_least_two(answers: list[str], winner: str | None) -> None:
    assert majority_answer(answers) == winner


def test_answers_agree_after_normalisation() -> None:
    assert agree("The Opry.", "opry")
    assert not agree("Opry", "Hee Haw")
