"""Predictions in the form that each data set's own evaluation script reads; nothing in them is invented."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steper_ray.data.paragraphs import Numbers, paragraph_numbers
from steper_ray.data.questions import QuestionFormat, QuestionSet
from steper_ray.evaluate.prediction import Prediction
from steper_ray.runs import write_text

FILES: Mapping[QuestionFormat, str] = {
    QuestionFormat.HOTPOTQA: "predictions.hotpotqa.json",
    QuestionFormat.TWO_WIKI: "predictions.2wikimultihopqa.json",
    QuestionFormat.MUSIQUE: "predictions.musique.jsonl",
}
"""By format of the questions; a generic file has no script of its own."""


def official_numbers(asked: QuestionSet, source: Path) -> dict[str, Numbers]:
    """What MuSiQue's file calls its paragraphs, by question id; empty for another format.

    Raises:
        InputError: see `paragraph_numbers`.
    """
    if asked.format is not QuestionFormat.MUSIQUE:
        return {}
    return paragraph_numbers(source, {question.id for question in asked.questions})


def write_official(
    folder: Path, format: QuestionFormat, predictions: Sequence[Prediction], numbers: Mapping[str, Numbers]
) -> Path | None:
    """Write the file of the questions' format; None where there is none.

    Args:
        folder: the evaluation's.
        format: of the questions.
        predictions: one per question, in the order of the file.
        numbers: MuSiQue's paragraph numbers, see `official_numbers`.
    """
    match format:
        case QuestionFormat.GENERIC:
            return None
        case QuestionFormat.MUSIQUE:
            text = musique_lines(predictions, numbers)
        case QuestionFormat.TWO_WIKI:
            text = _json({**answers_and_support(predictions), "evidence": _nothing(predictions)})
        case QuestionFormat.HOTPOTQA:
            text = _json(answers_and_support(predictions))
    path = folder / FILES[format]
    write_text(path, text)
    return path


def answers_and_support(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """HotpotQA's form: `answer` by id, without those that have none, and `sp` by id.

    The scripts count a question that is missing in `answer` as wrong. No sentences are predicted, so each list in `sp`
    is empty.
    """
    answers = {prediction.question.id: prediction.answer for prediction in predictions if prediction.answered}
    return {"answer": answers, "sp": _nothing(predictions)}


def musique_lines(predictions: Sequence[Prediction], numbers: Mapping[str, Numbers]) -> str:
    """MuSiQue's form: one line per question, in the order of its file, an empty answer where there is none.

    Supporting paragraphs are those of the question's own list that were retrieved. Only answerable questions are asked.
    """
    rows = [
        {
            "id": prediction.question.id,
            "predicted_answer": prediction.answer,
            "predicted_support_idxs": _retrieved(prediction, numbers.get(prediction.question.id, {})),
            "predicted_answerable": True,
        }
        for prediction in predictions
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _retrieved(prediction: Prediction, numbers: Numbers) -> list[int]:
    return sorted(number for name, found in numbers.items() if name in prediction.contents for number in found)


def _nothing(predictions: Sequence[Prediction]) -> dict[str, list[Any]]:
    return {prediction.question.id: [] for prediction in predictions}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
