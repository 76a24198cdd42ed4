"""The words for questions that a run could not finish."""

from pathlib import Path

from steper_ray.drive.unfinished import failures_told, incomplete, nothing_finished


def test_failures_are_told_by_kind_and_none_as_none() -> None:
    assert failures_told({"timeout": 1, "endpoint": 1200}) == "1,200 endpoint, 1 timeout"
    assert failures_told({}) == "none"


def test_a_run_without_any_trajectory_says_of_what_its_questions_failed_and_where_to_look() -> None:
    told = nothing_finished({"failed": {"timeout": 3}}, Path("runs/x/failures"))
    assert told == (
        "no question could be finished; failed: 3 timeout; the reasons stand in runs/x/failures. "
        "Mend what they name and run the same command again"
    )


def test_the_last_line_counts_what_another_run_may_finish() -> None:
    numbers = {"asked": 5000, "failed": {"engine": 1000, "timeout": 34, "refused": 7}, "not_started": 0}
    assert incomplete(numbers) == (
        "INCOMPLETE: of 5,000, 1,034 failed for a transient reason (1,000 engine, 34 timeout); "
        "the same command tries them again"
    )
    assert "(1,000 engine, 34 timeout) and 12 not started; the same" in incomplete({**numbers, "not_started": 12})
    assert incomplete({"asked": 50, "failed": {}, "not_started": 12}).startswith("INCOMPLETE: of 50, 12 not started;")


def test_what_failed_for_good_leaves_a_run_complete() -> None:
    assert incomplete({"asked": 50, "failed": {"prompt_too_long": 3, "refused": 1}, "not_started": 0}) == ""
