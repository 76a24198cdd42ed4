"""`steper inspect`: what is shown, from real Parquet, at any width."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from steper_ray.config import load_config
from steper_ray.core.types import DropReason, FailureKind, StopReason
from steper_ray.errors import ConfigError, RunFolderError
from steper_ray.generate.samples import samples
from steper_ray.look.findings import Only
from steper_ray.look.run import inspect
from steper_ray.look.words import REASONS

LATE = ("late", FailureKind.TIMEOUT, "no retrieval within 300 s")
LONG = ("long", FailureKind.PROMPT_TOO_LONG, "step 2: the prompt exceeds 2048 tokens")


def shown(folder: Path, *, width: int = 120, **options: object) -> str:
    out = io.StringIO()
    inspect(folder, console=Console(file=out, width=width, highlight=False), **options)
    return out.getvalue()


@pytest.fixture
def generate(generation, tell) -> Path:
    return generation(
        tell("a", "Roy Clark hosted it.", "So the answer is: Hee Haw."),
        tell("a", "Roy Clark hosted it.", "So the answer is: Hee Haw.", path=1),
        tell("b", answer="Opry"),
        tell("c", stop=StopReason.STEP_LIMIT, answer=""),
        failures=[LATE, LONG],
    )


def test_the_overview_counts_every_outcome_and_shows_the_first_of_each(generate: Path) -> None:
    text = shown(generate.parent)
    rows = [line.split() for line in text.splitlines()]
    for outcome in ("kept", "dropped: wrong_answer", "dropped: duplicate_path", "dropped: no_answer"):
        assert [*outcome.split(), "1", "16.7%"] in rows, outcome
    for outcome in ("failed: timeout", "failed: prompt_too_long"):
        assert [*outcome.split(), "1", "16.7%"] in rows, outcome
    assert ["all", "6"] in rows
    assert "no retrieval within 300 s" in text
    assert "rules: correctness=gold" in text


def test_a_question_is_shown_from_query_to_answer_with_gold_marked(generate: Path) -> None:
    text = shown(generate, question="b")
    assert "Step 1 · query 1" in text
    assert "★ gold [8.50] Title 1: Text of a passage." in text
    assert "  [7.50] Title 2: Text of a passage." in text
    assert "→ Roy Clark hosted it." in text
    assert "1 of 2 gold passages shown; not: Title 9" in text
    assert "Opry   EM 0 · F1 0.00 · answered" in text
    assert "dropped: wrong_answer, the answer is not the right one" in text


def test_all_paths_of_a_question_are_shown_with_their_own_fate(generate: Path) -> None:
    first, second = shown(generate, question="a").split("a · path 1")
    assert "kept: 2 samples (init, agg)" in first
    assert "dropped: duplicate_path" in second


def test_a_failure_is_shown_with_kind_attempt_message_and_what_happens_next(generate: Path) -> None:
    text = shown(generate, question="late")
    assert "failed: timeout; the next run tries it again" in text
    assert "attempt 1" in text
    assert "timeout: no retrieval within 300 s" in text
    assert "generate.retry_permanent=true" in shown(generate, question="long")


@pytest.mark.parametrize(
    ("only", "there", "count"),
    [
        (Only.KEPT, ["a"], "1 of 1 kept"),
        (Only.DROPPED, ["a · path 1", "b", "c"], "3 of 3 dropped"),
        (Only.WRONG, ["b", "c"], "2 of 2 wrong"),
        (Only.FAILED, ["late", "long"], "2 of 2 failed"),
    ],
)
def test_only_shows_one_kind(generate: Path, only: Only, there: list[str], count: str) -> None:
    text = shown(generate, only=only)
    assert [line.rstrip(" ─") for line in text.splitlines() if line.endswith("──")] == there
    assert count in text


def test_limit_bounds_what_is_shown(generate: Path) -> None:
    assert "1 of 3 dropped" in shown(generate, only=Only.DROPPED, limit=1)


def test_the_rules_are_those_that_the_samples_were_made_with(generation, tell) -> None:
    generate = generation(*(tell("a", f"Fact {n}.", "So the answer is: Hee Haw.", path=n) for n in range(3)))
    samples(load_config(None, [f"generate.folder={generate}", "samples.keep_paths=1"]))
    text = shown(generate)
    assert "rules: correctness=gold, keep_paths=1" in text
    assert "samples: 2 (1 init, 0 exp, 1 agg)" in text
    assert "dropped: surplus_path" in text


def test_a_majority_is_named_where_it_decided(generation, tell) -> None:
    answers = enumerate(["Opry", "Opry", "Hee Haw"])
    generate = generation(*(tell("a", "f", f"So the answer is: {a}.", answer=a, golds=(), path=n) for n, a in answers))
    samples(load_config(None, [f"generate.folder={generate}", "samples.correctness=majority", "generate.paths=3"]))
    text = shown(generate, question="a")
    assert text.count("the majority says: Opry") == 3
    assert "not known" in text
    assert "majorities: 1 of 1 questions; 0 of 0 with a gold answer agree with it" in shown(generate)


def test_an_evaluation_tells_right_from_wrong_and_keeps_nothing(generate: Path) -> None:
    (generate / "manifest.json").write_text(json.dumps({"phase": "evaluate"}))
    text = shown(generate)
    assert "right" in text
    assert "no answer: step_limit" in text
    assert "rules:" not in text
    assert "2 of 2 wrong" in shown(generate, only=Only.WRONG)
    with pytest.raises(ConfigError, match="--only kept is for generated trajectories"):
        shown(generate, only=Only.KEPT)


def test_markup_and_control_characters_of_a_passage_are_shown_as_text(generation, tell) -> None:
    text = shown(
        generation(tell("a", text="[bold]loud[/bold] [/nonsense] \x1b[31mred\x07 [link=http://x]y[/link]")),
        question="a",
    )
    assert "[bold]loud[/bold] [/nonsense] [31mred [link=http://x]y[/link]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(generation, tell, width: int) -> None:
    generate = generation(
        tell("a-very-long-identifier-of-a-question-that-goes-on", text="long " * 300), tell("b", answer="x " * 90)
    )
    for text in (shown(generate, width=width), shown(generate, width=width, only=Only.DROPPED)):
        assert max(map(len, text.splitlines())) <= width
        assert len(text.splitlines()) < 200


def test_an_unknown_question_gets_the_nearest_and_an_empty_folder_a_remedy(generate: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"no question 'lat' in .*; did you mean 'late'\?"):
        shown(generate, question="lat")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunFolderError, match=r"no trajectories in .*empty; run `steper generate`"):
        shown(tmp_path / "empty")


def test_every_drop_reason_has_words() -> None:
    assert set(REASONS) == set(DropReason)
