"""What the web page tells of a run: counts that add up, which trajectories, lengths; by hand."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steper_ray.cli import main
from steper_ray.config import load_config
from steper_ray.core.identity import content_id
from steper_ray.core.types import Passage, Question, Step, StopReason, Trajectory
from steper_ray.evaluate.table import Table
from steper_ray.report.chosen import Examples, Shown, typical_rows, worst_rows
from steper_ray.report.funnel import Level, funnel
from steper_ray.report.html import Markup, element, folded, table
from steper_ray.report.lengths import Spread, read_lengths, spread
from steper_ray.report.pictures import line_look
from steper_ray.report.record import read_run
from steper_ray.report.run import _names, report, report_runs
from steper_ray.report.told import tell_trajectory
from steper_ray.report.web import settings_that_differ, web_page
from steper_ray.student.units import Segment, Stage, Unit
from steper_ray.train.store import units_table, write_units


def manifest(folder: Path, phase: str, counts: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = {"phase": phase, "fingerprint": "abc", "counts": counts, "facts": {}, "version": "1", "written": "today"}
    (folder / "manifest.json").write_text(json.dumps(told))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    made = {"asked": 120, "finished": 110, "failed": {"timeout": 6}, "not_started": 4}
    manifest(folder / "generate", "generate", made)
    chosen = {
        "finished": 110,
        "used": 90,
        "dropped": {"wrong_answer": 20},
        "samples": 200,
        "stages": {"reasoning_initialization": 50, "reasoning_expansion": 0, "reasoning_aggregation": 150},
    }
    manifest(folder / "generate" / "samples", "samples", chosen)
    trained = {"trained": 145, "held_out": 15, "dropped_too_long": 5, "not_reached": 25, "not_in_preset": 10}
    manifest(folder / "train", "train", {"samples": 200, **trained})
    return folder


def test_the_funnel_loses_nothing_without_a_reason(run: Path) -> None:
    levels = funnel(read_run(load_config(None, [f"run.folder={run}"])))
    assert levels == [
        Level("questions × paths asked", 120),
        Level("trajectories finished", 110, {"failed: timeout": 6, "not started": 4}),
        Level("trajectories used", 90, {"dropped: wrong_answer": 20}),
        Level("samples made", 200),
        Level(
            "samples trained",
            145,
            {
                "held out": 15,
                "dropped: too_long": 5,
                "not reached: fewer updates than an epoch": 25,
                "not in the loss preset": 10,
            },
        ),
    ]
    assert [level.all for level in levels] == [120, 120, 110, 200, 200]


def test_a_run_that_has_only_generated_is_told_as_far_as_it_is(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "train" / "manifest.json").unlink()
    (path,) = report(load_config(None, [f"run.folder={run}"]))
    page = path.read_text()
    assert "initialization: 50 samples, 25.0%" in page
    assert "expansion: 0 samples, 0.0%" in page
    assert "− 20 dropped: wrong_answer" in page
    assert 'id="scores"' not in page
    assert 'id="difficulty"' not in page


def test_settings_are_those_that_differ_from_the_default() -> None:
    values = load_config(None, ["loop.k=7", "train.batch=16"]).model_dump(mode="json")
    assert settings_that_differ(values) == ["loop.k=7", "train.batch=16"]


# Trajectories


def row(id: str, f1: float, tokens: int, steps: int = 3, stop: str | None = "answered") -> dict[str, Any]:
    shape = {"prompt_tokens": tokens - 10, "completion_tokens": 10, "steps": [{}] * steps}
    return {"id": id, "f1": f1, "exact_match": float(f1 == 1.0), "stop": stop, **shape}


def test_the_worst_are_wrong_and_finished_by_f1_then_cost() -> None:
    rows = [row("a", 1.0, 900), row("b", 0.5, 100), row("c", 0.0, 100), row("d", 0.0, 500), row("e", 0, 0, stop=None)]
    assert [found["id"] for found in worst_rows(rows)] == ["d", "c", "b"]
    assert [found["id"] for found in worst_rows(rows, number=1)] == ["d"]


def test_the_typical_are_near_the_medians_and_as_often_right_as_all() -> None:
    # Median of steps 3, of tokens 300; three of four are right.
    rows = [row("a", 1.0, 300), row("b", 1.0, 300, steps=5), row("c", 1.0, 320), row("d", 0.0, 200)]
    assert [found["id"] for found in typical_rows(rows, number=4)] == ["a", "c", "d", "b"]
    assert [found["id"] for found in typical_rows(rows, number=2)] == ["a", "c"]
    assert typical_rows([row("e", 0, 0, stop=None)]) == []


# Lengths


def test_lengths_are_those_of_units_and_targets(tmp_path: Path) -> None:
    init, agg = Stage.INITIALIZATION, Stage.AGGREGATION
    units = [
        Unit("a", "a", np.arange(10, dtype=np.int32), (Segment("a1", init, 2, 4), Segment("a2", agg, 7, 10))),
        Unit("b", "b", np.arange(20, dtype=np.int32), (Segment("b1", agg, 15, 20),)),
    ]
    write_units(tmp_path / "units.arrow", [units_table(units)])
    lengths = read_lengths(tmp_path / "units.arrow")
    assert lengths is not None
    assert lengths.units == Spread(count=2, median=10, high=20, most=20)
    assert lengths.targets == {"init": Spread(1, 2, 2, 2), "agg": Spread(2, 3, 5, 5)}


def test_a_spread_is_made_of_lengths_that_occur() -> None:
    assert spread(np.arange(1, 11)) == Spread(count=10, median=5, high=9, most=10)


# HTML


def test_foreign_text_is_escaped_once_and_markup_not_at_all() -> None:
    inner = element("b", "<i>&")
    assert inner == Markup("<b>&lt;i&gt;&amp;</b>")
    assert element("p", inner, " x", title='"').text == '<p title="&quot;"><b>&lt;i&gt;&amp;</b> x</p>'
    assert "<b>&lt;i&gt;&amp;</b>" in folded(inner, "x").text
    assert '<th scope="row">&lt;</th><td>1</td>' in table(["a", "b"], [["<", 1]]).text


def test_the_ablation_of_a_run_stands_in_its_report_as_in_its_own_page(run: Path) -> None:
    tables = [
        Table(
            "Scores of 9 questions",
            ("member", "EM, % (95 %)", "seeds"),
            [("vanilla_kd, one_step", "25.0 (9.0 to 30.0)", "20, 30")],
        ),
        Table("Differences in EM", ("difference", "p"), [("steper less vanilla_kd", "< 0.001")]),
    ]
    told = {"rows": [], "about": ["Of <these> weights.", "", "Warning: 2 of 9."], "tables": [*map(asdict, tables)]}
    (run / "ablate").mkdir()
    (run / "ablate" / "ablation.json").write_text(json.dumps(told))
    page = report(load_config(None, [f"run.folder={run}"]))[0].read_text()
    assert '<th scope="row">vanilla_kd, one_step</th><td>25.0<span class="between">9.0 to 30.0</span></td>' in page
    assert '<th scope="row">steper less vanilla_kd</th><td>&lt; 0.001</td>' in page
    assert "<caption>Differences in EM</caption>" in page
    assert '<p>Of &lt;these&gt; weights.</p><p class="warning">Warning: 2 of 9.</p>' in page


def test_an_ablation_of_an_earlier_version_says_how_to_get_its_tables(run: Path) -> None:
    (run / "ablate").mkdir()
    (run / "ablate" / "ablation.json").write_text(json.dumps({"rows": []}))
    assert "writes its tables anew" in report(load_config(None, [f"run.folder={run}"]))[0].read_text()


# Scores


def scored(run: Path, **others: Any) -> str:
    """The page of a run with an evaluation."""
    low_high = {"low": 0.2, "high": 0.8}
    quality = {"questions": 60, "exact_match": 0.5, "f1": 0.55, "accuracy_substring": 0.65, "accuracy_tokens": 0.6}
    scores = {"model": "weights", "quality": {**quality, "tokens": 1234.0}, "exact_match_interval": low_high, **others}
    (run / "evaluate").mkdir()
    (run / "evaluate" / "scores.json").write_text(json.dumps(scores))
    return report(load_config(None, [f"run.folder={run}"]))[0].read_text()


def test_scores_have_both_accs_and_intervals_below_them(run: Path) -> None:
    page = scored(run)
    assert '<td>50.0<span class="between">20.0 to 80.0</span></td><td>55.0</td><td>65.0</td><td>60.0</td>' in page
    assert "<td>1,234</td><td></td>" in page


def test_scores_have_the_seconds_of_their_completions_and_groups_their_intervals(run: Path) -> None:
    group = {"questions": 30, "exact_match": 0.5, "f1": 0.55, "f1_interval": {"low": 0.25, "high": 0.75}}
    page = scored(run, cost={"seconds": 2.5}, by_kind={"bridge": group, "comparison": group})
    assert "<td>1,234</td><td>2.50</td>" in page
    assert '<td>30</td><td>50.0</td><td>55.0<span class="between">25.0 to 75.0</span></td>' in page


@pytest.mark.parametrize(
    "foreign",
    [
        {"em": 0.3},
        {"model": "m", "quality": 0.3},
        {"model": "m", "quality": {"questions": 9, "f1": 0.3}},
        {"quality": dict.fromkeys(("questions", "exact_match", "f1", "accuracy_substring", "accuracy_tokens"), 1)},
    ],
)
def test_scores_that_no_evaluation_wrote_are_left_out_and_named(
    run: Path, foreign: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "notes").mkdir()
    (run / "notes" / "scores.json").write_text(json.dumps(foreign))
    page = scored(run)
    assert '<th scope="row">evaluate</th>' in page
    assert '<th scope="row">notes</th>' not in page
    assert f"warning: {run / 'notes' / 'scores.json'} is left out" in capsys.readouterr().out


def test_questions_that_were_trained_on_are_warned_of_and_the_others_scored(run: Path) -> None:
    known = {"questions": 60, "trained": 9, "by_id": 2, "by_text": 0, "either": 2}
    unseen = {"questions": 58, "exact_match": 0.25, "f1": 0.3, "tokens": 900.0}
    page = scored(run, contamination=known, unseen=unseen)
    assert "Warning: evaluate: 2 of 60 evaluated questions occur among the 9 that" in page
    assert (
        '<th scope="row">not trained on</th><td>58</td><td>25.0</td><td>30.0</td><td></td><td></td><td>900</td>' in page
    )


def test_what_an_evaluation_warned_of_is_told_and_its_notes_are_not(run: Path) -> None:
    page = scored(run, notes=["warning: none of the 9 gold passages is in here", "note: recordings cover all"])
    assert "Warning: evaluate: none of the 9 gold passages is in here." in page
    assert "recordings cover all" not in page


def test_groups_have_all_scores_and_tokens(run: Path) -> None:
    bridge = {"questions": 40, "exact_match": 0.5, "f1": 0.5, "accuracy_substring": 0.75, "accuracy_tokens": 0.7}
    page = scored(run, by_kind={"": {**bridge, "questions": 20}, "bridge": {**bridge, "tokens": 321.0}})
    row = "<td>40</td><td>50.0</td><td>50.0</td><td>75.0</td><td>70.0</td><td>321</td>"
    assert f'<th scope="row">bridge</th>{row}' in page
    assert '<th scope="row">not given</th><td>20</td>' in page


def test_recall_is_that_of_any_of_all_and_their_share(run: Path) -> None:
    page = scored(run, recall=[{"any": 0.75, "all": 0.25, "fraction": 0.5}])
    for measure, value in (("any", "75.0"), ("all", "25.0"), ("fraction", "50.0")):
        assert f'<th scope="row">evaluate: {measure}</th><td>{value}</td>' in page


def test_every_evaluation_has_a_line_of_its_own_look() -> None:
    assert len({line_look(number) for number in range(28)}) == 28
    assert line_look(28) == line_look(0)


# Passages


def told_page(question: Question, *passages: Passage) -> str:
    step = Step("who?", tuple(one.id for one in passages), passages, "So the answer is: x.")
    row = {
        "exact_match": 1.0,
        "golden_answers": ["x"],
        "question": "Who?",
        "answer": "x",
        "f1": 1.0,
        "stop": "answered",
    }
    trajectory = Trajectory(question, 0, (step,), "x", StopReason.ANSWERED)
    return tell_trajectory(Shown({**row, "steps": [{}], "id": "q"}, trajectory)).text


def test_of_passages_with_one_title_the_gold_one_is_known_by_its_content() -> None:
    first, second = Passage("c1", "Opry", "A show.", 2.0), Passage("c2", "Opry", "A house.", 1.0)
    question = Question("q", "Who?", ("x",), gold_titles=("Opry",), gold_ids=(content_id("Opry", "A  house."),))
    page = told_page(question, first, second)
    assert "2 new passages, 1 gold" in page
    assert '<span class="title">Opry</span> [2.00] A show.' in page
    assert '<span class="gold">Opry</span> [1.00] A house.' in page
    # Where only titles are named, both are.
    assert "2 new passages, 2 gold" in told_page(Question("q", "Who?", ("x",), gold_titles=("Opry",)), first, second)


def test_titles_of_folded_passages_are_there_for_paper() -> None:
    page = told_page(Question("q", "Who?", ("x",), gold_ids=("b",)), Passage("a", "One", "x"), Passage("b", "", "y"))
    paper = '<p class="paper">2 new passages, 1 gold: <span class="title">One</span>; <span class="gold">b</span></p>'
    assert paper in page


def test_where_no_answer_is_wrong_there_is_no_heading_for_the_worst(run: Path) -> None:
    scored(run)
    record = read_run(load_config(None, [f"run.folder={run}"]))
    facts = {"question": "Who?", "answer": "x", "golden_answers": ["x"]}
    shown = Shown(row("q", 1.0, 30) | facts, Trajectory(Question("q", "Who?", ("x",)), 0, (), "x", StopReason.ANSWERED))
    page = web_page([record], {}, {"mine": Examples([], [shown])}, {})
    assert "The 1 most typical of evaluate" in page
    assert "worst of" not in page
    assert 'id="examples"' not in web_page([record], {}, {"mine": Examples([], [])}, {})


# Several runs


def test_runs_of_the_same_name_are_told_apart_by_their_parents() -> None:
    assert _names([Path("/a/one"), Path("/a/two")]) == ["one", "two"]
    assert _names([Path("/a/demo"), Path("/b/demo")]) == ["a/demo", "b/demo"]


def test_several_runs_stand_in_one_page(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    manifest(other / "generate", "generate", {"asked": 7, "finished": 7, "failed": {}, "not_started": 0})
    assert main(["report", str(run), str(other), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<title>Report: mine, other</title>" in page
    assert page.count('class="runs"') == 3
    assert "mine, other in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["RUN", "RUN"], "a run is named twice"),
        (["RUN", "loop.k=3"], "name either run folders, or one configuration file and overrides"),
        (["RUN/none"], "is no folder; name run folders"),
        (["--out", "x", "run.folder=RUN"], "--out goes with run folders"),
    ],
)
def test_what_names_no_runs_is_refused(
    words: list[str], told: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *(word.replace("RUN", str(run)) for word in words)]) == 2
    assert told in capsys.readouterr().err


def test_an_empty_folder_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="run `steper train` first"):
        report_runs([tmp_path])
