"""A corpus of towns, rivers and lakes with its index, questions of three steps, and what the teacher says to each."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.killing.plan import ChaosPlan
from steper_ray.config import load_config
from steper_ray.index.run import build

_TOWNS, _RIVERS = 400, 40


def make_world(folder: Path, plan: ChaosPlan) -> None:
    """Write `corpus.jsonl`, `index/`, `questions.jsonl`, `few.jsonl` for the engine, and `chains.jsonl`."""
    folder.mkdir(parents=True, exist_ok=True)
    towns = [(f"t{n}", f"Town {n}", f"Town {n} lies at river R{n % _RIVERS}.") for n in range(_TOWNS)]
    rivers = [(f"r{n}", f"River R{n}", f"River R{n} flows into lake L{n * 7 % 31}.") for n in range(_RIVERS)]
    _write(folder / "corpus.jsonl", ({"_id": i, "title": title, "text": text} for i, title, text in towns + rivers))
    rows = [_question(number) for number in range(max(plan.questions, plan.engine_questions))]
    _write(folder / "questions.jsonl", (question for question, _ in rows[: plan.questions]))
    _write(folder / "few.jsonl", (question for question, _ in rows[: plan.engine_questions]))
    _write(folder / "chains.jsonl", (chain for _, chain in rows))
    build(load_config(None, [f"run.folder={folder}", f"index.corpus={folder / 'corpus.jsonl'}"]))


def _question(number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    town, river = number % _TOWNS, number % _TOWNS % _RIVERS
    lake = f"L{river * 7 % 31}"
    asked = f"Into which lake flows the river of town {town}, in case {number}?"
    said = [
        f"Town {town} lies at river R{river}.",
        f"River R{river} flows into lake {lake}.",
        f"So the answer is: {lake}.",
    ]
    name = f"q{number}"
    chain = {"id": name, "steps": [{"rationale": text} for text in said]}
    return {"id": name, "question": asked, "golden_answers": [lake]}, chain


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
