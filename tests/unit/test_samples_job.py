"""`steper samples` over real Parquet: counts add up, and only samples are ever replaced."""

from pathlib import Path

import pytest

from steper_ray.config import Config, load_config
from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.types import StopReason
from steper_ray.data.schemas import MESSAGES, SAMPLES, TRAJECTORIES, read_rows
from steper_ray.drive.selection import select
from steper_ray.errors import ConfigError, RunFolderError
from steper_ray.generate.samples import samples
from steper_ray.runs import Manifest, write_manifest


def config(generate: Path, *overrides: str) -> Config:
    return load_config(None, [f"generate.folder={generate}", *overrides])


def made(generate: Path, *overrides: str) -> Manifest:
    return samples(config(generate, *overrides))


def rows(generate: Path) -> list[dict[str, object]]:
    return list(read_rows(generate / "samples", SAMPLES))


def test_every_trajectory_is_used_or_dropped_for_a_reason(generation, tell) -> None:
    one = ("One.", "So the answer is: Hee Haw.")
    generate = generation(
        tell("a", *one, path=0),
        tell("b", answer="Opry"),
        tell("c", "So the answer is: Hee Haw."),
        tell("a", *one, path=1),
        tell("a", path=2),
        tell("a", "x", "y", "So the answer is: Hee Haw.", path=3),
        tell("d", stop=StopReason.STEP_LIMIT),
    )
    manifest = made(generate, "samples.keep_paths=2")
    assert manifest.counts == {
        "finished": 7,
        "used": 3,
        "dropped": {"duplicate_path": 1, "no_answer": 1, "surplus_path": 1, "wrong_answer": 1},
        "questions_used": 2,
        "samples": 5,
        "stages": {"reasoning_initialization": 2, "reasoning_expansion": 0, "reasoning_aggregation": 3},
    }
    assert [row["id"] for row in rows(generate)] == ["a#0#1", "a#0#2", "c#0#1", "a#2#1", "a#2#2"]
    # A third of the used trajectories answer at once, and nothing trains expansion.
    assert manifest.facts["one_step_share"] == 0.3333
    assert [warning[:18] for warning in manifest.facts["warnings"]] == ["33% of the traject", "no sample is reaso"]


def test_provenance_is_the_teachers_but_prompts_are_built_now(generation, tell) -> None:
    generate = generation(tell("a"))
    made(generate)
    assert {(row["model"], row["prompt_version"]) for row in rows(generate)} == {("teacher-70b", PROMPT_VERSION)}


def test_paths_of_one_question_may_lie_in_different_parts(generation, tell) -> None:
    generate = generation(*(tell("a", path=path) for path in (2, 1, 0)), per_part=1)
    assert made(generate).counts["dropped"] == {"duplicate_path": 2}
    assert {row["path"] for row in rows(generate)} == {0}


def test_a_majority_stands_where_gold_answers_are_missing(generation, tell) -> None:
    def path(number: int, answer: str):
        return tell("a", f"Fact {number}.", f"So the answer is: {answer}.", answer=answer, golds=(), path=number)

    known = [tell("k", f"Fact {n}.", "So the answer is: Opry.", answer="Opry", path=n) for n in (0, 1, 2)]
    generate = generation(path(0, "the Opry"), path(1, "Opry"), *known, path(2, "Hee Haw"), path(3, "the Opry"))
    manifest = made(generate, "samples.correctness=majority", "generate.paths=4")
    assert manifest.counts["used"] == 6
    assert manifest.counts["dropped"] == {"wrong_answer": 1}
    last = [row for row in rows(generate) if row["question_id"] == "a" and row["step"] == 2]
    assert {(row["target"], row["golden_answer"]) for row in last} == {("So the answer is: the Opry.", "the Opry")}
    # Of k the gold answer is Hee Haw, and its majority says Opry: kept, and told.
    assert manifest.facts["majority"] == {"asked": 2, "decided": 2, "with_gold": 1, "gold": 0}


def test_trajectories_without_gold_answers_are_neither_right_nor_wrong(generation, tell) -> None:
    generate = generation(tell("a", golds=()), tell("b"))
    found = [(row["correct"], row["em"], row["f1"]) for row in read_rows(generate / "trajectories", TRAJECTORIES)]
    assert found == [(None, None, None), (True, 1.0, 1.0)]
    assert made(generate).counts["dropped"] == {"wrong_answer": 1}


