"""`steper score`: a file of predictions, whoever made it, against a gold file; nothing is scored that does not fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from steper_ray.core.answers import NOTHING, Overlap
from steper_ray.core.support import Support, support_score
from steper_ray.core.types import Question
from steper_ray.data.questions import QuestionFormat, QuestionSet, read_questions
from steper_ray.errors import InputError, RunFolderError
from steper_ray.evaluate.given import Form, Given, read_given
from steper_ray.evaluate.gold_support import read_gold_support
from steper_ray.evaluate.prediction import Prediction, answer_scores
from steper_ray.evaluate.table import Table, given_tables, markdown, rich_table
from steper_ray.runs import write_text


class Missing(StrEnum):
    """What becomes of gold questions that no prediction names."""

    REFUSE = "refuse"
    WRONG = "wrong"
    """They score 0, as in HotpotQA's script."""
    LEAVE_OUT = "leave-out"
    """The others alone are scored; the tables say of how many."""


@dataclass(frozen=True, slots=True)
class Rescored:
    """Scored predictions, one per question, in the order of the gold file."""

    predictions: tuple[Prediction, ...]
    missing: int
    """Gold questions that no prediction names."""


def score_file(
    predictions: Path,
    gold: Path,
    *,
    aliases: Path | None = None,
    missing: Missing = Missing.REFUSE,
    out: Path | None = None,
    seed: int = 0,
) -> Rescored:
    """Score a file of predictions, print the tables and write them where asked.

    Args:
        predictions: in the form of HotpotQA's, 2WikiMultiHopQA's or MuSiQue's script, or `predictions.jsonl`.
        gold: the questions with their gold answers.
        aliases: 2WikiMultiHopQA's `id_aliases.json`.
        missing: what becomes of questions without a prediction.
        out: a Markdown file.
        seed: of the bootstrap.

    Raises:
        InputError: a file is broken; ids are unknown, missing or there twice; questions have another text.
        RunFolderError: no folder for `out`.
    """
    from rich.console import Console

    if out is not None and not out.absolute().parent.is_dir():
        raise RunFolderError(f"cannot write {out}: {out.absolute().parent} is no folder; make it, or name another")
    given, asked = read_given(predictions), read_questions(gold, aliases=aliases)
    left = check_fit(given, asked, predictions, gold, missing)
    support = read_gold_support(gold, asked.format) if _speak_alike(given, asked.format) else {}
    found = rescore(given, asked, support, leave_out=missing is Missing.LEAVE_OUT)
    tables = given_tables(found.predictions, seed)
    about = _about(predictions, given, asked, left, missing)
    console = Console(highlight=False, soft_wrap=True)
    for line in about:
        console.print(line, markup=False)
    for table in tables:
        console.print(rich_table(table))
    if out is not None:
        _write(out, about, tables)
    return found


def check_fit(given: Given, asked: QuestionSet, predictions: Path, gold: Path, missing: Missing) -> int:
    """Refuse predictions that are not of these questions; returns how many questions have none.

    Raises:
        InputError: says how many ids or texts differ, one of them, and what to do.
    """
    texts = {question.id: question.text for question in asked.questions}
    named = f"{gold} ({asked.format}, {len(texts):,} questions)"
    unknown = [id for id in given.answers if id not in texts]
    if len(unknown) == len(given.answers):
        raise InputError(
            f"predicts none of the questions in {named}, but {len(unknown):,} others",
            file=predictions,
            found=unknown[0],
            remedy=f"Name the gold file of these predictions, whose form is {given.form}",
        )
    if unknown:
        raise InputError(
            f"{len(unknown):,} of {len(given.answers):,} predicted ids are not in {named}",
            file=predictions,
            found=unknown[0],
            remedy="Name the gold file of these predictions, or remove them",
        )
    if other := [id for id, text in given.texts.items() if text != texts[id]]:
        raise InputError(
            f"{len(other):,} of {len(given.texts):,} questions have another text in {named}",
            file=predictions,
            field="question",
            found=given.texts[other[0]],
            remedy=f"There question {other[0]!r} is {texts[other[0]]!r}: another version, or another data set?",
        )
    absent = [id for id in texts if id not in given.answers]
    if absent and missing is Missing.REFUSE:
        raise InputError(
            f"has no prediction for {len(absent):,} of the questions in {named}, such as {absent[0]!r}",
            file=predictions,
            remedy="--missing wrong scores them 0, as HotpotQA's script does; --missing leave-out the others alone",
        )
    return len(absent)


def rescore(
    given: Given, asked: QuestionSet, support: Mapping[str, frozenset[object]], *, leave_out: bool = False
) -> Rescored:
    """Score each question of the gold file; one without an answer scores 0.

    Args:
        given: fits the questions, see `check_fit`.
        asked: the questions, and by their format the rules.
        support: gold sentences or paragraphs by id, of the kind that `given` predicts; empty where they are not scored.
        leave_out: questions that `given` does not name.
    """
    wanted = support if given.support else {}
    predictions = tuple(
        _scored(question, given, wanted.get(question.id), closed_rule=asked.format is not QuestionFormat.MUSIQUE)
        for question in asked.questions
        if question.id in given.answers or not leave_out
    )
    return Rescored(predictions, sum(question.id not in given.answers for question in asked.questions))


def _scored(question: Question, given: Given, gold: frozenset[object] | None, *, closed_rule: bool) -> Prediction:
    answer = given.answers.get(question.id)
    if answer is None:
        return Prediction(question, "", 0.0, 0.0, 0.0, 0.0, support=_support(given, question, gold, 0.0, NOTHING))
    # The scripts score an empty text that was given like any other; in our own files it says that there is none.
    empty_given = given.form is not Form.OURS or not closed_rule
    found = answer_scores(answer, question, closed_rule=closed_rule, empty_given=empty_given)
    return Prediction(
        question=question,
        answer=answer,
        exact_match=found.exact_match,
        f1=found.tokens.f1,
        accuracy_substring=found.accuracy_substring,
        accuracy_tokens=found.accuracy_tokens,
        support=_support(given, question, gold, found.exact_match, found.tokens),
    )


def _support(
    given: Given, question: Question, gold: frozenset[object] | None, exact: float, tokens: Overlap
) -> Support | None:
    return None if gold is None else support_score(given.support.get(question.id, ()), gold, exact, tokens)


def _speak_alike(given: Given, format: QuestionFormat) -> bool:
    """Whether predicted and gold support are of one kind."""
    return bool(given.support) and (given.form is Form.MUSIQUE) == (format is QuestionFormat.MUSIQUE)


def _about(path: Path, given: Given, asked: QuestionSet, missing: int, what: Missing) -> list[str]:
    silent = sum(not answer for answer in given.answers.values())
    lines = [
        f"{path}: {len(given.answers):,} predictions in {given.form} form, of {len(asked.questions):,} questions "
        f"({asked.format}); {silent:,} without an answer score 0."
    ]
    if missing:
        told = "score 0 too" if what is Missing.WRONG else "are left out: the scores are of the others alone"
        lines.append(f"warning: {missing:,} questions have no prediction and {told}.")
    if asked.aliased:
        lines.append(f"{asked.aliased:,} answers have further names.")
    return lines


def _write(out: Path, about: list[str], tables: list[Table]) -> None:
    lines = [part for line in about for part in (line, "")][:-1]
    write_text(out, markdown("Scores of a file", lines, tables))
    print(f"score: written to {out}")
