"""The question reader: HotpotQA, 2WikiMultiHopQA, MuSiQue and generic files become the same `Question`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from steper_ray.core.identity import content_id
from steper_ray.core.types import Question
from steper_ray.data.aliases import aliases_of, read_aliases
from steper_ray.data.records import Record, read_records
from steper_ray.data.sampling import sampled
from steper_ray.errors import InputError

_ANSWER_REMEDY = "Give `golden_answers` (or `answer`), or run a command that needs no answers"


class QuestionFormat(StrEnum):
    """The format of a question file, told by the fields of its first row."""

    HOTPOTQA = "hotpotqa"
    TWO_WIKI = "2wikimultihopqa"
    MUSIQUE = "musique"
    GENERIC = "generic"


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """The questions of a file, in its order, and the format that was found."""

    questions: tuple[Question, ...]
    format: QuestionFormat
    rows: int | None = None
    """Rows of the file; None when it was read in part."""
    aliased: int = 0
    """Questions whose answer has further names in the file of aliases."""

    def line(self, path: Path) -> str:
        """For the log: `questions: 100 of 7,405 from dev.json (hotpotqa)`."""
        count = len(self.questions)
        if self.rows is None:
            return f"questions: the first {count:,} from {path.name} ({self.format})"
        return f"questions: {count:,} of {self.rows:,} from {path.name} ({self.format})"


def read_questions(
    path: Path,
    limit: int | None = None,
    require_answers: bool = True,
    *,
    sample: int | None = None,
    aliases: Path | None = None,
) -> QuestionSet:
    """All questions of a file, the first `limit`, or `limit` at random; in the file's order, white space squeezed.

    Args:
        path: the file.
        limit: most questions.
        require_answers: refuse questions without a gold answer.
        sample: seed of the random choice, see `data.sampling`; has no meaning without `limit`.
        aliases: file of further names by `answer_id`, see `data.aliases`.

    Raises:
        InputError: broken file, an id or question that is missing, empty, of another type or a duplicate, no answer
            where answers are required, or no question at all.
    """
    format = None
    places: dict[str, str] = {}
    questions = []
    names, aliased = read_aliases(aliases) if aliases else {}, 0
    records, rows = _records(path, limit, sample)
    for record in records:
        format = format or _format(record)
        question = _READERS[format](record, require_answers)
        if question.id in places:
            raise record.fault(
                f"duplicate id, first in {places[question.id]}", field="id", found=question.id, remedy="Ids are unique"
            )
        places[question.id] = record.place
        if further := aliases_of(record, names):
            aliased += 1
            question = replace(question, golden_answers=tuple(dict.fromkeys([*question.golden_answers, *further])))
        questions.append(question)
    if format is None:
        raise InputError("holds no question", file=path)
    if limit is None or len(questions) < limit:
        rows = len(questions)
    return QuestionSet(tuple(questions), format, rows, aliased)


def _records(path: Path, limit: int | None, sample: int | None) -> tuple[Iterable[Record], int | None]:
    """The rows to use, and how many there are where that is known."""
    if limit is None or sample is None:
        return islice(read_records(path), limit), None
    return sampled(path, limit, sample)


def _format(record: Record) -> QuestionFormat:
    fields = record.values.keys()
    if "question_decomposition" in fields or {"paragraphs", "answerable"} <= fields:
        return QuestionFormat.MUSIQUE
    if "supporting_facts" in fields or "_id" in fields:
        return QuestionFormat.TWO_WIKI if "evidences" in fields else QuestionFormat.HOTPOTQA
    if "question" not in fields:
        raise record.fault(
            "is no question of a known format",
            found=sorted(fields),
            remedy="Known are HotpotQA, 2WikiMultiHopQA, MuSiQue, and objects with `id`, `question`, `golden_answers`",
        )
    return QuestionFormat.GENERIC


def _hotpotqa(record: Record, require_answers: bool) -> Question:
    """HotpotQA and 2WikiMultiHopQA; sentence numbers of the supporting facts are not used."""
    titles = _titles(record, record.values.get("supporting_facts"), "supporting_facts")
    return Question(
        id=record.id(),
        text=record.text("question"),
        golden_answers=_answers(record, ("answer", "golden_answers"), require_answers),
        kind=_label(record, record.values, "type"),
        hops=len(titles),
        gold_titles=titles,
    )


def _musique(record: Record, require_answers: bool) -> Question:
    if record.values.get("answerable") is False:
        raise record.fault(
            "cannot be answered from its paragraphs", field="answerable", found=False, remedy="Use MuSiQue-Ans"
        )
    paragraphs = _list(record, record.values.get("paragraphs"), "paragraphs")
    supporting = [row for row in paragraphs if isinstance(row, dict) and row.get("is_supporting")]
    titles = _texts(record, [row.get("title") for row in supporting], "paragraphs[].title")
    id = record.id()
    return Question(
        id=id,
        text=record.text("question"),
        golden_answers=_answers(record, ("answer", "golden_answers"), require_answers),
        kind=id.partition("__")[0] if "__" in id else "",
        hops=len(_list(record, record.values.get("question_decomposition"), "question_decomposition")),
        gold_titles=titles,
        gold_ids=_content_ids(supporting),
    )


def _generic(record: Record, require_answers: bool) -> Question:
    metadata = record.values.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise record.fault("must be an object", field="metadata", found=metadata)
    titles = _texts(record, metadata.get("supporting_titles"), "metadata.supporting_titles")
    titles = titles or _titles(record, metadata.get("supporting_facts"), "metadata.supporting_facts")
    ids = _texts(record, metadata.get("supporting_ids"), "metadata.supporting_ids")
    hops = metadata.get("hops")
    if hops is not None and (not isinstance(hops, int) or isinstance(hops, bool) or hops < 0):
        raise record.fault("must be a whole number", field="metadata.hops", found=hops)
    return Question(
        id=record.id(),
        text=record.text("question"),
        golden_answers=_answers(record, ("golden_answers", "answers", "answer"), require_answers),
        kind=_label(record, metadata, "type"),
        hops=len(titles) or len(ids) if hops is None else hops,
        gold_titles=titles,
        gold_ids=ids,
    )


_READERS = {
    QuestionFormat.HOTPOTQA: _hotpotqa,
    QuestionFormat.TWO_WIKI: _hotpotqa,
    QuestionFormat.MUSIQUE: _musique,
    QuestionFormat.GENERIC: _generic,
}


def _content_ids(paragraphs: list[dict[str, Any]]) -> tuple[str, ...]:
    """MuSiQue's titles are not unique, so its gold passages are known by content; none when a text is missing."""
    texts = [paragraph.get("paragraph_text") for paragraph in paragraphs]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        return ()
    pairs = zip(paragraphs, texts, strict=True)
    return tuple(dict.fromkeys(content_id(paragraph["title"], str(text)) for paragraph, text in pairs))


