"""The report in headless Chromium: nothing is fetched, nothing sticks out, everything opens."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steper_ray.core.types import Passage, Question, Stage, Step, StopReason, Trajectory, Usage
from steper_ray.data.schemas import TRAJECTORIES, trajectory_row
from steper_ray.drive.writer import PartWriter
from steper_ray.report.run import report_runs
from steper_ray.student.units import Segment, Unit
from steper_ray.train.store import units_table, write_units
from tests.browser.pdf import text_of

pytestmark = pytest.mark.browser

HOSTILE = "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on two runs with a funnel, a training, and an evaluation whose passages are hostile."""
    folder = tmp_path_factory.mktemp("report")
    for name in ("one", "two"):
        write_run(folder / name)
    return report_runs([folder / "one", folder / "two"], folder / "out")[0]


def write_run(run: Path) -> None:
    stages = {"reasoning_initialization": 80, "reasoning_expansion": 50, "reasoning_aggregation": 100}
    made = {"asked": 120, "finished": 118, "failed": {"timeout": 2}, "not_started": 0}
    chosen = {"finished": 118, "used": 100, "dropped": {"wrong_answer": 18}, "samples": 230, "stages": stages}
    trained = {"samples": 230, "trained": 200, "held_out": 10, "not_reached": 15, "not_in_preset": 5}
    for phase, folder, counts in (
        ("generate", "generate", made),
        ("samples", "generate/samples", chosen),
        ("train", "train", trained),
        ("evaluate", "evaluate", {}),
    ):
        (run / folder).mkdir(parents=True)
        manifest = {"phase": phase, "fingerprint": "f" * 16, "counts": counts, "facts": {}, "version": "1"}
        (run / folder / "manifest.json").write_text(json.dumps(manifest))
        (run / folder / "config.json").write_text(json.dumps({"loop": {"k": 7}}))
    lines = [
        {"update": number, **{f"L_{t}": 1 / number for t in TERMS}, **{f"sigma_{t}": 0.9 for t in TERMS}}
        for number in range(1, 30)
    ]
    points = {"L": 12.345, "accuracy": 0.75}
    held_out = {f"{measure}_{term}": value for measure, value in points.items() for term in TERMS}
    lines += [{"update": number, "held_out": held_out} for number in (0, 29)]
    (run / "train" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "train" / "tokens").mkdir()
    targets = [Segment(f"s{number}", stage, 4 * number, 4 * number + 3) for number, stage in enumerate(Stage)]
    unit = Unit("u", "u", np.arange(1500, dtype=np.int32), tuple(targets))
    write_units(run / "train" / "tokens" / "units.arrow", [units_table([unit])])
    interval = {"low": 0.2, "high": 0.8}
    quality = {"questions": 2, "exact_match": 0.5, "f1": 0.5, "tokens": 900.0}
    recall = [{"any": 1.0, "all": 0.5, "fraction": 0.75}] * 3
    (run / "generate" / "stats.json").write_text(json.dumps({"all": {"recall_by_step": recall}}))
    quality |= {"accuracy_substring": 0.5, "accuracy_tokens": 0.5}
    scores = {"model": "weights", "quality": quality, "exact_match_interval": interval, "f1_interval": interval}
    (run / "evaluate" / "scores.json").write_text(json.dumps({**scores, "recall": recall, "steps_mean": 2.0}))
    (run / "ablate").mkdir()
    (run / "ablate" / "ablation.json").write_text(json.dumps({"about": ["Of one seed."], "tables": [ABLATION]}))
    rows = []
    with PartWriter(run / "evaluate" / "trajectories", TRAJECTORIES, rows=9, seconds=60) as writer:
        for number in range(2):
            trajectory = told(number)
            writer.add(
                trajectory_row(trajectory, {"model": "m", "prompt_version": "1", "fingerprint": "f", "text_hash": "h"})
            )
            rows.append(
                {
                    "id": trajectory.question.id,
                    "question": trajectory.question.text,
                    "golden_answers": ["right"],
                    "answer": trajectory.answer,
                    "exact_match": float(number),
                    "f1": float(number),
                    "stop": "answered",
                    "steps": [{}, {}],
                }
            )
    (run / "evaluate" / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


TERMS = ("init", "exp", "agg")
MEASURES = ("EM", "F1", "Acc (substring)", "Acc (whole tokens)")
ABLATION = {
    "title": "Scores of 150 questions",
    "columns": ["member", "control", "updates", "epochs", "target tokens", *MEASURES, "tokens per question"],
    "rows": [
        ["vanilla_kd, one_step", "same target tokens", "1,000", "1.25 of 7,970", "1,024,513"]
        + ["52.7 (45.0 to 60.7)"] * 4
        + ["12,345"]
    ]
    * 3,
}
"""As wide as an ablation's table is."""
PAPER = 688
"""Pixels between the margins of A4, 182 mm."""
SMALL_PAPER = 454
"""Of A5, 120 mm."""


def told(number: int) -> Trajectory:
    answer = "right" if number else f"wrong {HOSTILE}"
    passage = Passage("p", f"Title {HOSTILE}", f"{HOSTILE} {'averylongword' * 30}", 3.5)
    steps = (
        Step("who?", ("p",), (passage,), f"Rationale {HOSTILE}", usage=Usage(100, 0, 9)),
        Step("and then?", ("p",), (), f"So the answer is: {answer}."),
    )
    question = Question(f"q{number}", f"Who {HOSTILE}?", ("right",))
    return Trajectory(question, 0, steps, answer, StopReason.ANSWERED)


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_nothing_sticks_out_and_nothing_is_fetched(page_file: Path, chromium: Any, width: int) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 800})
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: faults.append(message.text))
    page.goto(page_file.as_uri())
    for details in page.query_selector_all("details"):
        details.evaluate("node => node.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.title() == "Report: one, two"
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert faults == []
    assert page.locator("script").count() == 0
    # σ and losses of both runs, and retrieval; all of them are there.
    assert page.evaluate("[...document.images].map(one => one.naturalWidth > 0)") == [True] * 5
    page.close()


def test_runs_stand_side_by_side_on_a_desk_and_below_each_other_on_a_phone(page_file: Path, chromium: Any) -> None:
    tops = {}
    for width in (1280, 390):
        page = chromium.new_page(viewport={"width": width, "height": 800})
        page.goto(page_file.as_uri())
        boxes = [one.bounding_box() for one in page.query_selector_all("#funnel .runs > section")]
        tops[width] = [box["y"] for box in boxes]
        page.close()
    assert tops[1280][0] == tops[1280][1]
    assert tops[390][0] < tops[390][1]


def test_passages_are_folded_until_they_are_asked_for(page_file: Path, chromium: Any) -> None:
    page = chromium.new_page()
    page.goto(page_file.as_uri())
    passage = page.locator("#examples .passage").first
    assert not passage.is_visible()
    page.locator("#examples summary").first.click()
    assert not passage.is_visible()
    page.locator("#examples details details summary").first.click()
    assert passage.is_visible()
    assert "<script>" in passage.inner_text()
    page.close()


def test_on_paper_the_steps_are_open_and_passages_have_their_titles_alone(page_file: Path, chromium: Any) -> None:
    page = chromium.new_page(viewport={"width": PAPER, "height": 900})
    page.goto(page_file.as_uri())
    assert not page.locator("#examples .paper").first.is_visible()
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("#examples .step p").first.is_visible()
    assert page.locator("#settings pre").first.is_visible()
    assert not page.locator("#examples .passage").first.is_visible()
    assert page.locator("#examples .paper").first.inner_text().startswith("1 new passage: Title <script>")
    # What was opened is printed whole, and its titles not again.
    page.eval_on_selector("#examples details", "one => one.open = true")
    page.eval_on_selector("#examples details details", "one => one.open = true")
    assert page.locator("#examples .passage").first.is_visible()
    assert not page.locator("#examples .paper").first.is_visible()
    page.close()


def test_on_paper_nothing_is_wider_than_the_page(page_file: Path, chromium: Any) -> None:
    page = chromium.new_page(viewport={"width": PAPER, "height": 900})
    page.goto(page_file.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER
    rights = page.evaluate(
        "[...document.querySelectorAll('table, p, pre, img')].map(one => one.getBoundingClientRect().right)"
    )
    assert max(rights) <= PAPER + 1
    page.close()


def test_on_small_paper_pictures_are_as_wide_as_the_page(page_file: Path, chromium: Any) -> None:
    page = chromium.new_page(viewport={"width": SMALL_PAPER, "height": 700})
    page.goto(page_file.as_uri())
    page.emulate_media(media="print")
    rights = page.evaluate("[...document.images].map(one => one.getBoundingClientRect().right)")
    assert len(rights) == 5
    assert max(rights) <= SMALL_PAPER + 1
    page.close()


def test_the_pdf_holds_scores_steps_and_settings(page_file: Path, chromium: Any) -> None:
    page = chromium.new_page()
    page.goto(page_file.as_uri())
    text = text_of(page.pdf(format="A4")).replace(" ", "")
    tables = ("held out, before the training", "held out, after 29 updates", "targets, expansion", "teacher: fraction")
    for told in (*tables, "45.0 to 60.7", "Step 1: who?", "Step 2: and then?", "Rationale", "loop.k=7"):
        assert told.replace(" ", "") in text, told
    assert "averylongword" not in text
    page.close()
