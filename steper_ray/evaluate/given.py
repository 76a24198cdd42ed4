"""A file of predictions as it was given: in the form of a data set's own script, or ours."""

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from steper_ray.data.records import Record, read_records
from steper_ray.errors import InputError
from steper_ray.evaluate.gold_support import fact

_KNOWN = (
    'Known are HotpotQA\'s and 2WikiMultiHopQA\'s {"answer": {id: text}, "sp": …}, MuSiQue\'s lines with `id` and '
    "`predicted_answer`, and `predictions.jsonl` of `steper evaluate`"
)


class Form(StrEnum):
    """Of a file of predictions."""

    HOTPOTQA = "HotpotQA's or 2WikiMultiHopQA's"
    MUSIQUE = "MuSiQue's"
    OURS = "our own"


@dataclass(frozen=True)
class Given:
    """What a file predicts."""

    form: Form
    answers: Mapping[str, str | None]
    """By question id; None: the question is named, without an answer."""
    support: Mapping[str, frozenset[Hashable]] = field(default_factory=dict)
    """(title, sentence) pairs or, in MuSiQue's form, numbers of paragraphs; empty where nothing is predicted at all."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Of the questions, where the form has them."""


def read_given(path: Path) -> Given:
    """Read a file of predictions; its form is told by its fields.

    Raises:
        InputError: broken, of no known form, a field of another type, or an id that stands there twice.
    """
    whole = _whole(path)
    if whole is not None:
        return _of_object(path, whole)
    rows: dict[str, Record] = {}
    for record in read_records(path):
        id = record.id()
        if id in rows:
            raise record.fault(f"duplicate id, first in {rows[id].place}", field="id", found=id, remedy=_ONCE)
        rows[id] = record
    if not rows:
        raise InputError("holds no prediction", file=path)
    return _of_rows(rows)


_ONCE = "Give one prediction per question"


class _Twice(ValueError):
    """A key that stands twice in one object."""


def _whole(path: Path) -> dict[str, Any] | None:
    """The file as one object with `answer` by id; None where it is something else, lines say."""
    if not path.is_file() or path.suffix in (".gz", ".parquet"):
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
    except _Twice as twice:
        raise InputError("duplicate id", file=path, field="answer", found=str(twice), remedy=_ONCE) from None
    except (ValueError, RecursionError, OSError):
        return None  # the reader of lines says what is wrong
    return value if isinstance(value, dict) and isinstance(value.get("answer"), dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice(next(key for key in keys if keys.count(key) > 1))
    return found


def _of_object(path: Path, whole: Mapping[str, Any]) -> Given:
    """A question in `sp` alone is one without an answer."""
    support = whole.get("sp") or {}
    if not isinstance(support, dict):
        raise InputError("must be an object: lists by id", file=path, field="sp", found=support)
    answers: dict[str, str | None] = dict.fromkeys(support)
    for id, answer in whole["answer"].items():
        if not isinstance(answer, str):
            raise InputError("must be text", file=path, field=f"answer.{id}", found=answer, remedy="Put it in quotes")
        answers[id] = answer
    if not answers:
        raise InputError("holds no prediction", file=path)
    return Given(Form.HOTPOTQA, answers, _unless_empty({id: _facts(path, id, rows) for id, rows in support.items()}))


def _facts(path: Path, id: str, rows: object) -> frozenset[Hashable]:
    if not isinstance(rows, list) or not all(_is_fact(row) for row in rows):
        raise InputError("must be a list of [title, sentence number]", file=path, field=f"sp.{id}", found=rows)
    return frozenset(fact(title, sentence) for title, sentence in rows)


def _is_fact(row: object) -> bool:
    return isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) and type(row[1]) is int


def _of_rows(rows: Mapping[str, Record]) -> Given:
    first = next(iter(rows.values()))
    if "predicted_answer" in first.values:
        answers: dict[str, str | None] = {id: _text(record, "predicted_answer") for id, record in rows.items()}
        return Given(Form.MUSIQUE, answers, _unless_empty({id: _numbers(record) for id, record in rows.items()}))
    if {"answer", "question", "stop"} <= first.values.keys():
        return Given(
            Form.OURS,
            {id: None if record.values.get("failure") else _text(record, "answer") for id, record in rows.items()},
            texts={id: record.text("question") for id, record in rows.items()},
        )
    raise first.fault("is no prediction of a known form", found=sorted(first.values), remedy=_KNOWN)


def _text(record: Record, field: str) -> str:
    value = record.values.get(field)
    if not isinstance(value, str):
        raise record.fault("must be text, empty for no answer", field=field, found=value)
    return value


def _numbers(record: Record) -> frozenset[Hashable]:
    name = "predicted_support_idxs"
    values = record.values.get(name, [])
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise record.fault("must be a list of paragraph numbers", field=name, found=values)
    return frozenset(values)


def _unless_empty(support: dict[str, frozenset[Hashable]]) -> dict[str, frozenset[Hashable]]:
    return support if any(support.values()) else {}
