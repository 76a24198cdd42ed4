import pytest

from steper_ray.backends.interfaces import LanguageModel, Request
from steper_ray.backends.replay import ReplayModel
from steper_ray.core.types import FailureKind, Prompt, Usage
from steper_ray.errors import BackendError


def ask(question_id: str, step: int) -> Request:
    return Request(Prompt(()), (1, 2, 3), max_tokens=8, question_id=question_id, step=step)


async def test_each_step_gets_the_rationale_recorded_for_it() -> None:
    model: LanguageModel = ReplayModel({"q": ("first", "second"), "r": ("other",)})
    assert [(await model.complete(ask("q", step))).text for step in (2, 1)] == ["second", "first"]
    assert (await model.complete(ask("r", 1))).usage == Usage()


async def test_usage_is_the_one_given() -> None:
    usage = Usage(prompt_tokens=3, completion_tokens=2)
    assert (await ReplayModel({"q": ("first",)}, usage).complete(ask("q", 1))).usage == usage


@pytest.mark.parametrize(("question_id", "step"), [("unknown", 1), ("q", 2), ("q", 0)])
async def test_a_step_without_recording_fails_for_good(question_id: str, step: int) -> None:
    with pytest.raises(BackendError, match=question_id) as caught:
        await ReplayModel({"q": ("first",)}).complete(ask(question_id, step))
    assert caught.value.kind == FailureKind.NO_RECORDING
    assert not FailureKind(caught.value.kind).transient
