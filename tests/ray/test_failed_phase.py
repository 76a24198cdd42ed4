"""A phase that fails for real: its last words, what it keeps, and what `steper status` says afterwards."""

import os
import re
from pathlib import Path

import pytest

from steper_ray.cli import main
from steper_ray.status.cluster import ray_of

pytestmark = [pytest.mark.ray, pytest.mark.lucene]


@pytest.mark.usefixtures("ray_cluster")
def test_a_generation_of_which_nothing_came_names_cause_failures_and_command(
    halsey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [
        f"run.folder={tmp_path}",
        f"index.folder={halsey / 'index'}",
        f"generate.questions={halsey / 'questions.jsonl'}",
        "teacher.backend=scripted",
        "teacher.scripted_latency_s=5",
        "generate.step_timeout_s=0.01",
    ]
    assert main(["generate", *settings]) == 1
    cause, details, last = capsys.readouterr().err.strip().splitlines()[-3:]
    assert cause.startswith("PhaseFailed: no question could be finished; failed: 1 timeout; the reasons stand in")
    (kept,) = (tmp_path / "postmortem").iterdir()
    assert details.startswith(f"details: {kept} · {tmp_path / 'generate' / 'failures'} (steper inspect")
    assert "logs of Ray's processes" in details
    assert last == f"continue: steper generate {' '.join(settings)}"
    assert main(["status", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert re.search(r"generate +stopped in the middle +1 questions · failed: 1 timeout", told), told
    assert f"    ! {cause}" in told
    assert told.rstrip().endswith(f"next: steper generate {' '.join(settings)}")


@pytest.mark.usefixtures("ray_cluster")
def test_a_cluster_is_looked_at_without_joining_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import ray

    class Sleeper:
        def here(self) -> bool:
            return True

    address = ray.get_runtime_context().gcs_address
    sleeper = ray.remote(num_cpus=0, max_restarts=1)(Sleeper).remote()
    assert ray.get(sleeper.here.remote())
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "config.json").write_text("{}")
    assert main(["status", str(tmp_path), "--cluster", address]) == 0
    told = capsys.readouterr().out
    assert re.search(rf"Ray at {address}\n  1 node alive · [\d.]+ of \d+ CPU in use · \d+ actors alive", told), told
    assert ray_of(os.getpid()) == address
    ray.kill(sleeper)