def test_a_stage_with_too_great_a_share_loses_whole_trajectories(generation, tell) -> None:
    long = ("a", "b", "So the answer is: Hee Haw.")
    generate = generation(*(tell(f"s{n}", "So the answer is: Hee Haw.") for n in range(8)), tell("l", *long))
    manifest = made(generate, "samples.max_stage_share=0.6")
    # 8 + 1 of 11 samples aggregate; without six one-step trajectories 3 of 5 do.
    assert manifest.counts["dropped"] == {"stage_balance": 6}
    assert manifest.facts["stage_shares"]["reasoning_aggregation"] == 0.6


def test_only_the_questions_of_the_file_are_used_where_one_is_named(generation, tell, tmp_path: Path) -> None:
    questions = tmp_path / "q.jsonl"
    questions.write_text('{"id": "b", "question": "Which?"}\n{"id": "a", "question": "Which?"}\n')
    generate = generation(tell("a"), tell("b"), tell("c"))
    named = f"generate.questions={questions}"
    assert made(generate, named).counts["finished"] == 2
    assert made(generate, named, "generate.limit=1").counts["finished"] == 1
    assert [row["question_id"] for row in rows(generate)] == ["b", "b"]


def test_layout_and_target_of_the_samples_may_be_others_than_the_trajectories(generation, tell) -> None:
    generate = generation(tell("a"))
    manifest = made(generate, "samples.layout=appended", "samples.target=cumulative")
    assert (manifest.facts["loop"]["layout"], manifest.facts["loop"]["target"]) == ("appended", "cumulative")
    assert rows(generate)[-1]["target"] == "Roy Clark hosted it.\nSo the answer is: Hee Haw."


def test_messages_are_one_chat_per_trajectory_whatever_the_layout(generation, tell) -> None:
    generate = generation(tell("a"), tell("b", answer="Opry"))
    made(generate, "samples.messages=true", "samples.layout=appended")
    (chat,) = read_rows(generate / "samples" / "messages", MESSAGES)
    assert (chat["id"], chat["steps"]) == ("a#0", 2)
    assert [message["role"] for message in chat["messages"]] == ["user", "assistant", "user", "assistant"]
    assert [m["content"] for m in chat["messages"]][1::2] == ["Roy Clark hosted it.", "So the answer is: Hee Haw."]


def test_samples_are_replaced_and_anything_else_is_left_alone(generation, tell, tmp_path: Path) -> None:
    generate, other = generation(tell("a"), tell("b")), tmp_path / "mine"
    made(generate)
    made(generate)
    assert len(rows(generate)) == 4
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    with pytest.raises(RunFolderError, match="mine holds something else than samples"):
        made(generate, f"samples.folder={other}")
    write_manifest(other, Manifest("samples", "another", {}))
    with pytest.raises(RunFolderError, match="samples of another generation"):
        made(generate, f"samples.folder={other}")
    assert (other / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("samples.correctness=majority", r"generate\.paths of at least 3, found 1"),
        ("samples.target=cumulative", r"samples\.layout=appended, found turns"),
        ("loop.k=3", r"loop\.k is 3, but the trajectories were made with 4"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(generation, tell, override: str, message: str) -> None:
    generate = generation(tell("a"))
    with pytest.raises(ConfigError, match=message):
        made(generate, override)
    assert not (generate / "samples").exists()


def test_a_folder_without_trajectories_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"no trajectories in .*steper generate"):
        made(tmp_path)


def test_the_decision_holds_a_few_hundred_bytes_per_trajectory(generation, tell) -> None:
    import tracemalloc

    long = "A long passage. " * 200
    generate = generation(*(tell(f"q{n}", text=long) for n in range(500)), per_part=50)
    rules = config(generate).samples.rules()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    selection = select(generate / "trajectories", None, rules)
    held, most = (value - before for value in tracemalloc.get_traced_memory())
    tracemalloc.stop()
    assert len(selection.reasons) == 500
    assert held / 500 < 500
    assert most / 500 < 2000
