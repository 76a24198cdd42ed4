"""docs/serving.md: its settings, fields, events and errors are those of the code."""

import json
import re
from pathlib import Path

from steper_ray.cli.parser import make_parser
from steper_ray.config import load_config
from steper_ray.sections.serve import ServeSection
from steper_ray.serve.faults import FaultType
from steper_ray.serve.wire import AnswerRequest
from tests.unit.goal_tables import RESULTS, assert_goals_told

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table behind a heading."""
    section = PAGE.partition(f"## {heading}\n")[2]
    table = re.search(r"(\|.*\n)+", section)
    assert table
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.group().splitlines()[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def test_every_setting_on_the_page_exists() -> None:
    found = [name for name in re.findall(r"\bserve\.([a-z_]+)\b", PAGE) if name != "py"]
    assert "engine_surge_percent" in found
    for name in found:
        assert name in ServeSection.model_fields, name


def test_every_command_on_the_page_is_understood() -> None:
    commands = [line.split("#")[0].split()[1:] for line in re.findall(r"^    (steper .*)$", PAGE, re.MULTILINE)]
    assert [words[0] for words in commands] == ["serve", "serve", "ask", "serve"]
    for words in commands:
        make_parser().parse_args(words if words[0] == "serve" else words[:2])
        load_config(None, [word for word in words if "=" in word])


def test_the_fields_of_a_question_are_those_of_the_service() -> None:
    assert [name for row in rows("Ask") for name in names(row[0])] == [
        *("question", "id", "step_limit", "k", "strategy", "temperature", "force_answer", "deadline_s")
    ]
    assert {name for row in rows("Ask") for name in names(row[0])} == set(AnswerRequest.model_fields)


def test_the_errors_are_those_of_the_service() -> None:
    table = rows("Errors and limits")
    told = {name: status for row in table for name, status in zip(names(row[1]), statuses(row), strict=True)}
    assert told == {type.value: type.status for type in FaultType}


def statuses(row: list[str]) -> list[int]:
    return [int(status) for status in row[0].split(",")]


def test_every_goal_stands_there_with_what_was_measured_and_whether_it_was_met() -> None:
    assert_goals_told(PAGE, "serve", "soak")


def test_what_was_measured_without_a_goal_is_what_the_results_say() -> None:
    told = json.loads((RESULTS / "serve.json").read_text(encoding="utf-8"))["ratios"]
    words = " ".join(PAGE.split())
    assert f"take {told['first_passages_ms'] - told['first_event_ms']:.1f} ms" in words
    assert f"gives {told['scripted_rps']:.0f} answers of three steps per second" in words
    assert f"from {told['scripted_saturates_at']} clients on no more" in words
    assert f"the ingress alone answers {told['ingress_rps']:.0f} requests per second" in words
    assert f"16 clients get {told['streamed_16']:.2f} times the answers" in words
