"""A remote endpoint as the student that is evaluated, on Ray."""

import json
from pathlib import Path
from typing import Any

import pytest

from steper_ray.config import load_config
from steper_ray.evaluate.run import evaluate

pytestmark = [pytest.mark.ray, pytest.mark.lucene]

USAGE = {"prompt_tokens": 90, "completion_tokens": 7, "total_tokens": 97}


def test_an_endpoint_is_evaluated_with_our_loop(ray_cluster: None, service: Any, halsey: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-of-the-student")
    (tmp_path / "key").chmod(0o600)
    service.write("Yes.")
    service.write("Jim Halsey guided the career of Roy Clark.", usage=USAGE)
    service.write("So the answer is: Hee Haw.", usage=USAGE)
    told = [
        f"run.folder={tmp_path}",
        f"index.folder={halsey / 'index'}",
        f"evaluate.questions={halsey / 'questions.jsonl'}",
        "student.backend=openai",
        f"student.url={service.url}/v1",
        "student.endpoint_model=ours",
        f"student.key_file={tmp_path / 'key'}",
    ]
    scores = evaluate(load_config(None, told))
    assert (scores.quality.exact_match, scores.steps_histogram) == (1.0, {2: 1})
    # Two completions of 97 tokens; the trial before the run is not counted.
    assert scores.quality.tokens == 194.0
    head = json.loads((tmp_path / "evaluate" / "scores.json").read_text())
    assert (head["model"], head["role"], head["system"]) == ("ours", "student", "multi_step")
    assert [asked.path for asked in service.asked] == ["/v1/chat/completions"] * 3
    assert {asked.headers["authorization"] for asked in service.asked} == {"Bearer sk-of-the-student"}
    # The second step's prompt holds what the first one wrote.
    assert "guided the career of Roy Clark." in json.dumps(service.asked[2].body["messages"])
