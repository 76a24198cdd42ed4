"""The report's tables of losses, lengths and recall, as they stand in the page; figures by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steper_ray.config import load_config
from steper_ray.report.run import report, report_runs
from steper_ray.student.units import Segment, Stage, Unit
from steper_ray.train.store import units_table, write_units


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A training of two updates."""
    folder = tmp_path / "mine"
    trained(folder)
    return folder


def trained(folder: Path, *held_out: dict[str, Any]) -> None:
    lines: list[dict[str, Any]] = [{"update": number, "L_init": 0.5, "sigma_init": 1.0} for number in (1, 2)]
    (folder / "train").mkdir(parents=True, exist_ok=True)
    (folder / "train" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, *held_out]))


def page_of(run: Path) -> str:
    return report(load_config(None, [f"run.folder={run}"]))[0].read_text()


def row(name: str, *cells: str) -> str:
    return f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


# Loss and token accuracy


BEFORE = {"L_init": 1.25, "L_exp": 2.5, "L_agg": 0.75, "accuracy_init": 0.5, "accuracy_exp": 0.25, "accuracy_agg": 0.75}
AFTER = {"L_init": 0.5, "L_exp": 0.125, "L_agg": 0.0626, "accuracy_init": 0.875, "accuracy_exp": 0.9, "accuracy_agg": 1}
BETWEEN = {"L_init": 0.9, "L_exp": 0.9, "L_agg": 0.9}


def test_losses_and_accuracies_are_those_before_and_after_the_training(run: Path) -> None:
    points = zip((0, 1, 1200), (BEFORE, BETWEEN, AFTER), strict=True)
    trained(run, *({"update": number, "held_out": values} for number, values in points))
    page = page_of(run)
    terms = ("init", "exp", "agg")
    columns = ["", *(f"L {term}, nats" for term in terms), *(f"{term}, tokens right %" for term in terms)]
    assert "".join(f'<th scope="col">{column}</th>' for column in columns) in page
    before = row("held out, before the training", "1.250", "2.500", "0.750", "50.0", "25.0", "75.0")
    after = row("held out, after 1,200 updates", "0.500", "0.125", "0.063", "87.5", "90.0", "100.0")
    # What lies between has no row.
    assert f"<tbody>{before}{after}</tbody>" in page


def test_a_stage_that_was_not_held_out_has_no_figures(run: Path) -> None:
    trained(run, {"update": 1, "held_out": {"L_agg": 0.75, "accuracy_agg": 0.5}})
    assert row("held out, after 1 update", "", "", "0.750", "", "", "50.0") in page_of(run)


def test_without_held_out_samples_there_is_no_table_of_losses(run: Path) -> None:
    assert "tokens right %" not in page_of(run)


def test_an_evaluation_with_samples_has_losses_of_its_stages(run: Path) -> None:
    quality = {"questions": 60, "exact_match": 0.5, "f1": 0.55, "accuracy_substring": 0.65, "accuracy_tokens": 0.6}
    interval = {"low": 0.2, "high": 0.8}
    stages = {"reasoning_expansion": {"loss": 0.25, "token_accuracy": 0.875, "tokens": 40}}
    scores = {"model": "weights", "quality": quality, "exact_match_interval": interval, "f1_interval": interval}
    (run / "evaluate").mkdir()
    (run / "evaluate" / "scores.json").write_text(json.dumps({**scores, "stages": stages}))
    assert row("evaluate (weights)", "", "0.250", "", "", "87.5", "") in page_of(run)


# Lengths


def test_lengths_of_units_and_of_each_stages_targets_stand_in_the_page(run: Path) -> None:
    (run / "train" / "tokens").mkdir()
    write_tokens(run / "train" / "tokens" / "units.arrow")
    page = page_of(run)
    assert "<caption>Lengths in tokens</caption>" in page
    units = row("whole units", "2", "10", "1,500", "1,500")
    init, agg = row("targets, initialization", "1", "2", "2", "2"), row("targets, aggregation", "2", "3", "5", "5")
    assert f"<tbody>{units}{init}{agg}</tbody>" in page


def write_tokens(path: Path) -> None:
    """Units of 10 and 1,500 tokens; a target of 2 for initialization, of 3 and 5 for aggregation."""
    init, agg = Stage.INITIALIZATION, Stage.AGGREGATION
    units = [
        Unit("a", "a", np.arange(10, dtype=np.int32), (Segment("a1", init, 2, 4), Segment("a2", agg, 7, 10))),
        Unit("b", "b", np.arange(1500, dtype=np.int32), (Segment("b1", agg, 15, 20),)),
    ]
    write_units(path, [units_table(units)])


# Recall


def test_recall_of_the_teacher_stands_before_that_of_evaluations(run: Path) -> None:
    taught(run, (0.5, 0.25, 0.375), (1.0, 0.75, 0.875))
    page = page_of(run)
    assert '<th scope="col">step 1</th><th scope="col">to 2</th>' in page
    rows = [
        row("teacher: any", "50.0", "100.0"),
        row("teacher: all", "25.0", "75.0"),
        row("teacher: fraction", "37.5", "87.5"),
    ]
    assert f"<tbody>{''.join(rows)}</tbody>" in page


def test_recall_of_fewer_steps_leaves_the_later_ones_empty_and_names_its_run(run: Path, tmp_path: Path) -> None:
    taught(run, (0.5, 0.25, 0.375))
    taught(tmp_path / "other", (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    trained(tmp_path / "other")
    page = report_runs([run, tmp_path / "other"], tmp_path / "out")[0].read_text()
    assert row("mine: teacher: all", "25.0", "") in page
    assert row("other: teacher: all", "100.0", "100.0") in page


def taught(run: Path, *steps: tuple[float, float, float]) -> None:
    recall = [dict(zip(("any", "all", "fraction"), values, strict=True)) for values in steps]
    (run / "generate").mkdir(parents=True)
    (run / "generate" / "stats.json").write_text(json.dumps({"all": {"recall_by_step": recall}}))
