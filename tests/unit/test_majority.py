"""The majority answer."""

import pytest

from steper_ray.core.majority import agree, majority_answer, plurality


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


@pytest.mark.parametrize(
    ("answers", "place"),
    [
        (["Opry", "Hee Haw", "hee haw!"], 1),
        (["Opry", "Hee Haw", "the Opry", "hee haw"], 0),  # a tie: the earliest
        (["Hee Haw", "Opry", "the Opry", "hee haw"], 0),
        (["a", "b", "c"], 0),
        (["", "", "Opry"], 2),  # no answer has no vote
        (["", ""], 0),
        (["!!!", "???", "???"], 1),
        (["Opry"], 0),
    ],
)
def test_the_answer_taken_is_the_first_of_the_most_frequent(answers: list[str], place: int) -> None:
    assert plurality(answers) == place
