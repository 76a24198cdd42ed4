"""What the report's pictures draw: the series in their axes, means and roots by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from steper_ray.curves.canvas import COLOURS, canvas
from steper_ray.curves.history import HeldOut, History, Update
from steper_ray.report import pictures

HISTORY = History(
    [
        Update(1, {"init": 0.1, "exp": 0.18}, {"init": 1.0, "exp": 1.0}),
        Update(2, {"init": 0.4}, {"init": 0.9, "exp": 0.95}),
        Update(3, {"init": 0.58, "exp": 0.32}, {"init": 0.8, "exp": 0.9}),
    ],
    [HeldOut(0, {"init": 0.7, "exp": 0.8}, {"init": 0.25}), HeldOut(3, {"init": 0.6, "exp": 0.3}, {"init": 0.75})],
)
"""Running means over a neighbour on either side: init 0.25, 1.08 / 3 = 0.36, 0.98 / 2 = 0.49; exp 0.25 twice."""


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The axes of the picture, once it is drawn."""
    kept: list[Any] = []

    @contextmanager
    def keeping(*about: Any) -> Iterator[list[Any]]:
        with canvas(*about) as axes:
            yield axes
            kept.extend(axes)

    monkeypatch.setattr(pictures, "canvas", keeping)
    return kept


def curves(axes: Any, term: str) -> list[tuple[list[float], list[float], str, str]]:
    """Updates, values, line style and mark of every curve in a stage's colour."""
    return [
        (list(line.get_xdata()), list(line.get_ydata()), line.get_linestyle(), line.get_marker())
        for line in axes.get_lines()
        if line.get_color() == COLOURS[term]
    ]


def legend(axes: Any) -> list[str]:
    (found,) = axes.figure.legends
    return [text.get_text() for text in found.get_texts()]


def test_sigma_is_drawn_solid_and_the_root_of_the_mean_loss_dashed(drawn: list[Any], tmp_path: Path) -> None:
    pictures.draw_sigmas(HISTORY, "", tmp_path / "sigmas.png")
    course = drawn[0]
    assert curves(course, "init") == [
        ([1, 2, 3], [1.0, 0.9, 0.8], "-", "None"),
        ([1, 2, 3], pytest.approx([0.5, 0.6, 0.7]), "--", "None"),
    ]
    assert curves(course, "exp") == [
        ([1, 2, 3], [1.0, 0.95, 0.9], "-", "None"),
        ([1, 3], pytest.approx([0.5, 0.5]), "--", "None"),
    ]
    assert curves(course, "agg") == []
    assert legend(course) == ["initialization", "expansion", "σ", "√L (running mean)"]
    assert (course.get_xlabel(), course.get_ylabel()) == ("update", "σ and √L (√nats)")


def test_bars_are_the_final_sigmas_with_the_root_of_the_last_losses_across_them(
    drawn: list[Any], tmp_path: Path
) -> None:
    pictures.draw_sigmas(HISTORY, "", tmp_path / "sigmas.png")
    ends = drawn[1]
    middles = [bar.get_x() + bar.get_width() / 2 for bar in ends.patches]
    assert middles == pytest.approx([0, 1])
    assert [bar.get_height() for bar in ends.patches] == [0.8, 0.9]
    # The last third of three losses and of two is the last one: √0.58 and √0.32.
    roots = [line.get_segments()[0][:, 1].tolist() for line in ends.collections]
    assert roots == [pytest.approx([0.7616, 0.7616], abs=1e-4), pytest.approx([0.5657, 0.5657], abs=1e-4)]
    assert [text.get_text() for text in ends.texts] == ["0.800", "0.900", "not\ntrained"]
    names = [label.get_text() for label in ends.get_xticklabels()]
    assert names == ["initial-\nization", "expansion", "aggregation"]


def test_losses_are_drawn_raw_and_smoothed_with_the_held_out_points(drawn: list[Any], tmp_path: Path) -> None:
    pictures.draw_losses(HISTORY, "", tmp_path / "losses.png")
    course, accuracy = drawn
    assert curves(course, "init") == [
        ([1, 2, 3], [0.1, 0.4, 0.58], "-", "None"),
        ([1, 2, 3], pytest.approx([0.25, 0.36, 0.49]), "-", "None"),
        ([0, 3], [0.7, 0.6], "None", "o"),
    ]
    assert curves(course, "exp")[2] == ([0, 3], [0.8, 0.3], "None", "s")
    assert legend(course) == ["initialization", "expansion", "training (running mean)", "held out"]
    assert curves(accuracy, "init") == [([0, 3], [25.0, 75.0], "-", "o")]
    assert curves(accuracy, "exp") == []


def test_without_accuracies_there_is_no_axis_for_them(drawn: list[Any], tmp_path: Path) -> None:
    pictures.draw_losses(History(HISTORY.updates, []), "", tmp_path / "losses.png")
    (course,) = drawn
    assert legend(course) == ["initialization", "expansion", "training (running mean)"]


def test_recall_is_a_line_per_row_of_questions_with_all_gold_passages(drawn: list[Any], tmp_path: Path) -> None:
    rows = [
        ("teacher", [{"any": 1.0, "all": 0.25, "fraction": 0.5}, {"any": 1.0, "all": 0.75, "fraction": 0.9}]),
        ("evaluate", [{"any": 1.0, "all": 0.5, "fraction": 0.6}]),
    ]
    pictures.draw_recall(rows, tmp_path / "recall.png")
    (axes,) = drawn
    lines = [(line.get_label(), list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()]
    assert lines == [("teacher", [1, 2], [25.0, 75.0]), ("evaluate", [1], [50.0])]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["teacher", "evaluate"]
