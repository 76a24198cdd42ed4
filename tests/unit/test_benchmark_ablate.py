"""The ablation's benchmark: its settings, and the head of what it commits."""

import json
from pathlib import Path

from benchmarks import ablate, harness
from steper_ray.experiments.members import parse_member


def test_the_settings_are_those_of_the_file_and_of_what_lies_in_the_folder(tmp_path: Path) -> None:
    config = ablate.settings(tmp_path, tmp_path / "base", ["ablate.seeds=[1, 2, 3]"], tiny=False)
    assert config.ablate.seeds == (1, 2, 3)
    assert config.evaluate.questions == tmp_path / "world" / "held_out.jsonl"
    assert ablate.TRAIN_QUESTIONS >= 400
    assert config.ablate.updates == {"cumulative": 40, "turns": 40}
    assert len([*map(parse_member, config.ablate.members)]) == 6
    # A whole chain has at most 94 tokens.
    assert config.loop.rationale_tokens * config.loop.step_limit >= 2 * 94


def test_the_committed_table_was_made_with_these_settings(tmp_path: Path) -> None:
    config = ablate.settings(tmp_path, tmp_path / "base", [], tiny=False)
    written = json.loads((harness.RESULTS / "ablation.json").read_text(encoding="utf-8"))
    assert written["world"]["train"] == ablate.TRAIN_QUESTIONS
    made = {row["form"]: row["updates"] for row in written["rows"] if row["control"] == "updates"}
    assert made == config.ablate.updates


def test_the_tiny_run_is_tiny(tmp_path: Path) -> None:
    config = ablate.settings(tmp_path, tmp_path / "base", [], tiny=True)
    assert (config.evaluate.limit, config.ablate.updates, len(config.ablate.members)) == (8, 2, 3)
    made = ablate.replayed(config, tmp_path / "world", "train", tmp_path / "generate", 16)
    assert made.teacher.recordings == tmp_path / "world" / "chains.train.jsonl"
    assert (made.generate.limit, made.folder("generate")) == (16, tmp_path / "generate")


def test_the_committed_table_says_what_was_measured_where(tmp_path: Path) -> None:
    source, into = tmp_path / "ablate", tmp_path / "results"
    source.mkdir()
    into.mkdir()
    (source / "ablation.json").write_text('{"rows": []}')
    (source / "ablation.md").write_text("# Ablation\n\nStart: x.\n")
    head = harness.provenance("ablate", "python -m benchmarks.ablate")
    ablate.publish_table(source, into, head)
    written = json.loads((into / "ablation.json").read_text())
    assert written.keys() == {"benchmark", "command", "commit", "date", "machine", "world", "rows"}
    assert (written["benchmark"], written["world"]["train"]) == ("ablate", ablate.TRAIN_QUESTIONS)
    title, _, told, _, rest = (into / "ablation.md").read_text().splitlines()
    assert (title, rest) == ("# Ablation", "Start: x.")
    assert told.startswith("`python -m benchmarks.ablate`, commit ")
    assert str(tmp_path) not in told
