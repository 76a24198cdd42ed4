"""Questions of the training found among those evaluated."""

from pathlib import Path

import pytest

from steper_ray.config import load_config
from steper_ray.core.types import Question
from steper_ray.data.contamination import (
    HASHES_FILE,
    Contamination,
    contamination,
    copy_hashes,
    hash_line,
    is_known,
    question_hash,
    read_hashes,
    write_hashes,
)
from steper_ray.errors import RunFolderError
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
