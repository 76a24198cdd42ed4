"""`steper generate` on real Ray Data and a real Lucene index, with recorded rationales."""

import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from steper_ray.config import Config, load_config
from steper_ray.data.schemas import TRAJECTORIES, part_files, read_rows
from steper_ray.errors import PhaseFailed, RunFolderError
from steper_ray.generate.run import generate
from steper_ray.generate.samples import samples
from steper_ray.look.run import inspect

QUESTION = "Jim Halsey guided the career of the musician who hosted what country variety show?"

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.usefixtures("ray_cluster")]


def config(halsey: Path, folder: Path, *overrides: str) -> Config:
    return load_config(
        None,
        [
            f"run.folder={folder}",
            f"index.folder={halsey / 'index'}",
            f"generate.questions={halsey / 'questions.jsonl'}",
            "teacher.backend=replay",
            f"teacher.recordings={halsey / 'chains.jsonl'}",
            *overrides,
        ],
    )


def test_the_running_example_becomes_three_samples_of_three_stages(halsey: Path, tmp_path: Path) -> None:
    manifest = generate(config(halsey, tmp_path))
    assert manifest.counts["finished"] == manifest.counts["used"] == 1
    (row,) = read_rows(tmp_path / "generate" / "trajectories", TRAJECTORIES)
    assert row["answer"] == "Hee Haw"
    assert row["correct"] is True
    assert row["em"] == row["f1"] == 1.0
    assert row["stop"] == "answered"
    # Passages come from the index, and none is shown twice.
    shown = [passage["id"] for step in row["steps"] for passage in step["passages"]]
    assert len(shown) == len(set(shown))
    assert {"p1", "p2"} <= set(shown)
    (part,) = part_files(tmp_path / "generate" / "samples")
    samples = pq.read_table(part).to_pylist()
    assert [sample["stage"] for sample in samples] == [
        "reasoning_initialization",
        "reasoning_expansion",
        "reasoning_aggregation",
    ]
    assert samples[-1]["target"] == "So the answer is: Hee Haw."
    assert samples[-1]["completion"] == [{"role": "assistant", "content": "So the answer is: Hee Haw."}]


