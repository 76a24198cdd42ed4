"""Ray's autoscaler for real, on one machine: groups appear when work asks for them, and leave when it is done."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.namespaces import UNSHARE

pytestmark = [pytest.mark.cluster, pytest.mark.ray, pytest.mark.lucene, pytest.mark.slow]

QUESTIONS = 320
"""A minute and a half of work for one engine; Ray Data looks at the nodes every 20 s, and then asks for more GPUs."""


def test_a_generation_makes_both_groups_appear_and_leave(namespaces: None, halsey: Path, tmp_path: Path) -> None:
    asked = [
        {"id": f"q{n}", "question": f"Who is {n}?", "golden_answers": [f"answer to q{n}"]} for n in range(QUESTIONS)
    ]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(one) + "\n" for one in asked))
    program = Path(__file__).with_name("autoscaling_program.py")
    files = [tmp_path / "questions.jsonl", halsey / "index"]
    done = subprocess.run(
        [*UNSHARE, sys.executable, program, tmp_path, *files], capture_output=True, text=True, timeout=280
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, done.stdout[-3000:] + done.stderr[-3000:]
    result = json.loads(lines[-1])
    assert result["code"] == 0, done.stdout
    assert "waiting for nodes that the autoscaler may bring" in done.stdout
    assert result["seen"] == {"teacher": 2, "retrieval": 1}, "the second teacher came while the first was at work"
    assert result["left"] == {}
    counts = json.loads((tmp_path / "run" / "generate" / "manifest.json").read_text())["counts"]
    assert counts["finished"] == QUESTIONS
