from steper_ray.core.identity import content_id
from steper_ray.core.recall import Recall, mean_recall, passages_shown, recall, recall_by_step
from steper_ray.core.types import Passage, Question, Step, StopReason, Trajectory


def test_one_of_two_gold_passages_is_any_but_not_all() -> None:
    assert recall({"a", "x"}, {"a", "b"}) == Recall(any=1.0, all=0.0, fraction=0.5)


def test_nothing_found_is_zero_throughout() -> None:
    assert recall(set(), {"a"}) == Recall(0.0, 0.0, 0.0)


def test_the_mean_is_taken_value_by_value() -> None:
    assert mean_recall([Recall(1.0, 0.0, 0.5), Recall(1.0, 1.0, 1.0)]) == Recall(1.0, 0.5, 0.75)


def test_recall_grows_over_the_steps_and_stays_after_the_end() -> None:
    found = _trajectory(Question("q", "?", gold_titles=("Alpha", "Beta")), ["1"], ["1", "2"])
    values = recall_by_step(found, _shown(Alpha="1", Beta="2"), steps=4)
    assert [value.fraction for value in values] == [0.5, 1.0, 1.0, 1.0]
    assert [value.all for value in values] == [0.0, 1.0, 1.0, 1.0]


def test_gold_ids_go_before_gold_titles() -> None:
    found = _trajectory(Question("q", "?", gold_titles=("Alpha",), gold_ids=("2",)), ["1"])
    assert recall_by_step(found, _shown(Alpha="1"), steps=1) == [Recall(0.0, 0.0, 0.0)]


def test_titles_are_compared_with_their_white_space_squeezed() -> None:
    found = _trajectory(Question("q", "?", gold_titles=("Hee  Haw ",)), ["1"])
    assert recall_by_step(found, {"1": Passage("1", " Hee\nHaw", "t")}, steps=1) == [Recall(1.0, 1.0, 1.0)]


def test_a_question_without_gold_passages_has_no_recall() -> None:
    assert recall_by_step(_trajectory(Question("q", "?"), ["1"]), {}, steps=3) == []


def test_a_retrieved_passage_that_was_not_shown_counts() -> None:
    question = Question("q", "?", gold_ids=("9",))
    step = Step("?", retrieved=("1", "9"), passages=(Passage("1", "Alpha", "a"),), left_out=1)
    assert recall_by_step(Trajectory(question, steps=(step,)), {}, steps=1) == [Recall(1.0, 1.0, 1.0)]


def test_a_gold_id_may_be_the_passages_content_whatever_the_corpus_calls_it() -> None:
    gold = content_id("Alpha", "Alpha is  a letter.")
    found = _trajectory(Question("q", "?", gold_titles=("Alpha",), gold_ids=(gold,)), ["7"], ["8"])
    shown = {"7": Passage("7", "Alpha", "Another text."), "8": Passage("8", "Alpha", "Alpha is a letter.")}
    assert [value.all for value in recall_by_step(found, shown, steps=2)] == [0.0, 1.0]
    assert recall_by_step(_trajectory(found.question, [gold]), {}, steps=1) == [Recall(1.0, 1.0, 1.0)]


def test_the_shown_passages_are_those_of_all_trajectories() -> None:
    alpha, beta = Passage("1", "Alpha", "a"), Passage("2", "Beta", "b")
    trajectories = [Trajectory(Question("q", "?"), steps=(Step("?", (p.id,), (p,)),)) for p in (alpha, beta)]
    assert passages_shown(trajectories) == {"1": alpha, "2": beta}


def _shown(**ids: str) -> dict[str, Passage]:
    return {id: Passage(id, title, f"About {title}.") for title, id in ids.items()}


def _trajectory(question: Question, *retrieved: list[str]) -> Trajectory:
    steps = tuple(Step("query", tuple(ids), ()) for ids in retrieved)
    return Trajectory(question, steps=steps, stop=StopReason.ANSWERED)
