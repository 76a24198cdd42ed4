"""docs/evaluation.md: its settings, files and flags exist."""

import json
import re
from pathlib import Path

from steper_ray.cli.parser import make_parser
from steper_ray.cli.phases import split_settings
from steper_ray.config import load_config
from steper_ray.data.contamination import HASHES_FILE
from steper_ray.evaluate.compare import COMPARISON_FILE
from steper_ray.evaluate.evaluated import PREDICTIONS_FILE, SCORES_FILE
from steper_ray.evaluate.official import FILES
from steper_ray.evaluate.results import PAGE_FILE
from steper_ray.experiments.results import PAGE_FILE as ABLATION_FILE
from steper_ray.report.run import WEB_FILE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
COMMANDS = [line.split("#")[0].split()[1:] for line in re.findall(r"^    (steper .*)$", PAGE, re.MULTILINE)]


def test_every_setting_on_the_page_exists() -> None:
    config = load_config()
    found = re.findall(r"\b(evaluate|student|run|ablate|train|loop|index)\.([a-z_]+)\b(?!/)", PAGE)
    assert ("evaluate", "paths") in found
    for section, name in found:
        assert name in type(getattr(config, section)).model_fields, f"{section}.{name}"


def test_every_command_on_the_page_is_understood() -> None:
    assert [words[0] for words in COMMANDS] == [
        *["evaluate"] * 3,
        *["compare", "inspect", "score"],
        *["evaluate"] * 5,
        *["ablate"] * 3,
        *["report"] * 2,
    ]
    for words in COMMANDS:
        options = make_parser().parse_args([word for word in words if "=" not in word])
        settings = [word for word in words if "=" in word]
        if hasattr(options, "settings"):
            load_config(None, split_settings(settings)[1])


def test_the_files_are_called_as_the_page_calls_them() -> None:
    for name in (HASHES_FILE, COMPARISON_FILE, PREDICTIONS_FILE, SCORES_FILE, PAGE_FILE, ABLATION_FILE, WEB_FILE):
        assert f"`{name}`" in PAGE
    for name in FILES.values():
        assert name in PAGE or f"`{name.removeprefix('predictions')}`" in PAGE


def test_the_figures_of_the_ablation_are_the_committed_ones() -> None:
    told = dict(re.findall(r"^\| `?(untrained|vanilla_kd|multitask|steper)`? \| ([\d. |]+) \|$", PAGE, re.MULTILINE))
    rows = json.loads((ROOT / "benchmarks" / "results" / "ablation.json").read_text(encoding="utf-8"))["rows"]
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["system"] == "multi_step" and row["control"] in (None, "updates"):
            found.setdefault(row["member"], []).append(f"{100 * row['figures']['exact_match']['mean']:.1f}")
    assert {member: figures.strip(" |").split(" | ") for member, figures in told.items()} == found
