import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steper_ray.core.loop import (
    Finish,
    LoopState,
    Retrieve,
    Write,
    begin,
    fit_passages,
    fold_passages,
    fold_rationale,
    next_action,
    query,
    read_rationale,
)
from steper_ray.core.prompts import MARKER
from steper_ray.core.types import (
    Layout,
    LoopSettings,
    Passage,
    Prompt,
    QueryForm,
    Question,
    Step,
    StopReason,
    Strategy,
    Target,
    Trajectory,
    Usage,
)

# A busy machine is no reason to fail.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

TOLD = json.loads((Path(__file__).parent / "golden" / "hee_haw.json").read_text(encoding="utf-8"))
CORPUS = {key: Passage(key, title, text) for key, (title, text) in TOLD["corpus"].items()}
HEE_HAW = Question(TOLD["id"], TOLD["question"], tuple(TOLD["golden_answers"]))

STEP = LoopSettings()
CUMULATIVE = LoopSettings(layout=Layout.APPENDED, target=Target.CUMULATIVE)
SELF_ASK = LoopSettings(strategy=Strategy.SELF_ASK)


@dataclass
class Drive:
    """What a run of the loop asked for and where it ended."""

    queries: list[str]
    writes: list[Write]
    trajectory: Trajectory

    @property
    def shown(self) -> list[list[str]]:
        return [[passage.id for passage in step.passages] for step in self.trajectory.steps]


def drive(
    completions: Sequence[str],
    how: LoopSettings = STEP,
    search: Callable[[str], Sequence[Passage]] | Sequence[Sequence[Passage]] = (),
    question: Question = HEE_HAW,
    force_answer: bool = False,
    cut: Sequence[int] = (),
) -> Drive:
    """The simplest driver: scripted completions, those of `cut` cut off; searches by query or in order."""
    state, queries, writes = begin(question), [], []
    while True:
        match next_action(state, how, force_answer=force_answer):
            case Retrieve(text):
                found = search(text) if callable(search) else search[len(queries)] if len(queries) < len(search) else ()
                queries.append(text)
                state = fold_passages(state, found, how)
            case Write() as write:
                usage, ended = Usage(len(writes) + 1), len(writes) in cut
                state = fold_rationale(state, completions[len(writes)], usage, how, cut=ended)
                writes.append(write)
            case Finish(trajectory):
                return Drive(queries, writes, trajectory)


def passages(*ids: str) -> list[Passage]:
    return [Passage(key, key, f"text of {key}") for key in ids]


def hee_haw_search(text: str) -> list[Passage]:
    return next([CORPUS[key] for key in step["retrieved"]] for step in TOLD["steps"] if step["query"] == text)


def test_the_running_example_reaches_hee_haw_in_three_steps():
    run = drive([step["rationale"] for step in TOLD["steps"]], search=hee_haw_search)
    assert run.queries == [step["query"] for step in TOLD["steps"]]
    assert run.trajectory.answer == "Hee Haw, the show"
    assert run.trajectory.stop is StopReason.ANSWERED
    assert run.shown == [["halsey", "nashville"], ["clark", "heehaw"], []]
    assert run.trajectory.steps[1].retrieved == ("clark", "halsey", "heehaw")
    assert [step.usage.prompt_tokens for step in run.trajectory.steps] == [1, 2, 3]


def test_nothing_is_written_before_the_first_retrieval_with_the_question():
    assert next_action(begin(Question("q", "  Who\n hosted it? ")), STEP) == Retrieve("Who hosted it?")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (STEP, ["Q?", "Q? One fact.", "Q? Two facts."]),
        (replace(STEP, query_form=QueryForm.RATIONALE), ["Q?", "One fact.", "Two facts."]),
    ],
)
def test_later_queries_use_the_last_rationale_alone_or_behind_the_question(how, expected):
    run = drive(["One fact.", "Two facts.", "So the answer is: x."], how, question=Question("q", "Q?"))
    assert run.queries == expected


@pytest.mark.parametrize("form", QueryForm)
def test_an_empty_rationale_leaves_the_question_as_the_query(form):
    how = replace(STEP, query_form=form, step_limit=2)
    assert drive(["", ""], how, question=Question("q", "Q?")).queries == ["Q?", "Q?"]


def test_self_ask_searches_with_the_follow_up_question_alone():
    run = drive(
        [
            "Follow up: Whose career did Jim Halsey guide?",
            "Intermediate answer: Roy Clark. follow up:  Which show did he host? ",
            "Intermediate answer: Hee Haw. So the answer is: Hee Haw.",
        ],
        SELF_ASK,
    )
    assert run.queries == [HEE_HAW.text, "Whose career did Jim Halsey guide?", "Which show did he host?"]
    assert run.trajectory.answer == "Hee Haw"


