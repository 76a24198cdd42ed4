"""The data card: `load_dataset` reads the folder by it, and no text of a passage breaks it."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from steper_ray.backends.index_facts import IndexFacts, write_facts
from steper_ray.config import load_config
from steper_ray.core.types import LoopSettings
from steper_ray.generate.markdown import block, plain, table
from steper_ray.generate.samples import samples

HOSTILE = "```\n---\n# Heading\n````` </details> <script>alert(1)</script> | a | b | \x1b[31m {{x}}"

PATHS = list(enumerate(("Hee Haw", "Hee Haw", "Opry")))


@pytest.fixture
def card(generation, tell) -> Path:
    generate = generation(
        tell("a|b`c#1", "First.", "Second.", "So the answer is: Hee Haw.", text=HOSTILE), tell("b", answer="Opry")
    )
    settings = ["samples.messages=true", "samples.licence=CC-BY-SA-4.0", 'samples.name="Shows: `all` # of | them"']
    samples(load_config(None, [f"generate.folder={generate}", *settings]))
    return generate / "samples" / "README.md"


def test_datasets_loads_the_folder_as_it_is(card: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    where = {"cache_dir": str(tmp_path / "cache"), "split": "train"}
    found = load_dataset(str(card.parent), **where)
    assert found["id"] == ["a|b`c#1#0#1", "a|b`c#1#0#2", "a|b`c#1#0#3"]
    assert found[2]["completion"] == [{"role": "assistant", "content": "So the answer is: Hee Haw."}]
    chats = load_dataset(str(card.parent), "messages", **where)
    assert len(chats[0]["messages"]) == 6


def test_the_front_matter_is_yaml_and_names_the_licence(card: Path) -> None:
    _, front, _ = card.read_text().split("---\n", 2)
    values = yaml.safe_load(front)
    assert values["license"] == "cc-by-sa-4.0"
    assert values["pretty_name"] == "Shows: `all` # of | them"
    assert values["size_categories"] == ["n<1K"]
    assert "language" not in values
    assert [config["config_name"] for config in values["configs"]] == ["samples", "messages"]


@pytest.mark.parametrize(
    ("k1", "settings", "language"),
    [
        (0.9, [], ["ko"]),
        (0.9, ["index.language=en"], ["ko"]),
        (1.2, [], None),
        (0.9, ["index.folder=none"], None),
        (0.9, ["index.folder=none", "index.language=ko"], None),
    ],
)
def test_the_language_is_that_of_the_index_that_was_searched_and_no_guess(
    generation, tell, tmp_path: Path, k1: float, settings: list[str], language: list[str] | None
) -> None:
    facts = IndexFacts(1, "d", "ko", "a", k1, 0.4)
    (tmp_path / "index" / "lucene").mkdir(parents=True)
    write_facts(tmp_path / "index", facts)
    generate = generation(tell("a"))
    parts = {"loop": asdict(LoopSettings()), "model": {}, "index": replace(facts, k1=0.9).identity()}
    (generate / "fingerprint.json").write_text(json.dumps(parts))
    index = f"index.folder={tmp_path / 'index'}"
    samples(load_config(None, [f"generate.folder={generate}", index, *settings]))
    _, front, _ = (generate / "samples" / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front).get("language") == language


def test_passages_stay_inside_their_block(card: Path) -> None:
    body = card.read_text().split("---\n", 2)[2]
    outside, fence = [], ""
    for line in body.splitlines():
        if not fence and line.startswith("```"):
            fence = line.removesuffix("text").removesuffix("python")
        elif fence and line == fence:
            fence = ""
        elif not fence:
            outside.append(line)
    assert not fence
    headings = [line for line in outside if line.startswith("#")]
    assert headings[0] == "# Shows: \\`all\\` \\# of \\| them"
    assert headings[-3:] == ["### reasoning_initialization", "### reasoning_expansion", "### reasoning_aggregation"]
    assert "Heading" not in "".join(headings)
    assert "<script>" not in "\n".join(outside)
    assert "\x1b" not in body


def test_the_card_tells_counts_teacher_rule_and_settings(card: Path) -> None:
    text = card.read_text()
    for line in (
        "| reasoning_initialization | 1 | 33.3% |",
        "| finished | 2 |",
        "| dropped: wrong_answer | 1 |",
        "| teacher | teacher-70b |",
        "| loop.k | 4 |",
        "holds one as a run of whole tokens",
    ):
        assert line in text, line


def test_the_card_of_a_majority_says_that_no_gold_answers_decided(generation, tell) -> None:
    paths = [tell("a", "First.", f"So the answer is: {said}.", answer=said, path=n, golds=()) for n, said in PATHS]
    generate = generation(*paths)
    settings = ["samples.correctness=majority", "generate.paths=3"]
    samples(load_config(None, [f"generate.folder={generate}", *settings]))
    text = (generate / "samples" / "README.md").read_text()
    assert "**No gold answers decided here.** A trajectory is used when its answer, normalised, is the one" in text
    assert "A trajectory is used when its answer is a gold answer" not in text
    assert "| dropped: wrong_answer | 1 |" in text


def test_a_fence_is_longer_than_any_run_of_backticks_inside() -> None:
    assert block("a ```` b").splitlines() == ["`````text", "a ```` b", "`````"]
    assert block("plain").splitlines()[0] == "```text"


def test_a_cell_shows_markup_as_text() -> None:
    assert plain("a_b *c* | <d>\n_e_") == r"a_b \*c\* \| \<d\> \_e\_"
    assert table(("x",), [("1|2",)]).splitlines()[-1] == r"| 1\|2 |"
