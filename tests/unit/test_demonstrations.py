"""Worked examples: ours obey the form of their strategy, those of a user are checked, and a choice follows its seed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from steper_ray.config import load_config
from steper_ray.core.answers import holds_marker
from steper_ray.core.types import Strategy, Trajectory
from steper_ray.data.demonstrations import BUILTIN, choose, demonstrations_of, read_demonstrations
from steper_ray.errors import ConfigError, InputError
from steper_ray.sections.model import ModelSection

BUILTINS = {strategy: read_demonstrations(BUILTIN / f"{strategy}.jsonl") for strategy in Strategy}
EACH = [(strategy, found) for strategy, examples in BUILTINS.items() for found in examples]
SENTENCES = re.compile(r"[.?](?= |$)")

FORMS = {
    Strategy.REASONING_PATH: (r"(?!Follow up:|So the).+\.", r"(?!Follow up:|So the).+\.", r"So the answer is: .+\."),
    Strategy.SELF_ASK: (
        r"Follow up: [^?]+\?",
        r"Intermediate answer: [^?]+\. Follow up: [^?]+\?",
        r"Intermediate answer: [^?]+\. So the answer is: .+\.",
    ),
}


def told(trajectory: Trajectory) -> str:
    return " ".join(f"{p.title} {p.text}" for step in trajectory.steps for p in step.passages).casefold()


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("strategy", Strategy)
def test_ours_are_at_least_eight_and_of_different_lengths(strategy: Strategy) -> None:
    found = BUILTINS[strategy]
    assert len(found) >= 8
    assert len({example.question.text for example in found}) == len(found)
    assert {len(example.steps) for example in found} == {2, 3, 4}


@pytest.mark.parametrize(("strategy", "example"), EACH, ids=lambda value: getattr(value, "answer", None))
def test_each_of_ours_has_the_form_of_its_strategy(strategy: Strategy, example: Trajectory) -> None:
    first, middle, last = FORMS[strategy]
    *before, final = [step.rationale for step in example.steps]
    for number, rationale in enumerate(before):
        assert re.fullmatch(first if number == 0 else middle, rationale), rationale
        assert not holds_marker(rationale)
    assert re.fullmatch(last, final), final
    assert all(len(SENTENCES.findall(step.rationale)) <= 2 for step in example.steps)
    assert all(len(step.rationale.split()) <= 30 for step in example.steps)


@pytest.mark.parametrize(("strategy", "example"), EACH, ids=lambda value: getattr(value, "answer", None))
def test_each_of_ours_can_be_answered_from_its_passages_among_which_some_do_not_help(
    strategy: Strategy, example: Trajectory
) -> None:
    assert example.answer in ("yes", "no") or example.answer.casefold() in told(example)
    for step in example.steps[:-1]:
        assert len(step.passages) == 2
    assert all(5 <= len(p.text.split()) <= 40 for step in example.steps for p in step.passages)


@pytest.mark.parametrize("example", BUILTINS[Strategy.SELF_ASK], ids=lambda example: example.answer)
def test_each_intermediate_answer_of_ours_stands_in_the_passages_before_it(example: Trajectory) -> None:
    for number, step in enumerate(example.steps[1:]):
        answer = step.rationale.removeprefix("Intermediate answer: ").partition(". ")[0].casefold()
        passages = " ".join(passage.text for passage in example.steps[number].passages).casefold()
        assert answer in passages, answer


def test_builtin_are_those_of_the_strategy() -> None:
    section = ModelSection(demonstrations="builtin")
    assert demonstrations_of(section, Strategy.SELF_ASK) == BUILTINS[Strategy.SELF_ASK]
    assert demonstrations_of(ModelSection(), Strategy.SELF_ASK) == ()


def test_a_setting_is_the_word_builtin_or_a_path() -> None:
    values = ["builtin", "d.jsonl", "./builtin"]
    found = [load_config(None, [f"teacher.demonstrations={value}"]).teacher.demonstrations for value in values]
    assert found == ["builtin", Path("d.jsonl"), Path("builtin")]


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    steps = [{"rationale": "A  is in B.", "passages": [{"title": "A", "text": "A is in B."}]}]
    path = write(
        tmp_path / "d.jsonl", {"question": "Where is A?", "steps": [*steps, {"rationale": "So the answer is: B."}]}
    )
    (found,) = demonstrations_of(ModelSection(demonstrations=path), Strategy.REASONING_PATH)
    assert [step.rationale for step in found.steps] == ["A is in B.", "So the answer is: B."]
    assert (found.question.text, found.answer, found.steps[0].passages[0].title) == ("Where is A?", "B", "A")


def test_count_and_seed_choose_and_order() -> None:
    ours = BUILTINS[Strategy.REASONING_PATH]
    assert choose(ours, None, 3) == ours
    chosen = [choose(ours, 4, seed) for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]
    assert all(len(set(examples)) == 4 and set(examples) <= set(ours) for examples in chosen)
    assert choose(ours, len(ours), 0) != ours


@pytest.mark.parametrize(("settings", "found"), [({"demonstrations": "builtin"}, 10), ({}, 0)])
def test_more_than_there_are_is_refused(settings: dict[str, Any], found: int) -> None:
    section = ModelSection(demonstrations_count=99, **settings)
    with pytest.raises(ConfigError, match=f"demonstrations_count asks for 99 worked examples, found {found}; lower it"):
        demonstrations_of(section, Strategy.REASONING_PATH)


GOOD = {"rationale": "So the answer is: B."}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"steps": [GOOD]}, r"line 1, field 'question': Field required"),
        ({"question": "Q?", "steps": [{}]}, r"line 1, field 'steps\.0\.rationale': Field required"),
        ({"question": "Q?", "steps": []}, r"line 1, field 'steps': the last rationale does not hold"),
        ({"question": "Q?", "steps": [{"rationale": "B."}]}, r"line 1, field 'steps': the last rationale does not"),
        (
            {"question": "Q?", "steps": [GOOD, GOOD]},
            r"line 1, field 'steps\.0': .* ends the reasoning, but steps follow",
        ),
        ({"question": "Q?", "steps": [{"rationale": " "}, GOOD]}, r"field 'steps\.0\.rationale': is empty"),
        ({"question": " ", "steps": [GOOD]}, r"line 1, field 'question': is empty"),
    ],
)
def test_a_faulty_example_is_refused(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_demonstrations(write(tmp_path / "d.jsonl", row))


def test_a_file_without_examples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no worked example"):
        read_demonstrations(write(tmp_path / "d.jsonl"))
