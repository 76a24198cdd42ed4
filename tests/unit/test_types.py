import pickle
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steper_ray.core.types import (
    STAGE_TERMS,
    STAGES,
    DropReason,
    FailureKind,
    LoopSettings,
    Message,
    Passage,
    Prompt,
    Question,
    Sample,
    Stage,
    Step,
    StopReason,
    Trajectory,
    Usage,
)

# A busy machine is no reason to fail.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

QUESTION = Question("q1", "Who?", ("Roy Clark", "Clark"), kind="bridge", hops=2, gold_titles=("A", "B"))
STEP = Step("Who?", ("p1", "p2"), (Passage("p1", "A", "text", 1.5),), "So the answer is: Roy Clark.", 1, Usage(9, 4, 3))
PROMPT = Prompt((Message("user", "Who?"),), "So the answer is:")


def sample(question_id: str, path: int, step: int) -> Sample:
    return Sample(
        question_id, path, step, Stage.AGGREGATION, PROMPT, "So the answer is: Roy Clark.", "Roy Clark", ("p1",)
    )


@pytest.mark.parametrize(
    "value",
    [
        Trajectory(QUESTION, 1, (STEP,), "Roy Clark", StopReason.ANSWERED),
        sample("q1", 0, 1),
        LoopSettings(),
        DropReason.DUPLICATE_PATH,
        FailureKind.NO_RECORDING,
    ],
)
def test_what_crosses_a_process_comes_back_equal(value):
    assert pickle.loads(pickle.dumps(value)) == value


def test_stage_names_are_those_that_lie_in_sample_files():
    assert [str(stage) for stage in STAGES] == [
        "reasoning_initialization",
        "reasoning_expansion",
        "reasoning_aggregation",
    ]


def test_loss_terms_stand_in_the_order_of_the_stages():
    assert [STAGE_TERMS[stage] for stage in STAGES] == ["init", "exp", "agg"]
    assert set(STAGES) == set(Stage)


def test_only_failures_that_time_can_heal_are_transient():
    assert {kind for kind in FailureKind if kind.transient} == {
        FailureKind.TIMEOUT,
        FailureKind.ENGINE,
        FailureKind.RETRIEVER,
        FailureKind.ENDPOINT,
        FailureKind.UNEXPECTED,
    }


def test_a_sample_id_names_question_path_and_step():
    assert sample("5a8b57f2", 2, 3).id == "5a8b57f2#2#3"


NUMBERS = st.integers(min_value=0, max_value=12)
PLACES = st.tuples(st.text(alphabet="a#01", max_size=5), NUMBERS, NUMBERS)


@CALM
@given(PLACES, PLACES)
def test_two_samples_share_an_id_only_when_they_are_the_same_place(one, other):
    assert (sample(*one).id == sample(*other).id) == (one == other)


@pytest.mark.parametrize("value", [QUESTION, STEP, Trajectory(QUESTION), LoopSettings(), PROMPT])
def test_the_nouns_are_frozen(value):
    name = next(iter(value.__dataclass_fields__))
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, None)


def test_the_loop_defaults_are_the_papers():
    how = LoopSettings()
    assert (how.k, how.step_limit, how.passages_cap, how.rationale_tokens) == (4, 5, 20, 128)
