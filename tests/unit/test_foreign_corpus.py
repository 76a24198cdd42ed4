"""A corpus that cannot hold what is asked for is told before the run."""

import json
from pathlib import Path

from steper_ray.core.identity import content_id
from steper_ray.core.types import Passage, Question
from steper_ray.evaluate.foreign_corpus import foreign_corpus_warning, holds_any


def corpus(folder: Path, *titles: str) -> Path:
    path = folder / "corpus.jsonl"
    lines = [{"_id": f"p{n}", "title": title, "text": "Text."} for n, title in enumerate(titles)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_corpus_without_any_gold_title_is_warned_of(tmp_path: Path) -> None:
    questions = [Question("q", "Who?", gold_titles=("Roy Clark", "Hee Haw"))]
    warning = foreign_corpus_warning(corpus(tmp_path, "roy_clark", "hee_haw"), questions)
    assert warning is not None
    assert "none of the questions' 2 gold passages is in" in warning
    assert "not 'Hee Haw' either: recall will be 0" in warning


def test_one_gold_passage_is_enough_and_the_rest_is_not_read(tmp_path: Path) -> None:
    path = corpus(tmp_path, "Roy  Clark")
    path.write_text(path.read_text() + "not JSON\n")
    assert foreign_corpus_warning(path, [Question("q", "Who?", gold_titles=("Roy Clark", "x"))]) is None


def test_ids_count_as_well_and_contents_where_these_are_the_ids() -> None:
    passage = Passage("p1", "Title", "Text.")
    assert holds_any([passage], {"p1"})
    assert holds_any([passage], {content_id("Title", "Text.")})
    assert not holds_any([passage], {"p2"})


def test_what_cannot_be_judged_is_not_warned_of(tmp_path: Path) -> None:
    asked = [Question("q", "Who?", gold_titles=("Roy Clark",))]
    assert foreign_corpus_warning(None, asked) is None
    assert foreign_corpus_warning(tmp_path / "gone.jsonl", asked) is None
    assert foreign_corpus_warning(corpus(tmp_path, "Other"), [Question("q", "Who?")]) is None
    (tmp_path / "corpus.jsonl").write_text("not JSON\n")
    assert foreign_corpus_warning(tmp_path / "corpus.jsonl", asked) is None
