"""The Parquet contracts between phases: fixed Arrow schemas, and rows to and from the core's types.

Schema versions stand in the Parquet metadata; a reader refuses a version it does not know.
"""

from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from steper_ray.core.answers import best, exact_match, f1, is_correct
from steper_ray.core.types import (
    Failure,
    Message,
    Passage,
    Prompt,
    Question,
    Sample,
    Stage,
    Step,
    StopReason,
    Trajectory,
    Usage,
)
from steper_ray.errors import InputError, RunFolderError

SCHEMA_VERSION = "2"
_ROWS_AT_ONCE = 512
_METADATA = {"steper_schema": SCHEMA_VERSION}

_PASSAGE = pa.struct([("id", pa.string()), ("title", pa.string()), ("text", pa.string()), ("score", pa.float32())])
_STEP = pa.struct(
    [
        ("query", pa.string()),
        ("retrieved", pa.list_(pa.string())),
        ("passages", pa.list_(_PASSAGE)),
        ("rationale", pa.string()),
        ("left_out", pa.int32()),
        ("prompt_tokens", pa.int32()),
        ("cached_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("seconds", pa.float32()),
        ("search_seconds", pa.float32()),
    ]
)
_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

QUESTIONS = pa.schema(
    [
        ("question_id", pa.string()),
        ("question", pa.string()),
        ("golden_answers", pa.list_(pa.string())),
        ("kind", pa.string()),
        ("hops", pa.int32()),
        ("gold_titles", pa.list_(pa.string())),
        ("gold_ids", pa.list_(pa.string())),
        ("path", pa.int32()),
    ],
    metadata=_METADATA,
)
"""Work to be done: one row per (question, path)."""

TRAJECTORIES = pa.schema(
    [
        *QUESTIONS,
        ("steps", pa.list_(_STEP)),
        ("answer", pa.string()),
        ("stop", pa.string()),
        ("correct", pa.bool_()),
        ("em", pa.float32()),
        ("f1", pa.float32()),
        ("model", pa.string()),
        ("prompt_version", pa.string()),
        ("fingerprint", pa.string()),
        ("text_hash", pa.string()),
    ],
    metadata=_METADATA,
)
"""Finished trajectories, right or wrong, one row per (question, path)."""

FAILURES = pa.schema(
    [
        ("question_id", pa.string()),
        ("path", pa.int32()),
        ("text_hash", pa.string()),
        ("attempt", pa.int32()),
        ("kind", pa.string()),
        ("message", pa.string()),
    ],
    metadata=_METADATA,
)
"""Attempts that failed; append-only."""

SAMPLES = pa.schema(
    [
        ("id", pa.string()),
        ("question_id", pa.string()),
        ("path", pa.int32()),
        ("step", pa.int32()),
        ("stage", pa.string()),
        ("prompt", _MESSAGES),
        ("completion", _MESSAGES),
        ("target", pa.string()),
        ("golden_answer", pa.string()),
        ("passage_ids", pa.list_(pa.string())),
        ("model", pa.string()),
        ("prompt_version", pa.string()),
        ("fingerprint", pa.string()),
    ],
    metadata=_METADATA,
)
"""Training samples; `prompt` and `completion` are what Hugging Face trainers take without conversion."""

MESSAGES_FOLDER = "messages"
"""Below the samples folder."""

MESSAGES = pa.schema(
    [
        ("id", pa.string()),
        ("question_id", pa.string()),
        ("path", pa.int32()),
        ("steps", pa.int32()),
        ("messages", _MESSAGES),
        ("golden_answer", pa.string()),
        ("model", pa.string()),
        ("prompt_version", pa.string()),
        ("fingerprint", pa.string()),
    ],
    metadata=_METADATA,
)
"""Whole trajectories as chats: what trainers for supervised fine-tuning on dialogues take."""


def question_row(question: Question, path: int) -> dict[str, Any]:
    """A row of `QUESTIONS`."""
    return {
        "question_id": question.id,
        "question": question.text,
        "golden_answers": list(question.golden_answers),
        "kind": question.kind,
        "hops": question.hops,
        "gold_titles": list(question.gold_titles),
        "gold_ids": list(question.gold_ids),
        "path": path,
    }


def question_of(row: Mapping[str, Any]) -> Question:
    """The question of a row of `QUESTIONS` or `TRAJECTORIES`."""
    return Question(
        id=row["question_id"],
        text=row["question"],
        golden_answers=tuple(row["golden_answers"]),
        kind=row["kind"],
        hops=row["hops"],
        gold_titles=tuple(row["gold_titles"]),
        gold_ids=tuple(row["gold_ids"]),
    )


def trajectory_row(trajectory: Trajectory, provenance: Mapping[str, str]) -> dict[str, Any]:
    """A row of `TRAJECTORIES`; `provenance` gives model, prompt_version, fingerprint and text_hash.

    Of a question without gold answers nobody knows whether it is answered right: `correct`, `em`, `f1` are null.
    """
    golds = trajectory.question.golden_answers
    assert trajectory.stop is not None, "only finished trajectories are written"
    return {
        **question_row(trajectory.question, trajectory.path),
        "steps": [_step_row(step) for step in trajectory.steps],
        "answer": trajectory.answer,
        "stop": trajectory.stop.value,
        "correct": is_correct(trajectory.answer, golds) if golds else None,
        "em": best(exact_match, trajectory.answer, golds) if golds else None,
        "f1": best(f1, trajectory.answer, golds) if golds else None,
        **provenance,
    }


def trajectory_of(row: Mapping[str, Any]) -> Trajectory:
    """The trajectory of a row of `TRAJECTORIES`."""
    return Trajectory(
        question=question_of(row),
        path=row["path"],
        steps=tuple(_step_of(step) for step in row["steps"]),
        answer=row["answer"],
        stop=StopReason(row["stop"]),
    )


def failure_row(failure: Failure, attempt: int) -> dict[str, Any]:
    """A row of `FAILURES`; attempts at a key count from 1."""
    return {
        "question_id": failure.question_id,
        "path": failure.path,
        "text_hash": failure.text_hash,
        "attempt": attempt,
        "kind": failure.kind.value,
        "message": failure.message,
    }


def sample_row(sample: Sample, provenance: Mapping[str, str]) -> dict[str, Any]:
    """A row of `SAMPLES`; `provenance` gives model, prompt_version and fingerprint."""
    return {
        "id": sample.id,
        "question_id": sample.question_id,
        "path": sample.path,
        "step": sample.step,
        "stage": sample.stage.value,
        "prompt": [{"role": message.role, "content": message.content} for message in sample.prompt.messages],
        "completion": [{"role": "assistant", "content": sample.target}],
        "target": sample.target,
        "golden_answer": sample.golden_answer,
        "passage_ids": list(sample.passage_ids),
        **provenance,
    }


def messages_row(last: Sample, provenance: Mapping[str, str]) -> dict[str, Any]:
    """A row of `MESSAGES`, from the last sample of a trajectory in layout `turns`: its prompt holds all turns before.

    `provenance` is that of `sample_row`.
    """
    row = sample_row(last, provenance)
    return {
        "id": f"{last.question_id}#{last.path}",
        "steps": last.step,
        "messages": [*row["prompt"], *row["completion"]],
        **{name: row[name] for name in ("question_id", "path", "golden_answer")},
        **provenance,
    }


def sample_of(row: Mapping[str, Any]) -> Sample:
    """The sample of a row of `SAMPLES`."""
    return Sample(
        question_id=row["question_id"],
        path=row["path"],
        step=row["step"],
        stage=Stage(row["stage"]),
        prompt=Prompt(tuple(Message(message["role"], message["content"]) for message in row["prompt"])),
        target=row["target"],
        golden_answer=row["golden_answer"],
        passage_ids=tuple(row["passage_ids"]),
    )


def part_files(folder: Path) -> list[Path]:
    """The finished Parquet parts of a folder, in order; unfinished ones carry a leading dot and are not among them."""
    return sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("."))


