"""Strategy `self_ask` from MuSiQue's decompositions, on real Ray Data and a real Lucene index."""

import json
import os
from pathlib import Path

import pytest

from steper_ray.config import load_config
from steper_ray.core.recall import mean_recall, passages_shown, recall_by_step
from steper_ray.core.types import Trajectory
from steper_ray.data.schemas import TRAJECTORIES, read_rows, trajectory_of
from steper_ray.errors import ConfigError
from steper_ray.generate.run import generate
from steper_ray.index.run import build

DATA = Path(os.environ.get("STEPER_DATA") or Path(__file__).parents[2] / "../shared/data") / "musique"

pytestmark = [pytest.mark.ray, pytest.mark.lucene, pytest.mark.usefixtures("ray_cluster")]


def settings(run: Path, musique: Path, *more: str) -> list[str]:
    teacher = ["teacher.backend=replay", f"teacher.recordings={musique}"]
    return [f"run.folder={run}", f"generate.questions={musique}", *teacher, *more]


def finished(run: Path) -> list[Trajectory]:
    return [trajectory_of(row) for row in read_rows(run / "generate" / "trajectories", TRAJECTORIES)]


@pytest.fixture
def musique(tmp_path: Path) -> Path:
    parts = [
        {"question": "Jim Halsey >> guided the career of", "answer": "Roy Clark"},
        {"question": "Which show did #1 host?", "answer": "Hee Haw"},
    ]
    row = {"id": "2hop__1", "question": "Which show was hosted by whom Jim Halsey guided?", "answer": "Hee Haw"}
    path = tmp_path / "musique.jsonl"
    path.write_text(json.dumps({**row, "question_decomposition": parts, "paragraphs": []}) + "\n")
    return path


def test_a_decomposition_becomes_three_samples_with_its_own_queries(
    halsey: Path, musique: Path, tmp_path: Path
) -> None:
    more = ["loop.strategy=self_ask", f"index.folder={halsey / 'index'}"]
    counts = generate(load_config(None, settings(tmp_path, musique, *more))).counts
    assert (counts["used"], counts["samples"]) == (1, 3)
    (found,) = finished(tmp_path)
    assert [step.query for step in found.steps][1:] == [
        "Jim Halsey >> guided the career of",
        "Which show did Roy Clark host?",
    ]
    assert found.answer == "Hee Haw"


def test_decompositions_are_refused_for_another_strategy(halsey: Path, musique: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"loop\.strategy=reasoning_path, set loop\.strategy=self_ask"):
        generate(load_config(None, settings(tmp_path, musique, f"index.folder={halsey / 'index'}")))
    assert not (tmp_path / "generate").exists()


@pytest.mark.skipif(not DATA.is_dir(), reason="no copy of the published data: set STEPER_DATA to its folder")
def test_every_step_of_the_published_decompositions_finds_more_gold(tmp_path: Path) -> None:
    build(load_config(None, [f"run.folder={tmp_path}", f"index.corpus={DATA / 'corpus.train.jsonl'}"]))
    how = ["loop.strategy=self_ask", "loop.step_limit=6"]
    counts = generate(load_config(None, settings(tmp_path, DATA / "train.jsonl", *how))).counts
    # 68 of two hops, 27 of three, 5 of four; a step more each.
    assert (counts["used"], counts["samples"]) == (100, 68 * 3 + 27 * 4 + 5 * 5)
    trajectories = finished(tmp_path)
    titles = passages_shown(trajectories)
    by_question = [recall_by_step(trajectory, titles, 5) for trajectory in trajectories]
    all_gold = [mean_recall([values[step] for values in by_question]).all for step in range(5)]
    print([round(value, 2) for value in all_gold])
    assert all_gold == sorted(all_gold)
    assert all_gold[0] < 0.3
    assert all_gold[4] > 0.8