@pytest.mark.parametrize("rationale", ["Intermediate answer: Roy Clark.", "Follow up:"])
def test_self_ask_without_a_follow_up_searches_as_the_query_form_says(rationale):
    trajectory = Trajectory(Question("q", "Q?"), steps=(Step("Q?", (), (), rationale),))
    assert query(trajectory, SELF_ASK) == f"Q? {rationale}"


def test_a_follow_up_is_only_a_query_in_self_ask():
    trajectory = Trajectory(Question("q", "Q?"), steps=(Step("Q?", (), (), "Follow up: x?"),))
    assert query(trajectory, STEP) == "Q? Follow up: x?"


def test_passages_already_shown_are_left_out_without_backfill_and_retrieved_keeps_all():
    found = [passages("b", "a"), passages("c", "a", "d"), passages("a", "b", "c", "d")]
    run = drive(["one", "two", "So the answer is: x"], search=found)
    assert run.shown == [["b", "a"], ["c", "d"], []]
    assert [step.retrieved for step in run.trajectory.steps] == [("b", "a"), ("c", "a", "d"), ("a", "b", "c", "d")]


def test_a_passage_found_twice_at_once_is_shown_once():
    run = drive(["So the answer is: x"], search=[passages("a", "b", "a")])
    assert run.shown == [["a", "b"]]
    assert run.trajectory.steps[0].retrieved == ("a", "b", "a")


def test_at_the_cap_no_more_passages_are_shown_and_none_is_evicted():
    how = replace(STEP, passages_cap=3)
    found = [passages("a", "b"), passages("c", "d"), passages("e")]
    run = drive(["one", "two", "So the answer is: x"], how, search=found)
    assert run.shown == [["a", "b"], ["c"], []]
    assert run.trajectory.steps[2].retrieved == ("e",)


def test_the_step_limit_ends_a_trajectory_without_an_answer():
    run = drive(["fact"] * 2, replace(STEP, step_limit=2))
    assert run.trajectory.stop is StopReason.STEP_LIMIT
    assert (len(run.trajectory.steps), run.trajectory.answer) == (2, "")


def test_an_answer_in_the_last_allowed_step_counts():
    run = drive(["fact", "So the answer is: x."], replace(STEP, step_limit=2))
    assert (run.trajectory.stop, run.trajectory.answer) == (StopReason.ANSWERED, "x")


@pytest.mark.parametrize(
    "rationale", ["So the answer is:", "It is clear. So the answer is: .", "So the answer is:   \nx"]
)
def test_a_marker_without_text_on_its_line_is_an_empty_answer(rationale):
    run = drive([rationale])
    assert (run.trajectory.stop, run.trajectory.answer) == (StopReason.EMPTY_ANSWER, "")


def test_a_marker_in_mid_line_answers_with_the_rest_of_the_line():
    run = drive(["Clark hosted Hee Haw. so THE answer is: Hee Haw."])
    assert (run.trajectory.stop, run.trajectory.answer) == (StopReason.ANSWERED, "Hee Haw")
    assert run.trajectory.steps[0].rationale == "Clark hosted Hee Haw. so THE answer is: Hee Haw."


def test_a_marker_only_last_step_retrieves_like_the_others():
    run = drive(["fact", "So the answer is: x."], search=[passages("a"), passages("b")])
    assert run.shown == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("text", "how", "rationale"),
    [
        (" \n\n A  fact.\t\nMore", STEP, "A fact."),
        ("A fact.\nSo the answer is: x", STEP, "A fact."),
        ("So the answer is: x.\nSo the answer is: y.", STEP, "So the answer is: x."),
        ("One.\n Two.  \n\n", CUMULATIVE, "Two."),
        ("One.\nSo the answer is: x.\nQuestion: another?", CUMULATIVE, "So the answer is: x."),
        ("One.\r\nTwo.", CUMULATIVE, "Two."),
        (" \n ", STEP, ""),
        ("", CUMULATIVE, ""),
    ],
)
def test_a_rationale_is_one_squeezed_line(text, how, rationale):
    assert read_rationale(text, how) == rationale


@CALM
@given(st.text(), st.sampled_from([STEP, CUMULATIVE]))
def test_a_rationale_never_holds_a_line_break_and_reads_as_itself(text, how):
    rationale = read_rationale(text, how)
    assert len(rationale.splitlines()) <= 1
    assert read_rationale(rationale, how) == rationale


