"""What a dry run says of the whole is arithmetic; what it can refuse, it refuses before it tries anything."""

import json
from pathlib import Path

import pytest

from steper_ray.config import Config, load_config
from steper_ray.core.types import Question, StopReason, Trajectory
from steper_ray.data.schemas import TRAJECTORIES, trajectory_row
from steper_ray.drive.ledger import text_hash
from steper_ray.drive.writer import PartWriter
from steper_ray.errors import InputError, RunFolderError
from steper_ray.generate.dry_run import dry_run
from steper_ray.generate.estimate import Rates, Sampled, estimate

FOUND = Sampled(
    trajectories=20,
    correct=12,
    prompt_tokens=40_000,
    cached_tokens=10_000,
    completion_tokens=2_000,
    calls=60,
    seconds=360.0,
    bytes=2**20,
    at_once=20,
)
FREE = Rates()


def test_tokens_disk_and_cost_grow_with_the_number_of_questions() -> None:
    whole = estimate(FOUND, keys=100_000, at_once=80, rates=Rates(0.5, 2.0))
    assert whole.prompt_tokens == 200_000_000
    assert whole.computed_tokens == 150_000_000
    assert whole.completion_tokens == 10_000_000
    assert whole.cost == pytest.approx(100 + 20)
    assert whole.gib == pytest.approx(5000 / 1024)


def test_hours_lie_between_a_full_engine_that_is_as_quick_and_one_that_gains_nothing() -> None:
    whole = estimate(FOUND, keys=100_000, at_once=80, rates=FREE)
    # 18 s of work per question: 500 hours one by one.
    assert whole.hours_least == pytest.approx(500 / 80)
    assert whole.hours_most == pytest.approx(500 / 20)
    assert whole.hours_limits == 0
    assert whole.cost is None


def test_one_price_is_enough_and_nothing_left_takes_nothing() -> None:
    assert estimate(FOUND, 20, 80, Rates(price_out=3.0)).cost == pytest.approx(0.006)
    nothing = estimate(FOUND, 0, 80, Rates(1.0, 1.0, 60, 60))
    assert (nothing.hours_most, nothing.cost, nothing.gib) == (0, 0, 0)


def test_a_run_of_fewer_at_once_than_the_dry_run_is_not_promised_to_be_quicker() -> None:
    whole = estimate(FOUND, keys=1000, at_once=4, rates=FREE)
    assert whole.hours_least == whole.hours_most


@pytest.mark.parametrize(
    ("rates", "hours"),
    [
        # Three requests a question, 60 a minute: 300,000 of them take 5,000 minutes.
        (Rates(requests_per_minute=60), 5000 / 60),
        # 2,100 tokens a question, 35,000 a minute: 6,000 minutes.
        (Rates(tokens_per_minute=35_000), 100),
        (Rates(requests_per_minute=60, tokens_per_minute=35_000), 100),
    ],
)
def test_no_hours_are_promised_that_the_limits_of_an_endpoint_forbid(rates: Rates, hours: float) -> None:
    whole = estimate(FOUND, keys=100_000, at_once=80, rates=rates)
    assert whole.hours_limits == pytest.approx(hours)
    assert whole.hours_least == whole.hours_most == whole.hours_limits


def test_limits_wider_than_the_work_change_no_hours() -> None:
    whole = estimate(FOUND, keys=100_000, at_once=80, rates=Rates(requests_per_minute=30_000))
    assert whole.hours_limits == pytest.approx(10 / 60)
    assert whole.hours_least == pytest.approx(500 / 80)


def config(folder: Path, *rows: dict[str, object]) -> Config:
    questions = folder / "q.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_config(None, [f"run.folder={folder / 'run'}", f"generate.questions={questions}"])


def finish(folder: Path, *questions: Question) -> None:
    with PartWriter(folder / "run" / "generate" / "trajectories", TRAJECTORIES, rows=9, seconds=60) as writer:
        for question in questions:
            finished = Trajectory(question, 0, (), "x", StopReason.ANSWERED)
            provenance = {"model": "m", "prompt_version": "1", "fingerprint": "f", "text_hash": text_hash(question)}
            writer.add(trajectory_row(finished, provenance))


def test_a_fault_far_down_in_the_file_is_found_before_anything_is_tried(tmp_path: Path) -> None:
    good = [{"id": f"q{n}", "question": "Who?", "golden_answers": ["x"]} for n in range(500)]
    with pytest.raises(InputError, match=r"line 501, field 'question'"):
        dry_run(config(tmp_path, *good, {"id": "q500", "question": ""}))
    assert not (tmp_path / "run").exists()


def test_another_text_under_a_finished_id_is_refused_as_the_whole_run_would(tmp_path: Path) -> None:
    finish(tmp_path, Question("q1", "Who?", ("x",)))
    with pytest.raises(RunFolderError, match=r"'q1' stands in .* with another text"):
        dry_run(config(tmp_path, {"id": "q1", "question": "Whom?", "golden_answers": ["x"]}))


def test_nothing_is_tried_where_nothing_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finish(tmp_path, Question("q1", "Who?", ("x",)))
    dry_run(config(tmp_path, {"id": "q1", "question": "Who?", "golden_answers": ["x"]}))
    out = capsys.readouterr().out
    assert "questions: 1 of 1 from q.jsonl" in out
    assert "nothing is left to be done" in out
    assert not (tmp_path / "run" / "generate" / ".dry-run").exists()


@pytest.mark.parametrize(("title", "warned"), [("Roy Clark", False), ("roy_clark", True)])
def test_a_corpus_without_the_questions_gold_passages_is_told_before_anything_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], title: str, warned: bool
) -> None:
    finish(tmp_path, Question("q1", "Who?", ("x",)))
    gold = {"metadata": {"supporting_titles": ["Roy Clark"]}}
    asked = config(tmp_path, {"id": "q1", "question": "Who?", "golden_answers": ["x"], **gold})
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(json.dumps({"id": "p", "title": title, "text": "Text."}))
    dry_run(asked.model_copy(update={"index": asked.index.model_copy(update={"corpus": corpus})}))
    warning = "warning: none of the questions' 1 gold passages is in"
    assert (warning in capsys.readouterr().out) is warned
