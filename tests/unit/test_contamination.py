"""Questions of the training found among those evaluated."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from steper_ray.config import load_config
from steper_ray.core.types import Question
from steper_ray.data.contamination import (
    HASHES_FILE,
    Contamination,
    Trained,
    contamination,
    copy_hashes,
    hash_line,
    is_known,
    question_hash,
    read_hashes,
    samples_warning,
    told_contamination,
    write_hashes,
)
from steper_ray.errors import RunFolderError
from steper_ray.experiments.configs import samples_folder
from steper_ray.experiments.members import Form
from steper_ray.experiments.notes import question_notes
from steper_ray.generate.samples import samples

SHOW = Question("q1", "Which show did Roy Clark host?")
TOWN = Question("q2", "Where does the Essel flow?")


def test_questions_are_known_by_id_or_by_text(tmp_path: Path) -> None:
    write_hashes(tmp_path, [hash_line(SHOW), hash_line(TOWN), hash_line(SHOW)])
    trained = read_hashes(tmp_path)
    assert trained is not None
    asked = [
        SHOW,  # both
        Question("q2", "Another question under this id?"),
        Question("q9", "  where does ESSEL flow"),  # an article, punctuation and case apart, the same text
        Question("q10", "Where does the Essel end?"),
    ]
    found = contamination(asked, trained)
    assert found == Contamination(questions=4, trained=2, by_id=2, by_text=2, either=3)
    assert [is_known(question, trained) for question in asked] == [True, True, True, False]
    assert found.warning() == (
        "3 of 4 evaluated questions occur among the 2 that the student's training samples were made of "
        "(2 by id, 2 by text)"
    )
    assert contamination(asked[3:], trained).warning() == ""


def test_an_id_is_not_mistaken_for_a_text(tmp_path: Path) -> None:
    write_hashes(tmp_path, [hash_line(Question("essel", "q2"))])
    trained = read_hashes(tmp_path)
    assert trained is not None
    assert not is_known(Question("q2", "essel"), trained)


def test_texts_of_which_normalisation_leaves_nothing_are_told_apart() -> None:
    assert question_hash("The?") != question_hash("A?")


def test_the_file_goes_with_the_weights(tmp_path: Path) -> None:
    samples_folder, weights = tmp_path / "samples", tmp_path / "weights"
    for folder in (samples_folder, weights):
        folder.mkdir()
    assert not copy_hashes(samples_folder, weights)
    assert read_hashes(weights) is None
    write_hashes(samples_folder, [hash_line(SHOW)])
    assert copy_hashes(samples_folder, weights)
    assert read_hashes(weights) == read_hashes(samples_folder)


@pytest.mark.parametrize("text", ["0123456789abcdef\n", "0123456789abcdef 0123\n", "x y\n", "\n", "é\n"])
def test_a_broken_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / HASHES_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"questions\.hashes cannot be read.*export the weights again"):
        read_hashes(tmp_path)


def test_the_samples_job_writes_down_the_questions_it_used(generation, tell) -> None:
    generate = generation(
        tell("a"), tell("a", "Other.", "So the answer is: Hee Haw.", path=1), tell("b", answer="Opry")
    )
    samples(load_config(None, [f"generate.folder={generate}"]))
    trained = read_hashes(generate / "samples")
    assert trained is not None
    assert len(trained.ids) == 1
    assert is_known(Question("x", "Which show is meant in a?"), trained)
    # b was answered wrong, so no sample is made of it.
    assert not is_known(Question("b", "Which show is meant in b?"), trained)


def hashes_of(folder: Path, *questions: Question) -> Trained:
    folder.mkdir(parents=True, exist_ok=True)
    write_hashes(folder, map(hash_line, questions))
    found = read_hashes(folder)
    assert found is not None
    return found


def test_held_out_samples_of_questions_that_were_trained_on_are_counted(tmp_path: Path) -> None:
    trained = hashes_of(tmp_path / "a", SHOW, TOWN)
    other = Question("q7", "Who built the Essel bridge?")
    assert samples_warning(hashes_of(tmp_path / "b", other), trained) == ""
    # The same text under another id.
    held_out = hashes_of(tmp_path / "c", other, Question("q8", SHOW.text))
    assert samples_warning(held_out, trained).startswith(
        "the held-out samples were made of 2 questions, of which 1 occur among the 2 of the training samples (0 by id, "
        "1 by text)"
    )


def test_what_an_evaluation_said_is_read_back(tmp_path: Path) -> None:
    found = contamination([SHOW, TOWN], hashes_of(tmp_path, SHOW))
    assert told_contamination({"contamination": asdict(found)}) == found.warning() != ""
    assert told_contamination({"contamination": asdict(contamination([TOWN], hashes_of(tmp_path, SHOW)))}) == ""
    for nothing in ({}, {"contamination": None}, {"contamination": {"of another": 1}}):
        assert told_contamination(nothing) == ""


def test_an_ablation_says_before_it_trains_which_questions_are_on_both_sides(tmp_path: Path) -> None:
    questions = tmp_path / "dev.jsonl"
    rows = [{"id": one.id, "question": one.text, "golden_answers": ["x"]} for one in (SHOW, TOWN)]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = load_config(None, [f"run.folder={tmp_path}", f"evaluate.questions={questions}"])
    other = Question("q7", "Who built the Essel bridge?")
    hashes_of(samples_folder(config, Form.CUMULATIVE), other)
    assert question_notes(config, [Form.CUMULATIVE]) == []
    # In another form another trajectory was dropped.
    hashes_of(samples_folder(config, Form.TURNS), other, TOWN)
    hashes_of(samples_folder(config, Form.TURNS, held_out=True), TOWN)
    evaluated, held_out = question_notes(config, [Form.CUMULATIVE, Form.TURNS])
    assert evaluated.startswith("1 of 2 evaluated questions occur among the 2 that")
    assert held_out.startswith("the held-out samples were made of 1 questions, of which 1 occur")


def test_an_ablation_says_before_it_trains_that_the_gold_passages_are_not_there(tmp_path: Path) -> None:
    questions, corpus = tmp_path / "dev.json", tmp_path / "corpus.jsonl"
    questions.write_text(
        json.dumps([{"_id": "a", "question": "Who?", "answer": "x", "supporting_facts": [["Roy Clark", 0]]}])
    )
    corpus.write_text(json.dumps({"_id": "p", "title": "Opry", "text": "Text."}) + "\n")
    given = [f"run.folder={tmp_path}", f"evaluate.questions={questions}"]
    assert question_notes(load_config(None, given), []) == []
    (told,) = question_notes(load_config(None, [*given, f"index.corpus={corpus}"]), [])
    assert told.startswith("none of the questions' 1 gold passages is in ")
