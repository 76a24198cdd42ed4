"""Prediction files as the data sets' own scripts read them, and the scores that these would compute from them."""

import json
import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from steper_ray.core.identity import content_id
from steper_ray.core.types import FailureKind, Passage, Step, StopReason, Trajectory
from steper_ray.data.questions import QuestionFormat, QuestionSet, read_questions
from steper_ray.errors import InputError
from steper_ray.evaluate.official import official_numbers, write_official
from steper_ray.evaluate.prediction import Prediction, predictions_of
from steper_ray.evaluate.scores import score

ANSWERS = {
    "right": "the Hee Haw.",
    "near": "Barra, an island",
    "closed": "yes, it is",
    "alias": "Éire",
    "empty": "",
    "failed": None,
}
"""What the student said; None: the question failed."""
GOLDS = {
    "right": ["Hee Haw"],
    "near": ["Barra"],
    "closed": ["yes"],
    "alias": ["Ireland", "Éire"],
    "empty": ["The The"],
    "failed": ["Opry"],
}


def hotpotqa_rows(**extra: Any) -> list[dict[str, Any]]:
    return [
        {
            "_id": id,
            "question": f"What is {id}?",
            "answer": golds[0],
            "type": "bridge",
            "supporting_facts": [["Roy Clark", 0], ["Hee Haw", 1]],
            "context": [["Roy Clark", ["He played."]]],
            **extra,
        }
        for id, golds in GOLDS.items()
    ]


def musique_rows() -> list[dict[str, Any]]:
    titles = [("Roy Clark", "He played."), ("Opry", "A show."), ("Hee Haw", "Another show."), ("Opry", "A house.")]
    return [
        {
            "id": id,
            "question": f"What is {id}?",
            "answer": golds[0],
            "answer_aliases": golds[1:],
            "answerable": True,
            "question_decomposition": [{}, {}],
            "paragraphs": [
                {"idx": number + 3, "title": title, "paragraph_text": text, "is_supporting": number in (0, 2)}
                for number, (title, text) in enumerate(titles)
            ],
        }
        for id, golds in GOLDS.items()
    ]


def written(folder: Path, rows: Sequence[Mapping[str, Any]], aliases: Path | None = None) -> tuple[QuestionSet, Path]:
    source = folder / "questions.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_questions(source, aliases=aliases), source


def predicted(asked: QuestionSet) -> list[Prediction]:
    """Each question retrieved `Roy Clark` and `Opry` (the show) under ids of the corpus' own."""
    shown = (Passage("c1", "Roy Clark", "He  played."), Passage("c2", "Opry", "A show."))
    finished = {}
    for question in asked.questions:
        answer = ANSWERS[question.id]
        if answer is not None:
            stop = StopReason.ANSWERED if answer else StopReason.EMPTY_ANSWER
            step = Step(question.text, ("c1", "c2", "c9"), shown, f"So the answer is: {answer}.")
            finished[question.id] = [Trajectory(question, 0, (step,), answer, stop)]
    closed_rule = asked.format is not QuestionFormat.MUSIQUE
    return predictions_of(asked.questions, finished, {"failed": FailureKind.TIMEOUT}, closed_rule=closed_rule)


def file_of(folder: Path, asked: QuestionSet, source: Path) -> Path:
    path = write_official(folder, asked.format, predicted(asked), official_numbers(asked, source))
    assert path is not None
    return path


def tokens(text: str) -> list[str]:
    kept = text.lower().translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\b(?:the|an|a)\b", " ", kept).split()


def f1(prediction: str, gold: str, *, closed: bool) -> float:
    given, wanted = tokens(prediction), tokens(gold)
    if closed and given != wanted and any(side in (["yes"], ["no"], ["noanswer"]) for side in (given, wanted)):
        return 0.0
    if not closed and not (given and wanted):
        return float(given == wanted)
    common = sum(min(count, Counter(wanted)[token]) for token, count in Counter(given).items())
    return 2 * common / (len(given) + len(wanted)) if common else 0.0


def recomputed(answers: Mapping[str, str], golds: Mapping[str, Sequence[str]], *, closed: bool) -> tuple[float, float]:
    """EM and F1 over all gold rows; a question without a prediction scores 0."""
    exact = overlap = 0.0
    for id, wanted in golds.items():
        if id in answers:
            exact += max(tokens(answers[id]) == tokens(gold) for gold in wanted)
            overlap += max(f1(answers[id], gold, closed=closed) for gold in wanted)
    return exact / len(golds), overlap / len(golds)


def ours(asked: QuestionSet) -> tuple[float, float]:
    quality = score(predicted(asked), seed=0).quality
    return quality.exact_match, quality.f1


def test_hotpotqas_file_has_answers_by_id_and_no_invented_support(tmp_path: Path) -> None:
    asked, source = written(tmp_path, hotpotqa_rows())
    path = file_of(tmp_path, asked, source)
    assert path.name == "predictions.hotpotqa.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found.keys() == {"answer", "sp"}
    # A question without an answer is missing, which the script counts as wrong.
    assert found["answer"] == {id: answer for id, answer in ANSWERS.items() if answer}
    assert found["sp"] == {id: [] for id in ANSWERS}
    golds = {id: answers[:1] for id, answers in GOLDS.items()}
    assert ours(asked) == pytest.approx(recomputed(found["answer"], golds, closed=True))
    # 1 of 6 exactly; F1 1 + 2/3 ("barra island") + 0 (yes by EM only) + 0 + 0 + 0.
    assert ours(asked) == pytest.approx((1 / 6, (1 + 2 / 3) / 6))


