"""Which paths of a question are kept, and the reason for each that is not."""

from collections.abc import Sequence
from itertools import permutations

import pytest

from steper_ray.core.selection import Candidate, Correctness, SelectionRules, candidate_of, choose
from steper_ray.core.types import DropReason, StopReason

GOLD, VOTE = SelectionRules(), SelectionRules(Correctness.MAJORITY)


def path(
    number: int,
    *rationales: str,
    answer: str = "Hee Haw",
    golds: Sequence[str] = ("Hee Haw",),
    stop: StopReason = StopReason.ANSWERED,
) -> Candidate:
    return candidate_of(number, stop, answer, golds, rationales or (f"Fact {number}.", f"So the answer is: {answer}."))


def reasons(candidates: Sequence[Candidate], rules: SelectionRules = GOLD) -> list[DropReason | None]:
    return list(choose(candidates, rules).reasons.values())


@pytest.mark.parametrize("stop", [StopReason.STEP_LIMIT, StopReason.EMPTY_ANSWER, StopReason.FORCED_ANSWER])
@pytest.mark.parametrize("rules", [GOLD, VOTE])
def test_only_a_path_that_answered_by_itself_is_kept(stop: StopReason, rules: SelectionRules) -> None:
    assert reasons([path(0, stop=stop)], rules) == [DropReason.NO_ANSWER]


def test_an_alias_is_right_and_another_answer_is_wrong() -> None:
    assert reasons([path(0, answer="the show", golds=("Hee Haw", "The show"))]) == [None]
    assert reasons([path(0, answer="Opry")]) == [DropReason.WRONG_ANSWER]


def test_a_question_without_gold_answers_gives_no_samples_by_gold() -> None:
    assert reasons([path(0, golds=())]) == [DropReason.WRONG_ANSWER]


def test_a_step_without_text_drops_its_path() -> None:
    assert reasons([path(0, "", "So the answer is: Hee Haw.")]) == [DropReason.EMPTY_RATIONALE]


def test_paths_that_differ_in_the_wording_of_the_answer_alone_are_duplicates() -> None:
    one = path(0, "One.", "So the answer is: Hee Haw.")
    other = path(1, "One.", "So the answer is: the Hee Haw", answer="the Hee Haw")
    assert reasons([one, other, path(2, "Two.", "So the answer is: Hee Haw.")]) == [
        None,
        DropReason.DUPLICATE_PATH,
        None,
    ]


def test_a_wrong_path_is_wrong_even_when_it_repeats_a_kept_one() -> None:
    one = path(0, "One.", "So the answer is: Hee Haw.")
    other = path(1, "One.", "So the answer is: Opry.", answer="Opry")
    assert reasons([one, other]) == [None, DropReason.WRONG_ANSWER]


def test_the_lowest_path_numbers_are_kept_in_whatever_order_they_come() -> None:
    paths = [path(0, answer="Opry"), path(1), path(2), path(3)]
    wanted = {0: DropReason.WRONG_ANSWER, 1: None, 2: None, 3: DropReason.SURPLUS_PATH}
    for order in permutations(paths):
        assert choose(order, SelectionRules(keep_paths=2)).reasons == wanted


def test_a_duplicate_takes_no_place() -> None:
    same = ("One.", "So the answer is: Hee Haw.")
    assert reasons([path(0, *same), path(1, *same), path(2)], SelectionRules(keep_paths=2)) == [
        None,
        DropReason.DUPLICATE_PATH,
        None,
    ]


def test_a_path_stays_whole_under_a_cap_of_samples_and_a_shorter_one_may_still_fit() -> None:
    paths = [path(0, "a", "b", "So the answer is: Hee Haw."), path(1, "c", "d", "So the answer is: Hee Haw."), path(2)]
    assert reasons(paths, SelectionRules(per_question=5)) == [None, DropReason.QUESTION_FULL, None]
    assert reasons(paths, SelectionRules(per_question=1)) == [DropReason.QUESTION_FULL] * 3


def test_the_majority_decides_and_gold_has_no_say() -> None:
    paths = [path(0, answer="Opry"), path(1), path(2, answer="the Opry"), path(3, answer="Opry")]
    choice = choose(paths, VOTE)
    assert choice.answer == "Opry"
    assert choice.reasons == {0: None, 1: DropReason.WRONG_ANSWER, 2: None, 3: None}


def test_paths_that_did_not_answer_have_no_vote() -> None:
    unanswered = [path(n, answer="Opry", stop=StopReason.STEP_LIMIT) for n in (0, 1)]
    choice = choose([*unanswered, path(2), path(3)], VOTE)
    assert choice.answer == "Hee Haw"
    assert list(choice.reasons.values()) == [DropReason.NO_ANSWER, DropReason.NO_ANSWER, None, None]


def test_without_a_majority_every_answered_path_says_so() -> None:
    assert reasons([path(0), path(1, answer="Opry"), path(2, answer="x")], VOTE) == [DropReason.NO_MAJORITY] * 3
    assert reasons([path(0), path(1, answer="Opry")], VOTE) == [DropReason.NO_MAJORITY] * 2


def test_equal_paths_vote_each_and_are_kept_once() -> None:
    same = ("One.", "So the answer is: Hee Haw.")
    assert reasons([path(0, *same), path(1, *same), path(2, answer="Opry")], VOTE) == [
        None,
        DropReason.DUPLICATE_PATH,
        DropReason.WRONG_ANSWER,
    ]