def test_a_cumulative_output_replaces_the_reasoning_and_its_last_line_is_the_rationale():
    run = drive(["One.", "One, said anew.\nTwo.", "One.\nTwo.\nSo the answer is: x."], CUMULATIVE)
    assert [step.rationale for step in run.trajectory.steps] == ["One.", "Two.", "So the answer is: x."]
    assert run.queries[1:] == [f"{HEE_HAW.text} One.", f"{HEE_HAW.text} Two."]


def test_a_step_stops_at_a_newline_and_a_cumulative_one_has_room_for_all_its_lines():
    completions = ["One.", "Two.", "So the answer is: x."]
    assert [(w.step, w.max_tokens, w.stop) for w in drive(completions).writes] == [(n, 128, ("\n",)) for n in (1, 2, 3)]
    writes = drive(completions, CUMULATIVE).writes
    assert [(w.step, w.max_tokens, w.stop) for w in writes] == [(n, 640, ()) for n in (1, 2, 3)]


def test_a_student_that_writes_the_whole_chain_at_step_1_keeps_its_whole_answer():
    how = replace(CUMULATIVE, rationale_tokens=48, step_limit=5)
    lines = [f"Fact {number} says where the next of them was born." for number in range(1, 5)]
    run = drive(["\n".join([*lines, "So the answer is: Roy Linwood Clark of Meherrin."])], how)
    # Some 60 tokens, which one rationale's 48 would not hold.
    assert run.writes[0].max_tokens == 240
    assert (run.trajectory.answer, run.trajectory.stop) == ("Roy Linwood Clark of Meherrin", StopReason.ANSWERED)
    assert len(run.trajectory.steps) == 1


@pytest.mark.parametrize(
    ("written", "how", "rationale"),
    [
        ("A fact. So the answer is: Roy", STEP, "A fact."),
        ("A fact, told at len", STEP, "A fact, told at len"),
        ("One.\nTwo.\nSo the answer is: Roy", CUMULATIVE, "Two."),
        ("One.\nTwo. So the answer is: Roy", CUMULATIVE, "Two."),
        ("One.\nTwo, told at len", CUMULATIVE, "One."),
        ("One.\nTwo.\n", CUMULATIVE, "Two."),
        ("One, told at len", CUMULATIVE, "One, told at len"),
        ("", CUMULATIVE, ""),
    ],
)
def test_what_the_token_limit_cut_off_is_no_answer_and_the_loop_goes_on(written, how, rationale):
    run = drive([written, "So the answer is: Roy Clark."], how, cut=[0])
    assert [step.rationale for step in run.trajectory.steps] == [rationale, "So the answer is: Roy Clark."]
    assert run.trajectory.answer == "Roy Clark"


@pytest.mark.parametrize(
    ("written", "how", "answer"),
    [
        ("One.\nSo the answer is: Roy Clark.\nAnd so on and", CUMULATIVE, "Roy Clark"),
        ("One.\nSo the answer is: Roy Clark.\n", CUMULATIVE, "Roy Clark"),
        ("So the answer is: Roy Clark, who was a", STEP, "Roy Clark, who was a"),
    ],
)
def test_an_answer_whose_line_is_whole_counts_and_so_does_one_that_had_all_the_room(written, how, answer):
    run = drive([written], how, cut=[0])
    assert (run.trajectory.answer, run.trajectory.stop) == (answer, StopReason.ANSWERED)


def test_a_cut_answer_at_the_step_limit_leaves_none_unless_one_is_forced():
    how = replace(CUMULATIVE, step_limit=1)
    written = ["One.\nSo the answer is: Roy", " Roy Clark, who"]
    assert drive(written, how, cut=[0]).trajectory.stop is StopReason.STEP_LIMIT
    forced = drive(written, how, cut=[0, 1], force_answer=True)
    assert (forced.trajectory.answer, forced.trajectory.stop) == ("Roy Clark, who", StopReason.FORCED_ANSWER)
    assert forced.writes[1].prompt.continuation == f"One.\n{MARKER}"


