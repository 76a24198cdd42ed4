"""Fixtures shared by all tests: one Ray per session, a tiny corpus with its index, the small language model."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("RAY_worker_niceness", "0")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

PASSAGES = [
    ("p1", "Jim Halsey", "Jim Halsey guided the career of the musician Roy Clark."),
    ("p2", "Roy Clark", "Roy Clark hosted the country variety show Hee Haw."),
    ("p3", "Hee Haw", "Hee Haw was a television show with country music and humour."),
    ("p4", "Buck Owens", "Buck Owens played guitar with his band in Bakersfield."),
    ("p5", "Bakersfield", "Bakersfield lies in California."),
]
QUESTION = "Jim Halsey guided the career of the musician who hosted what country variety show?"
RATIONALES = [
    "Jim Halsey guided the career of Roy Clark.",
    "Roy Clark hosted Hee Haw.",
    "So the answer is: Hee Haw.",
]


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Ray on this machine, shared by the session."""
    import ray

    from steper_ray.drive.cluster import connect
    from steper_ray.sections.shared import RaySection

    connect(RaySection(object_store_gib=0.3))
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def halsey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The running example: `corpus.jsonl`, `questions.jsonl`, `chains.jsonl` and a real Lucene `index/` in a folder."""
    from steper_ray.config import load_config
    from steper_ray.index.run import build

    folder = tmp_path_factory.mktemp("halsey")
    corpus = [{"_id": name, "title": title, "text": text} for name, title, text in PASSAGES]
    _write_lines(folder / "corpus.jsonl", corpus)
    _write_lines(folder / "questions.jsonl", [{"id": "q1", "question": QUESTION, "golden_answers": ["Hee Haw"]}])
    _write_lines(folder / "chains.jsonl", [{"id": "q1", "steps": [{"rationale": text} for text in RATIONALES]}])
    build(load_config(None, [f"run.folder={folder}", f"index.corpus={folder / 'corpus.jsonl'}"]))
    return folder


@pytest.fixture(scope="session")
def base_model() -> Path:
    """The folder of SmolLM2-135M-Instruct, downloaded once per user."""
    from steper_ray.demo.model import ensure_base_model

    return ensure_base_model()


def _write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
