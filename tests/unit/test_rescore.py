"""`steper score`: files of predictions against gold files, and those that do not fit."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from steper_ray.cli import main
from steper_ray.data.questions import QuestionFormat
from steper_ray.errors import InputError
from steper_ray.evaluate.given import Form, Given, read_given
from steper_ray.evaluate.gold_support import read_gold_support
from steper_ray.evaluate.rescore import Missing, Rescored, score_file

GOLDS = {"a": "Hee Haw", "b": "yes", "c": "The The", "d": "Barra Island"}


def hotpotqa(folder: Path, name: str = "gold.json", golds: dict[str, str] = GOLDS) -> Path:
    rows = [
        {
            "_id": id,
            "question": f"What is {id}?",
            "answer": gold,
            "type": "bridge" if id < "c" else "comparison",
            "supporting_facts": [["Roy  Clark", 0], ["Hee Haw", 2]],
        }
        for id, gold in golds.items()
    ]
    return written(folder / name, json.dumps(rows))


def musique(folder: Path) -> Path:
    rows = [
        {
            "id": id,
            "question": f"What is {id}?",
            "answer": gold,
            "answer_aliases": [f"{gold} (other)"],
            "answerable": True,
            "question_decomposition": [{}, {}],
            "paragraphs": [
                {"idx": number, "title": f"T{number}", "paragraph_text": "Text.", "is_supporting": number in (1, 4)}
                for number in range(5)
            ],
        }
        for id, gold in GOLDS.items()
    ]
    return lines(folder / "gold.jsonl", rows)


def lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    return written(path, "".join(json.dumps(row) + "\n" for row in rows))


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def answers(folder: Path, values: dict[str, Any], **others: Any) -> Path:
    return written(folder / "predictions.json", json.dumps({"answer": values, **others}, indent=1))


def exact(found: Rescored) -> list[float]:
    return [prediction.exact_match for prediction in found.predictions]


def f1(found: Rescored) -> list[float]:
    return [round(prediction.f1, 4) for prediction in found.predictions]


# The forms


def test_hotpotqas_form_is_scored_by_its_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = answers(tmp_path, {"a": "the hee haw!", "b": "yes it is", "c": "", "d": "Barra"}, sp={})
    found = score_file(path, hotpotqa(tmp_path))
    # Of "The The" nothing is left, nor of an empty text that was given: EM, and F1 0 of no tokens. yes counts by EM.
    assert exact(found) == [1.0, 0.0, 1.0, 0.0]
    assert f1(found) == [1.0, 0.0, 0.0, 0.6667]
    shown = capsys.readouterr().out
    assert "4 predictions in HotpotQA's or 2WikiMultiHopQA's form, of 4 questions (hotpotqa)" in shown
    assert "By kind" in shown
    # No sentence is predicted anywhere, so none is scored.
    assert "support" not in shown


def test_supporting_sentences_are_scored_where_they_are_given(tmp_path: Path) -> None:
    support = {"a": [["Roy Clark", 0], ["Hee Haw", 2]], "b": [["Roy Clark", 0]], "c": [["Roy Clark", 1]]}
    path = answers(tmp_path, {**GOLDS}, sp=support)
    found = score_file(path, hotpotqa(tmp_path))
    rows = [prediction.support for prediction in found.predictions]
    assert all(rows)
    assert [(row.exact_match, row.precision, row.recall) for row in rows if row] == [
        (1.0, 1.0, 1.0),
        (0.0, 1.0, 0.5),
        (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
    ]
    # Joint: the product with the answer's, which is right.
    assert rows[1] is not None
    assert rows[1].joint_f1 == pytest.approx(2 / 3)


def test_a_question_in_sp_alone_has_no_answer_and_is_not_missing(tmp_path: Path) -> None:
    path = answers(tmp_path, {"a": "Hee Haw"}, sp={id: [] for id in GOLDS})
    found = score_file(path, hotpotqa(tmp_path))
    # The empty answer that was not given is missing: "The The" counts 0.
    assert exact(found) == [1.0, 0.0, 0.0, 0.0]
    assert found.missing == 0


def test_musiques_form_has_aliases_paragraphs_and_its_own_rule_for_nothing(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "predicted_answer": "Hee Haw other", "predicted_support_idxs": [1, 4]},
        {"id": "b", "predicted_answer": "yes it is", "predicted_support_idxs": [1, 4, 3, 2]},
        {"id": "c", "predicted_answer": "", "predicted_support_idxs": []},
        {"id": "d", "predicted_answer": "none", "predicted_support_idxs": [0]},
    ]
    found = score_file(lines(tmp_path / "p.jsonl", rows), musique(tmp_path))
    assert exact(found) == [1.0, 0.0, 1.0, 0.0]
    # 2 · (1/3 · 1) / (4/3); an empty text agrees with one of which nothing is left.
    assert f1(found) == [1.0, 0.5, 1.0, 0.0]
    support = [prediction.support for prediction in found.predictions]
    assert [row.f1 for row in support if row] == pytest.approx([1.0, 2 / 3, 0.0, 0.0])


def test_our_own_file_gives_what_the_evaluation_gave(tmp_path: Path) -> None:
    rows = [
        {"id": id, "question": f"What is {id}?", "answer": answer, "stop": stop, "failure": failure}
        for id, answer, stop, failure in (
            ("a", "Hee Haw", "answered", None),
            ("b", "yes", "answered", None),
            ("c", "", "empty_answer", None),
            ("d", "", None, "timeout"),
        )
    ]
    found = score_file(lines(tmp_path / "predictions.jsonl", rows), hotpotqa(tmp_path))
    assert exact(found) == [1.0, 1.0, 0.0, 0.0]


def test_aliases_of_a_file_count(tmp_path: Path) -> None:
    gold = json.loads(hotpotqa(tmp_path).read_text())
    rows = [{**row, "evidences": [], "answer_id": "Q1"} for row in gold]
    aliases = lines(tmp_path / "aliases.jsonl", [{"Q_id": "Q1", "aliases": ["Opry"], "demonyms": []}])
    path = answers(tmp_path, dict.fromkeys(GOLDS, "opry"))
    assert exact(score_file(path, lines(tmp_path / "gold.jsonl", rows), aliases=aliases)) == [1.0] * 4


def test_the_command_prints_tables_and_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, gold = answers(tmp_path, {**GOLDS, "d": "x"}), hotpotqa(tmp_path)
    assert main(["score", str(path), str(gold), "--out", str(tmp_path / "page.md")]) == 0
    page = (tmp_path / "page.md").read_text()
    assert "| EM | 75.0 |" in page
    assert "| comparison | 2 | 50.0 (0.0 to 100.0) | 0.0 (0.0 to 84.2) |" in page
    assert "tokens per question" not in page
    assert "Scores of 4 questions" in capsys.readouterr().out
    assert main(["score", str(path), str(gold), "--out", str(tmp_path / "none" / "page.md")]) == 2
    assert "is no folder" in capsys.readouterr().err


# What does not fit


def test_missing_ids_are_refused_with_their_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, gold = answers(tmp_path, {"b": "yes", "a": "Hee Haw"}), hotpotqa(tmp_path)
    assert main(["score", str(path), str(gold)]) == 2
    told = capsys.readouterr().err
    assert "has no prediction for 2 of the questions in" in told
    assert "(hotpotqa, 4 questions), such as 'c'. --missing wrong scores them 0" in told


@pytest.mark.parametrize(("missing", "expected"), [("wrong", [1.0, 1.0, 0.0, 0.0]), ("leave-out", [1.0, 1.0])])
def test_missing_ids_may_score_nothing_or_be_left_out_and_it_is_said(
    missing: str, expected: list[float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = answers(tmp_path, {"b": "yes", "a": "Hee Haw"})
    assert exact(score_file(path, hotpotqa(tmp_path), missing=Missing(missing))) == expected
    assert "warning: 2 questions have no prediction and" in capsys.readouterr().out


def test_unknown_ids_are_refused_with_their_number(tmp_path: Path) -> None:
    path = answers(tmp_path, {**GOLDS, "x1": "x", "x2": "y"})
    with pytest.raises(InputError, match=r"2 of 6 predicted ids are not in .*gold\.json .*; found 'x1'"):
        score_file(path, hotpotqa(tmp_path), missing=Missing.WRONG)


def test_the_gold_file_of_another_data_set_is_told(tmp_path: Path) -> None:
    path = lines(tmp_path / "p.jsonl", [{"id": f"2hop__{n}", "predicted_answer": "x"} for n in range(3)])
    with pytest.raises(InputError, match=r"predicts none of the questions in .*\(hotpotqa, 4 questions\), but 3 oth"):
        score_file(path, hotpotqa(tmp_path))


def test_ids_of_another_version_with_other_texts_are_refused(tmp_path: Path) -> None:
    rows = [{"id": id, "question": "What is that?", "answer": "x", "stop": "answered"} for id in GOLDS]
    with pytest.raises(InputError, match=r"4 of 4 questions have another text in .*found 'What is that\?'"):
        score_file(lines(tmp_path / "p.jsonl", rows), hotpotqa(tmp_path))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"answer": {"a": "x", "b": "y", "a": "z"}}', r"field 'answer': duplicate id; found 'a'"),
        ('{"id": "a", "predicted_answer": "x"}\n' * 2, r"line 2, field 'id': duplicate id, first in line 1; found 'a'"),
        ('{"answer": {"a": 3}}', r"field 'answer\.a': must be text; found 3"),
        ('{"answer": {"a": "x"}, "sp": {"a": [["T"]]}}', r"field 'sp\.a': must be a list of \[title, sentence number"),
        ('{"answer": {"a": "x"}, "sp": []}', None),
        ('{"answer": {"a": "x"}, "sp": ["T"]}', r"field 'sp': must be an object"),
        ('{"answer": {}}', "holds no prediction"),
        ("", "holds no prediction"),
        ('{"id": "a", "predicted_answer": null}', r"field 'predicted_answer': must be text"),
        ('{"id": "a", "predicted_answer": "x", "predicted_support_idxs": ["1"]}', "list of paragraph numbers"),
        (
            '{"id": "a", "text": "x"}',
            r"is no prediction of a known form; found \['id', 'text'\]\. Known are HotpotQA's",
        ),
        ('{"id": "a"', "line 1: broken JSON"),
        ('["a"]', "must be a JSON object"),
    ],
)
def test_a_broken_file_is_named_with_its_place(text: str, told: str | None, tmp_path: Path) -> None:
    path = written(tmp_path / "predictions.json", text)
    if told is None:
        assert read_given(path) == Given(Form.HOTPOTQA, {"a": "x"})
        return
    with pytest.raises(InputError, match=told):
        read_given(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_given(tmp_path / "none.json")


def test_gold_support_without_sentence_numbers_is_refused(tmp_path: Path) -> None:
    rows = [{"_id": "a", "question": "?", "answer": "x", "supporting_facts": [["T"]]}]
    with pytest.raises(
        InputError, match=r"field 'supporting_facts': must be \[title, sentence number\]; found \['T'\]"
    ):
        read_gold_support(lines(tmp_path / "g.jsonl", rows), QuestionFormat.HOTPOTQA)
    assert read_gold_support(tmp_path / "g.jsonl", QuestionFormat.GENERIC) == {}