def test_the_table_and_the_file_of_figures_say_what_came_out(
    halsey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(config(halsey, tmp_path))
    said = capsys.readouterr().out
    assert "generate: 1 of 1 · " in said
    assert "all done · 1 correct" in said
    found = json.loads((tmp_path / "generate" / "stats.json").read_text())
    assert (found["asked"], found["finished"], found["failed"], found["not_started"]) == (1, 1, {}, 0)
    assert (found["all"]["judged"], found["all"]["correct"], found["all"]["steps"]) == (1, 1, {"3": 1})
    mine = found["this_execution"]
    assert mine["steps"] == 3
    assert 0 < mine["first_written_s"] <= mine["seconds"]
    assert set(mine["question_s"]) == {"place", "engine_queue", "engine", "search", "other"}
    # Recordings take no time; Lucene does.
    assert mine["question_s"]["engine_queue"] == 0
    assert mine["question_s"]["search"] > 0
    for row in ("correct", "1 (100.0%)", "first trajectory written after", "… waiting for passages"):
        assert row in said, row


def test_samples_load_in_datasets_as_prompt_and_completion(halsey: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    generate(config(halsey, tmp_path))
    folder = str(tmp_path / "generate" / "samples")
    loaded = load_dataset(folder, split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded[0]["prompt"][0]["role"] == "user"
    assert loaded[0]["completion"][0]["role"] == "assistant"


def test_the_same_command_again_does_nothing_twice(halsey: Path, tmp_path: Path) -> None:
    generate(config(halsey, tmp_path))
    parts = part_files(tmp_path / "generate" / "trajectories")
    generate(config(halsey, tmp_path))
    assert part_files(tmp_path / "generate" / "trajectories") == parts


def test_other_settings_in_the_same_folder_are_refused_with_the_difference(halsey: Path, tmp_path: Path) -> None:
    generate(config(halsey, tmp_path))
    with pytest.raises(RunFolderError, match=r"loop\.k was 4, is 3"):
        generate(config(halsey, tmp_path, "loop.k=3"))


def test_another_text_under_a_finished_id_is_refused(halsey: Path, tmp_path: Path) -> None:
    generate(config(halsey, tmp_path))
    changed = tmp_path / "changed.jsonl"
    changed.write_text(json.dumps({"id": "q1", "question": "Another?", "golden_answers": ["x"]}))
    with pytest.raises(RunFolderError, match=r"'q1' stands in .* with another text"):
        generate(config(halsey, tmp_path, f"generate.questions={changed}"))


def test_a_question_without_recording_is_a_counted_failure_and_the_others_finish(
    halsey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    questions = tmp_path / "two.jsonl"
    extra = {"id": "q2", "question": "Who played guitar?", "golden_answers": ["Buck Owens"]}
    questions.write_text((halsey / "questions.jsonl").read_text() + json.dumps(extra) + "\n")
    counts = generate(config(halsey, tmp_path, f"generate.questions={questions}")).counts
    assert counts["asked"] == 2
    assert counts["finished"] == 1
    assert counts["failed"] == {"no_recording": 1}
    assert counts["not_started"] == 0
    shown = capsys.readouterr().out
    assert "warning: recordings cover 1 of 2 questions; 1 will fail as no_recording" in shown
    # The same command would not try it again.
    assert "next: steper train" in shown


def test_a_run_in_which_nothing_finishes_fails_and_names_the_reasons(halsey: Path, tmp_path: Path) -> None:
    questions = tmp_path / "other.jsonl"
    questions.write_text(json.dumps({"id": "q9", "question": "Who?", "golden_answers": ["x"]}))
    with pytest.raises(PhaseFailed, match="no_recording"):
        generate(config(halsey, tmp_path, f"generate.questions={questions}"))


def test_samples_are_made_again_without_a_teacher(halsey: Path, tmp_path: Path) -> None:
    generate(config(halsey, tmp_path))
    again = config(halsey, tmp_path, "samples.layout=appended", "samples.messages=true")
    assert samples(again).counts["samples"] == 3
    (part,) = part_files(tmp_path / "generate" / "samples")
    assert {len(prompt) for prompt in pq.read_table(part)["prompt"].to_pylist()} == {1}


def test_questions_without_gold_answers_are_judged_by_the_majority_of_their_paths(
    halsey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = tmp_path / "asked.jsonl"
    asked.write_text(json.dumps({"id": "q1", "question": QUESTION}))
    settings = [f"generate.questions={asked}", "generate.paths=3", "teacher.temperature=0.7"]
    manifest = generate(config(halsey, tmp_path, *settings, "samples.correctness=majority"))
    # Recordings are the same in every path.
    assert manifest.counts["used"] == 1
    assert manifest.counts["dropped"] == {"duplicate_path": 2}
    rows = list(read_rows(tmp_path / "generate" / "trajectories", TRAJECTORIES))
    assert [(row["correct"], row["em"], row["f1"]) for row in rows] == [(None, None, None)] * 3
    (part,) = part_files(tmp_path / "generate" / "samples")
    assert pq.read_table(part)["target"].to_pylist()[-1] == "So the answer is: Hee Haw."
    said = capsys.readouterr().out
    assert "correct: not known" in said
    assert "not known: no gold answers" in said
    assert "0 correct" not in said
    found = json.loads((tmp_path / "generate" / "stats.json").read_text())
    assert (found["all"]["judged"], found["all"]["correct"]) == (0, None)
    assert "**No gold answers decided here.**" in (tmp_path / "generate" / "samples" / "README.md").read_text()


def test_what_cannot_be_made_is_told_before_anything_is_written(halsey: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="something else than samples"):
        generate(config(halsey, tmp_path, f"samples.folder={mine}"))
    assert not (tmp_path / "generate").exists()


def test_the_running_example_is_readable_in_the_terminal(halsey: Path, tmp_path: Path) -> None:
    generate(config(halsey, tmp_path))
    out = io.StringIO()
    inspect(tmp_path, question="q1", console=Console(file=out, width=100))
    for line in ("Step 3", "→ Roy Clark hosted Hee Haw.", "Hee Haw   EM 1 · F1 1.00 · answered", "kept: 3 samples"):
        assert line in out.getvalue()
