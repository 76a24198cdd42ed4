"""How far recordings go is told before they are replayed."""

from steper_ray.core.types import Question
from steper_ray.data.recordings import coverage_line

ASKED = [Question(id, "Who?") for id in "abc"]


def test_questions_without_a_recording_are_warned_of() -> None:
    assert coverage_line({"a": ("x",), "b": ("y",)}, ASKED) == (
        "warning: recordings cover 2 of 3 questions; 1 will fail as no_recording"
    )


def test_recordings_without_a_question_are_counted() -> None:
    assert coverage_line(["a", "b", "c", "d"], ASKED) == (
        "note: recordings cover 3 of 3 questions; 1 belongs to no question that is asked"
    )


def test_recordings_of_another_data_set_cover_nothing() -> None:
    assert coverage_line(["x", "y"], ASKED) == (
        "warning: recordings cover 0 of 3 questions; 2 belong to no question that is asked; 3 will fail as no_recording"
    )


def test_recordings_that_fit_say_no_more() -> None:
    assert coverage_line(["a", "b", "c"], ASKED) == "note: recordings cover 3 of 3 questions"