def read_rows(
    folder: Path, schema: pa.Schema, columns: list[str] | None = None, keys: Container[tuple[str, int]] | None = None
) -> Iterator[dict[str, Any]]:
    """Stream the rows of a folder of Parquet parts, `_ROWS_AT_ONCE` in memory at a time.

    Args:
        folder: the parts.
        schema: what they must hold.
        columns: only these; a field of nested lists is named as in Parquet, `steps.list.element.rationale`.
        keys: only the rows of these (question id, path); the others cost next to nothing.

    Raises:
        RunFolderError: a part was written with another schema version or lacks columns.
        InputError: a part is not Parquet.
    """
    wanted = columns or schema.names
    for part in part_files(folder):
        with open_part(part, wanted) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=wanted):
                rows = batch if keys is None else _of_keys(batch, keys)
                yield from rows.to_pylist()


def _of_keys(batch: pa.RecordBatch, keys: Container[tuple[str, int]]) -> pa.RecordBatch:
    found = zip(batch.column("question_id").to_pylist(), batch.column("path").to_pylist(), strict=True)
    return batch.filter(pa.array([key in keys for key in found], pa.bool_()))


def open_part(part: Path, wanted: list[str]) -> pq.ParquetFile:
    """Open a part that has these columns.

    Raises:
        RunFolderError: it was written with another schema version or lacks columns.
        InputError: it is not Parquet.
    """
    try:
        file = pq.ParquetFile(part)
    except pa.ArrowInvalid as error:
        raise InputError(f"not a Parquet file: {error}", file=part) from None
    found = file.schema_arrow
    version = (found.metadata or {}).get(b"steper_schema", b"none").decode()
    if version != SCHEMA_VERSION:
        raise RunFolderError(f"{part} has schema version {version}, this steper_ray reads {SCHEMA_VERSION}")
    if missing := [name for name in wanted if name.partition(".")[0] not in found.names]:
        raise RunFolderError(f"{part} lacks column {missing[0]!r}; it is another kind of file than expected here")
    return file


def _step_row(step: Step) -> dict[str, Any]:
    return {
        "query": step.query,
        "retrieved": list(step.retrieved),
        "passages": [
            {"id": shown.id, "title": shown.title, "text": shown.text, "score": shown.score} for shown in step.passages
        ],
        "rationale": step.rationale,
        "left_out": step.left_out,
        "prompt_tokens": step.usage.prompt_tokens,
        "cached_tokens": step.usage.cached_tokens,
        "completion_tokens": step.usage.completion_tokens,
        "seconds": step.usage.seconds,
        "search_seconds": step.search_seconds,
    }


def _step_of(row: Mapping[str, Any]) -> Step:
    return Step(
        query=row["query"],
        retrieved=tuple(row["retrieved"]),
        passages=tuple(Passage(**passage) for passage in row["passages"]),
        rationale=row["rationale"],
        left_out=row["left_out"],
        usage=Usage(row["prompt_tokens"], row["cached_tokens"], row["completion_tokens"], row["seconds"]),
        search_seconds=row["search_seconds"],
    )
