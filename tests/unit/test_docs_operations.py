"""docs/operations.md: the files it names exist, its settings are settings, its arithmetic is right."""

import json
import re
from pathlib import Path

from steper_ray.config import Config, load_config
from steper_ray.errors import EnvironmentFault, PhaseFailed, UserError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_file_of_the_repository_that_the_page_names_exists() -> None:
    named = set(re.findall(r"\b(?:jobs|cluster|benchmarks|docs)/[\w./-]*\w", PAGE)) - {
        "jobs/PHASE.py",
        "cluster/X.yaml",
    }
    assert len(named) >= 10
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_setting_that_the_page_names_is_one() -> None:
    sections = "|".join(Config.model_fields)
    named = set(re.findall(rf"\b({sections})\.(\w+)(?==|`| )", PAGE)) - {
        ("train", "json"),
        ("ray", "env"),
        ("ray", "io"),
    }
    assert len(named) >= 15
    unknown = [
        f"{section}.{key}"
        for section, key in sorted(named)
        if key not in type(getattr(Config(), section)).model_fields and key not in ("yaml", "py")
    ]
    assert unknown == []


def test_the_exit_codes_are_those_of_the_errors() -> None:
    codes = dict(re.findall(r"^\| (\d) \| (.+?) \|", PAGE, re.MULTILINE))
    assert "user's error" in codes[str(UserError.exit_code)]
    assert "machine or cluster lacks" in codes[str(EnvironmentFault.exit_code)]
    assert "could not finish" in codes[str(PhaseFailed.exit_code)]


def test_the_example_of_the_cost_formula_follows_from_the_committed_figures() -> None:
    figures = json.loads((ROOT / "benchmarks" / "results" / "generate.json").read_text())
    rate = figures["settings"]["questions"] / figures["medians"]["ours"]["wall_s"]
    assert f"r = {rate:.2f}/s" in PAGE
    assert f"90,000 questions take {90_000 / rate / 3600:.0f} node-hours" in PAGE


def test_the_demo_as_a_pipeline_has_the_demos_settings() -> None:
    demo = load_config(ROOT / "steper_ray" / "demo" / "demo.yaml")
    job = load_config(ROOT / "jobs" / "configs" / "demo.yaml")
    for name in ("loop", "teacher", "train", "student", "serve"):
        assert getattr(demo, name) == getattr(job, name)
    assert demo.run.seed == job.run.seed