def test_2wikis_file_has_evidence_too_and_its_aliases_come_from_a_file(tmp_path: Path) -> None:
    aliases = tmp_path / "id_aliases.json"
    row = {"Q_id": "Q27", "aliases": ["Republic of Ireland", "Éire"], "demonyms": ["Irish", ""]}
    aliases.write_text(json.dumps(row) + "\n" + json.dumps({"Q_id": "Q1", "aliases": [], "demonyms": []}) + "\n")
    rows = hotpotqa_rows(evidences=[["Roy Clark", "host", "Hee Haw"]])
    for row in rows:
        row["answer_id"] = "Q27" if row["_id"] == "alias" else None
    asked, source = written(tmp_path, rows, aliases)
    assert asked.format is QuestionFormat.TWO_WIKI
    assert asked.aliased == 1
    assert next(q for q in asked.questions if q.id == "alias").golden_answers == (
        "Ireland",
        "Republic of Ireland",
        "Éire",
        "Irish",
    )
    path = file_of(tmp_path, asked, source)
    assert path.name == "predictions.2wikimultihopqa.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found.keys() == {"answer", "sp", "evidence"}
    assert found["sp"] == found["evidence"] == {id: [] for id in ANSWERS}
    golds = {question.id: question.golden_answers for question in asked.questions}
    assert ours(asked) == pytest.approx(recomputed(found["answer"], golds, closed=True))
    assert ours(asked)[0] == pytest.approx(2 / 6)


def test_musiques_file_has_a_line_per_question_in_its_order_with_the_paragraphs_retrieved(tmp_path: Path) -> None:
    asked, source = written(tmp_path, musique_rows())
    path = file_of(tmp_path, asked, source)
    assert path.name == "predictions.musique.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines] == list(GOLDS)
    assert all(
        line.keys() == {"id", "predicted_answer", "predicted_support_idxs", "predicted_answerable"} for line in lines
    )
    # Numbers as in the file, by content: the other paragraph called Opry was not retrieved.
    assert [line["predicted_support_idxs"] for line in lines] == [[3, 4]] * 5 + [[]]
    assert all(line["predicted_answerable"] is True for line in lines)
    answers = {line["id"]: line["predicted_answer"] for line in lines}
    assert answers["failed"] == ""
    assert ours(asked) == pytest.approx(recomputed(answers, GOLDS, closed=False))
    # Exact: right, alias, and nothing against "The The". F1: 1 + 2/3 + 1/2 ("yes it is": P 1/3, R 1) + 1 + 1 + 0.
    assert ours(asked) == pytest.approx((3 / 6, (1 + 2 / 3 + 1 / 2 + 1 + 1) / 6))


def test_musiques_support_is_the_f1_of_paragraphs(tmp_path: Path) -> None:
    asked, _ = written(tmp_path, musique_rows())
    support = score(predicted(asked), seed=0).support
    assert support is not None
    # c1 is gold, c2 is not, c9 nobody has seen: P 1/3, R 1/2, F1 2/5 for five questions, 0 for the failed one.
    assert support.f1 == pytest.approx(5 * (2 / 5) / 6)
    assert support.precision == pytest.approx(5 / 3 / 6)


def test_a_generic_file_has_no_script(tmp_path: Path) -> None:
    asked, source = written(tmp_path, [{"id": "right", "question": "What?", "golden_answers": ["Hee Haw"]}])
    assert write_official(tmp_path, asked.format, predicted(asked), official_numbers(asked, source)) is None
    assert not list(tmp_path.glob("predictions.*"))


def test_a_paragraph_that_stands_there_twice_has_both_numbers(tmp_path: Path) -> None:
    rows = musique_rows()[:1]
    rows[0]["paragraphs"] += [{"title": "Opry", "paragraph_text": "A show.", "is_supporting": False}]
    asked, source = written(tmp_path, rows)
    numbers = official_numbers(asked, source)["right"]
    # Without a number of its own a paragraph has its place, from 0.
    assert numbers[content_id("Opry", "A show.")] == (4, 4)
    rows[0]["paragraphs"][-1]["idx"] = 9
    asked, source = written(tmp_path, rows)
    assert official_numbers(asked, source)["right"][content_id("Opry", "A show.")] == (4, 9)


@pytest.mark.parametrize(
    ("paragraph", "message"),
    [
        ({"idx": "one", "title": "T", "paragraph_text": "x"}, r"line 1, field 'paragraphs\[\].idx'.*whole number"),
        ("text", r"line 1, field 'paragraphs\[\]'.*must be an object"),
        ({"idx": 1, "paragraph_text": "x"}, "line 1, field 'paragraphs'.*must be text"),
    ],
)
def test_a_broken_paragraph_is_found_before_anything_runs(tmp_path: Path, paragraph: object, message: str) -> None:
    rows = musique_rows()[:1]
    rows[0]["paragraphs"].append(paragraph)
    asked, source = written(tmp_path, rows)
    with pytest.raises(InputError, match=message):
        official_numbers(asked, source)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"aliases": []}', "'Q_id' is missing"),
        ('{"Q_id": "Q1", "aliases": "x"}', "must be a list of texts"),
        ('{"Q_id": "Q1", "demonyms": [1]}', "must be a list of texts"),
        ("{", "line 1"),
    ],
)
def test_a_broken_file_of_aliases_is_refused_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "id_aliases.json").write_text(line + "\n")
    with pytest.raises(InputError, match=message):
        written(tmp_path, hotpotqa_rows(), tmp_path / "id_aliases.json")