def _answers(record: Record, fields: tuple[str, ...], required: bool) -> tuple[str, ...]:
    """The gold answer and then its aliases, each once."""
    field = record.first_of(*fields)
    value = record.values.get(field)
    if (value is None or value in ("", [])) and not required:
        return ()
    if value is None or value == []:
        raise record.fault("has no answer", field=field, found=value, remedy=_ANSWER_REMEDY)
    answers = value if isinstance(value, list) else [value]
    cleaned = [record.clean(answer, field, _ANSWER_REMEDY if answer == "" else "") for answer in answers]
    aliases = record.first_of("answer_aliases", "aliases")
    return tuple(dict.fromkeys([*cleaned, *_texts(record, record.values.get(aliases), aliases)]))


def _titles(record: Record, facts: Any, field: str) -> tuple[str, ...]:
    """Supporting titles of `[[title, sentence], …]` or, as in Parquet, `{title: […], sent_id: […]}`."""
    if isinstance(facts, Mapping):
        return _texts(record, facts.get("title"), f"{field}.title")
    rows = _list(record, facts, field)
    for row in rows:
        if not isinstance(row, list) or not row:
            raise record.fault("must be a list of [title, sentence]", field=field, found=row)
    return _texts(record, [row[0] for row in rows], field)


def _texts(record: Record, value: Any, field: str) -> tuple[str, ...]:
    """Distinct texts in their order; whole numbers count as text, since ids may be numbers."""
    texts: Iterable[Any] = (str(item) if type(item) is int else item for item in _list(record, value, field))
    return tuple(dict.fromkeys(record.clean(item, field) for item in texts))


def _list(record: Record, value: Any, field: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise record.fault("must be a list", field=field, found=value)
    return value


def _label(record: Record, values: Mapping[str, Any], field: str) -> str:
    value = values.get(field)
    return "" if value is None or value == "" else record.clean(value, field)
