"""Finished questions come to the driver ahead of their leases, on real Ray Data."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from steper_ray.config import load_config
from steper_ray.data.questions import read_questions
from steper_ray.data.schemas import TRAJECTORIES, read_rows
from steper_ray.drive.collect import Collection, collect, counts
from steper_ray.drive.intake import Intake
from steper_ray.drive.prepare import checked, prepare
from steper_ray.drive.tray import Told

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.usefixtures("ray_cluster")]

QUESTIONS = 60


def test_all_but_the_last_question_of_a_lease_are_told_of_ahead_of_it_and_all_are_written_once(
    halsey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    early: list[Told] = []
    take = Intake.early

    def remember(intake: Intake, told: Sequence[Told]) -> None:
        early.extend(told)
        take(intake, told)

    monkeypatch.setattr(Intake, "early", remember)
    asked = tmp_path / "questions.jsonl"
    rows = [
        {"id": f"q{n}", "question": f"Who is {n}?", "golden_answers": [f"answer to q{n}"]} for n in range(QUESTIONS)
    ]
    asked.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = load_config(
        None,
        [
            f"run.folder={tmp_path}",
            f"index.folder={halsey / 'index'}",
            "teacher.backend=scripted",
            "teacher.scripted_latency_s=0.2",
            "generate.in_flight=16",
        ],
    )
    index, how = config.folder("index"), config.loop.settings()
    job, _ = prepare(checked(config.teacher, "teacher"), how, index, config.generate, seed=0, force_answer=False)
    assert job.lease_rows(QUESTIONS) == 4
    into = Collection(tmp_path / "generate", "early", "scripted", "", 1, 1, 30.0, False)
    into.folder.mkdir()
    questions = read_questions(asked).questions
    stats = collect(questions, job, into, config.ray)
    found = counts(questions, into)
    assert (found["finished"], found["failed"], found["not_started"]) == (QUESTIONS, {}, 0)
    written = [row["question_id"] for row in read_rows(into.trajectories, TRAJECTORIES)]
    assert sorted(written) == sorted(question.id for question in questions)
    assert (stats.finished, stats.correct) == (QUESTIONS, QUESTIONS)
    # Of four in a lease the last one comes with it.
    assert QUESTIONS // 4 < len({(told.lease, told.row) for told in early}) <= QUESTIONS * 3 // 4
    assert stats.first_written_s is not None
    times = stats.times()
    # Three steps of 0.2 s each in the middle, and 44 of 60 waited for one of 16 places.
    assert times["engine"] > 0.3 * QUESTIONS
    assert times["place"] > 0.1 * QUESTIONS
    assert times["engine_queue"] == 0
