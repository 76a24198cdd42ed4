import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steper_ray.core.loop import (
    Finish,
    Retrieve,
    Write,
    begin,
    fit_passages,
    fold_passages,
    fold_rationale,
    next_action,
)
from steper_ray.core.samples import reasoning, samples_of, stage_of
from steper_ray.core.types import (
    STAGES,
    Layout,
    LoopSettings,
    Passage,
    Prompt,
    Question,
    Stage,
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

FORMS = {
    "turns-step": LoopSettings(layout=Layout.TURNS),
    "appended-step": LoopSettings(layout=Layout.APPENDED),
    "appended-cumulative": LoopSettings(layout=Layout.APPENDED, target=Target.CUMULATIVE),
    "self-ask": LoopSettings(strategy=Strategy.SELF_ASK),
}
FIRST, SECOND, LAST = (
    "Jim Halsey guided the career of Roy Clark.",
    "Roy Clark hosted the country variety show Hee Haw.",
    "So the answer is: Hee Haw, the show.",
)


def drive(
    question: Question,
    found: Sequence[Sequence[Passage]],
    rationales: Sequence[str],
    how: LoopSettings,
    most_characters: int = 10**9,
) -> tuple[Trajectory, list[Prompt]]:
    """The loop with scripted passages and rationales: the trajectory, and the prompt that was sent in each step."""
    state, prompts = begin(question), []
    while True:
        match next_action(state, how):
            case Retrieve():
                state = fold_passages(state, found[len(prompts)], how)
                fitted = fit_passages(state, how, lambda p: len(p.messages[-1].content) <= most_characters)
                state = fitted or state
            case Write(prompt):
                prompts.append(prompt)
                finished = [*rationales[: len(prompts) - 1]] if how.target is Target.CUMULATIVE else []
                state = fold_rationale(state, "\n".join([*finished, rationales[len(prompts) - 1]]), Usage(), how)
            case Finish(trajectory):
                return trajectory, prompts


def hee_haw(how: LoopSettings) -> tuple[Trajectory, list[Prompt]]:
    found = [[CORPUS[key] for key in step["retrieved"]] for step in TOLD["steps"]]
    return drive(HEE_HAW, found, [step["rationale"] for step in TOLD["steps"]], how)


def answered(*rationales: str, golds: tuple[str, ...] = ("Hee Haw",), stop=StopReason.ANSWERED, answer="Hee Haw"):
    steps = tuple(Step("q", (str(n),), (Passage(str(n), "T", "t"),), line) for n, line in enumerate(rationales))
    return Trajectory(Question("q", "Q?", golds), 0, steps, answer, stop)


WORDS = st.text(alphabet="ab :.\n<|>é", min_size=1, max_size=12).map(lambda text: f"x{text}")
KEYS = st.lists(st.sampled_from("abcdef"), max_size=4)


@pytest.mark.parametrize("how", FORMS.values(), ids=FORMS)
@CALM
@given(st.lists(st.tuples(KEYS, WORDS), min_size=1, max_size=5), st.sampled_from([10**9, 420]))
def test_the_samples_prompt_at_a_step_is_the_loops_prompt_at_that_step(how, course, most):
    found = [[Passage(key, key * 3, f"text of {key} " * 4) for key in keys] for keys, _ in course]
    lines = [" ".join(line.split()) for _, line in course[:-1]] + ["So the answer is: yes."]
    trajectory, prompts = drive(Question("q", "Is it?", ("yes",)), found, lines, how, most)
    samples = samples_of(trajectory, how)
    assert [sample.prompt for sample in samples] == prompts
    assert len(samples) == len(course)


@pytest.mark.parametrize("how", FORMS.values(), ids=FORMS)
def test_the_running_example_gives_one_sample_of_each_stage(how):
    trajectory, prompts = hee_haw(how)
    samples = samples_of(trajectory, how)
    assert [sample.stage for sample in samples] == list(STAGES)
    assert [sample.prompt for sample in samples] == prompts
    assert [sample.id for sample in samples] == ["jim-halsey#0#1", "jim-halsey#0#2", "jim-halsey#0#3"]
    assert {sample.golden_answer for sample in samples} == {"Hee Haw"}
    assert [sample.passage_ids for sample in samples] == [
        ("halsey", "nashville"),
        ("halsey", "nashville", "clark", "heehaw"),
        ("halsey", "nashville", "clark", "heehaw"),
    ]


@pytest.mark.parametrize("name", ["turns-step", "appended-step"])
def test_step_targets_are_single_rationales_and_gold_replaces_the_teachers_answer(name):
    trajectory, _ = hee_haw(FORMS[name])
    assert [sample.target for sample in samples_of(trajectory, FORMS[name])] == [
        FIRST,
        SECOND,
        "So the answer is: Hee Haw.",
    ]


def test_cumulative_targets_are_all_rationales_so_far_one_per_line():
    trajectory, _ = hee_haw(FORMS["appended-cumulative"])
    assert [sample.target for sample in samples_of(trajectory, FORMS["appended-cumulative"])] == [
        FIRST,
        f"{FIRST}\n{SECOND}",
        f"{FIRST}\n{SECOND}\nSo the answer is: Hee Haw.",
    ]


def test_gold_is_no_part_of_any_prompt():
    trajectory = answered("One.", "Two.", "So the answer is: hee haw!", golds=("GOLDEN HEE HAW",))
    for how in FORMS.values():
        assert "GOLDEN" not in "".join(m.content for s in samples_of(trajectory, how) for m in s.prompt.messages)


def test_an_answer_in_the_first_step_gives_an_aggregation_sample_only():
    samples = samples_of(answered("Clark hosted it. So the answer is: Hee Haw."), FORMS["turns-step"])
    assert [(sample.stage, sample.step) for sample in samples] == [(Stage.AGGREGATION, 1)]
    assert samples[0].target == "Clark hosted it. So the answer is: Hee Haw."


def test_two_steps_initialise_and_aggregate_without_expansion():
    assert [stage_of(s, 2) for s in (1, 2)] == [Stage.INITIALIZATION, Stage.AGGREGATION]


def test_all_steps_between_first_and_last_expand():
    assert [stage_of(s, 5) for s in range(1, 6)] == [STAGES[0], STAGES[1], STAGES[1], STAGES[1], STAGES[2]]


def test_the_first_gold_answer_is_written_not_an_alias():
    trajectory = answered("So the answer is: the show.", golds=("Hee Haw", "The show"), answer="the show")
    assert samples_of(trajectory, FORMS["turns-step"])[0].target == "So the answer is: Hee Haw."


def test_what_stands_before_the_marker_is_kept_when_gold_replaces_the_answer():
    trajectory = answered("It is the show. So the answer is: that. So the answer is: this.")
    assert samples_of(trajectory, FORMS["turns-step"])[0].target == "It is the show. So the answer is: Hee Haw."


def test_a_target_is_one_line_even_if_the_gold_answer_is_not():
    trajectory = answered("So the answer is: Hee Haw.", golds=(" Hee\n Haw ",))
    assert samples_of(trajectory, FORMS["turns-step"])[0].target == "So the answer is: Hee Haw."


@pytest.mark.parametrize("stop", [StopReason.STEP_LIMIT, StopReason.EMPTY_ANSWER, StopReason.FORCED_ANSWER, None])
def test_only_a_trajectory_that_answered_by_itself_gives_samples(stop):
    trajectory = answered("So the answer is: Hee Haw.", stop=stop)
    with pytest.raises(ValueError, match=r"question 'q' has no answer"):
        samples_of(trajectory, FORMS["turns-step"])


def test_an_answer_given_stands_where_the_gold_answer_would():
    (sample,) = samples_of(answered("So the answer is: the show.", golds=()), FORMS["turns-step"], "Hee Haw")
    assert (sample.target, sample.golden_answer) == ("So the answer is: Hee Haw.", "Hee Haw")


def test_paths_that_differ_in_the_wording_of_the_answer_alone_have_the_same_samples():
    one = answered("One.", "So the answer is: Hee Haw.")
    other = answered("One.", "So the answer is: the Hee Haw", answer="the Hee Haw")
    how = FORMS["turns-step"]
    assert samples_of(one, how) == samples_of(other, how)
    lines = [[step.rationale for step in trajectory.steps] for trajectory in (one, other)]
    assert reasoning(lines[0]) == reasoning(lines[1]) == ("One.", "So the answer is: .")