@pytest.mark.parametrize("how", [STEP, CUMULATIVE, replace(STEP, layout=Layout.APPENDED)])
def test_a_forced_answer_is_one_more_completion_that_continues_the_marker(how):
    run = drive(["One.", "Two.", " Hee  Haw.\nOr not."], replace(how, step_limit=2), force_answer=True)
    assert run.trajectory.stop is StopReason.FORCED_ANSWER
    assert run.trajectory.answer == "Hee Haw"
    assert run.trajectory.steps[-1] == Step("", (), (), "So the answer is: Hee Haw.", usage=Usage(3))
    assert len(run.queries) == 2
    assert [bool(write.prompt.continuation) for write in run.writes] == [False, False, True]
    assert run.writes[-1].prompt.continuation.endswith(MARKER)
    assert (run.writes[-1].max_tokens, run.writes[-1].stop) == (128, ("\n",))
    assert run.writes[-1].step == 3


def test_a_forced_answer_without_text_is_an_empty_answer_and_is_not_tried_again():
    run = drive(["One.", "\nHee Haw"], replace(STEP, step_limit=1), force_answer=True)
    assert run.trajectory.stop is StopReason.EMPTY_ANSWER
    assert len(run.writes) == 2


def test_an_answered_trajectory_is_not_forced():
    run = drive(["So the answer is: x"], replace(STEP, step_limit=1), force_answer=True)
    assert (run.trajectory.stop, len(run.writes)) == (StopReason.ANSWERED, 1)


def characters(limit: int) -> Callable[[Prompt], bool]:
    return lambda prompt: sum(len(message.content) for message in prompt.messages) <= limit


def under_way(*ids: str) -> LoopState:
    return fold_passages(begin(Question("q", "Q?")), passages(*ids), STEP)


def size_with(*ids: str) -> int:
    action = next_action(under_way(*ids), STEP)
    assert isinstance(action, Write)
    return sum(len(message.content) for message in action.prompt.messages)


def test_fitting_leaves_out_the_lowest_ranked_new_passages_and_counts_them():
    fitted = fit_passages(under_way("a", "b", "c", "d"), STEP, characters(size_with("a", "b")))
    assert fitted is not None
    assert [passage.id for passage in fitted.pending.passages] == ["a", "b"]
    assert fitted.pending.left_out == 2
    assert fitted.pending.retrieved == ("a", "b", "c", "d")


def test_fitting_never_touches_passages_of_earlier_steps():
    state = fold_rationale(under_way("a", "b"), "A fact.", Usage(), STEP)
    state = fold_passages(state, passages("c", "d"), STEP)
    fitted = fit_passages(state, STEP, lambda prompt: "text of d" not in prompt.messages[-1].content)
    assert [passage.id for passage in fitted.pending.passages] == ["c"]
    assert fitted.trajectory == state.trajectory


def test_what_fits_is_left_alone():
    state = under_way("a", "b")
    assert fit_passages(state, STEP, characters(size_with("a", "b"))) == state


def test_fitting_again_keeps_the_count():
    fits = characters(size_with("a"))
    once = fit_passages(under_way("a", "b", "c"), STEP, fits)
    assert fit_passages(once, STEP, fits) == once


def test_a_prompt_too_long_without_new_passages_does_not_fit():
    assert fit_passages(under_way("a"), STEP, lambda prompt: False) is None


def test_a_passage_left_out_for_length_may_be_shown_when_found_again():
    fitted = fit_passages(under_way("a", "b"), STEP, characters(size_with("a")))
    state = fold_rationale(fitted, "A fact.", Usage(), STEP)
    state = fold_passages(state, passages("a", "b"), STEP)
    assert [passage.id for passage in state.pending.passages] == ["b"]


FOUND = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=4), min_size=1, max_size=5)


@CALM
@given(FOUND, st.integers(min_value=1, max_value=6))
def test_any_run_shows_each_passage_once_in_the_order_found_and_at_most_the_cap(found, cap):
    how = replace(STEP, passages_cap=cap, step_limit=len(found))
    run = drive(["fact"] * len(found), how, search=[passages(*ids) for ids in found])
    shown = [key for step in run.shown for key in step]
    first_seen = list(dict.fromkeys(key for ids in found for key in ids))
    assert shown == first_seen[:cap]
    assert [list(step.retrieved) for step in run.trajectory.steps] == found


@CALM
@given(FOUND)
def test_in_turns_every_prompt_continues_the_one_before(found):
    how = replace(STEP, step_limit=len(found))
    run = drive([f"fact {n}" for n in range(len(found))], how, search=[passages(*ids) for ids in found])
    for place, (earlier, later) in enumerate(zip(run.writes, run.writes[1:], strict=False)):
        messages = later.prompt.messages
        assert messages[: len(earlier.prompt.messages)] == earlier.prompt.messages
        assert messages[-2].content == f"fact {place}"
        assert len(messages) == 2 * (place + 2) - 1
