"""A real service is what an evaluation measures."""

import json
from pathlib import Path

import pytest

from steper_ray.config import load_config
from steper_ray.evaluate.run import evaluate
from steper_ray.serve.run import serving

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.slow]


def test_the_served_student_scores_as_it_answers(ray_cluster: None, halsey: Path, tmp_path: Path) -> None:
    served = [
        f"run.folder={halsey}",
        "student.backend=replay",
        f"student.recordings={halsey / 'chains.jsonl'}",
        "serve.port=0",
    ]
    asked = [f"run.folder={tmp_path}", f"evaluate.questions={halsey / 'questions.jsonl'}", "student.backend=service"]
    with serving(load_config(None, served)) as url:
        scores = evaluate(load_config(None, [*asked, f"student.url={url}"]))
    assert (scores.quality.exact_match, scores.finished) == (1.0, 1)
    assert scores.steps_histogram == {3: 1}
    row = json.loads((tmp_path / "evaluate" / "predictions.jsonl").read_text())
    assert (row["answer"], row["stop"]) == ("Hee Haw", "answered")
    assert len(row["steps"]) == 3
    assert row["steps"][0]["retrieved"]
