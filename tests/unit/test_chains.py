"""The reader of annotated chains."""

import json
from pathlib import Path
from typing import Any

import pytest

from steper_ray.data.chains import read_chains
from steper_ray.errors import InputError


def _write(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "chains.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _chain(*rationales: Any, id: str = "q1") -> dict[str, Any]:
    return {"id": id, "steps": [{"rationale": rationale} for rationale in rationales]}


def test_rationales_are_found_by_question_id(tmp_path: Path) -> None:
    path = _write(tmp_path, _chain("A is  in B.", "So the answer is: B."), _chain("So the answer is: yes.", id="q2"))
    assert read_chains(path) == {
        "q1": ("A is in B.", "So the answer is: B."),
        "q2": ("So the answer is: yes.",),
    }


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "q1"}, "line 1, field 'steps': must be a list of steps"),
        ({"id": "q1", "steps": []}, "line 1, field 'steps': must be a list of steps; found []"),
        ({"id": "q1", "steps": ["A"]}, "line 1, field 'steps[0].rationale': must be text"),
        (_chain(" ", "So the answer is: x"), "line 1, field 'steps[0].rationale': is empty"),
        (_chain("A\nB", "So the answer is: x"), "line 1, field 'steps[0].rationale': must be one line; found 'A\\nB'"),
        (_chain("A", "B"), "line 1, field 'steps[1].rationale': the last step must hold 'So the answer is:'"),
        (_chain("A", "So the answer is:"), "line 1, field 'steps[1].rationale': the last step must hold"),
        (_chain("So the answer is: x", "So the answer is: x"), "line 1, field 'steps[0].rationale': the marker"),
        ({"steps": []}, "line 1: '_id' or 'id' is missing"),
    ],
)
def test_a_faulty_chain_is_refused(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    path = _write(tmp_path, row)
    with pytest.raises(InputError) as caught:
        read_chains(path)
    assert str(caught.value).removeprefix(f"{path}, ").startswith(message)


def test_a_duplicate_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    chain = _chain("So the answer is: x")
    with pytest.raises(InputError, match="line 2, field 'id': duplicate id, first in line 1; found 'q1'"):
        read_chains(_write(tmp_path, chain, chain))
    with pytest.raises(InputError, match="holds no chain"):
        read_chains(_write(tmp_path))
