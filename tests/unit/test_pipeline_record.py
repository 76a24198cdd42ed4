"""When a phase of the pipeline counts as finished, over folders made by hand."""

from pathlib import Path

import pytest

from steper_ray.config import Config, load_config
from steper_ray.errors import ConfigError
from steper_ray.pipeline.check import check_all
from steper_ray.pipeline.inputs import inputs_of
from steper_ray.pipeline.record import RECORD_FILE, output_of, read_record
from steper_ray.pipeline.run import Phase, _run, phases_of
from steper_ray.runs import Manifest, write_manifest


def config_of(folder: Path, *overrides: str) -> Config:
    for name in ("corpus.jsonl", "questions.jsonl"):
        if not (folder / name).exists():
            (folder / name).write_text(name)
    return load_config(
        None,
        [
            f"run.folder={folder / 'run'}",
            f"index.corpus={folder / 'corpus.jsonl'}",
            f"generate.questions={folder / 'questions.jsonl'}",
            *overrides,
        ],
    )


def finish(config: Config, phase: str, fingerprint: str, count: int = 1) -> None:
    folder = config.folder(phase)  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, Manifest(phase, fingerprint, {"rows": count}, {"seconds": count}))


def ran(config: Config, *, finishes: bool = True) -> list[str]:
    """Which of index, generate and samples run; each leaves a manifest behind."""
    names: list[str] = []

    def make(phase: str):
        def run(config: Config) -> None:
            names.append(phase)
            if finishes:
                finish(config, phase, f"made {phase}")

        return Phase(phase, run)

    record = read_record(config.run.folder)
    for phase in ("index", "generate", "samples"):
        _run(make(phase), config, record)
    return names


def test_what_is_finished_is_skipped_and_what_changed_runs_again_with_all_that_follows(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    config.run.folder.mkdir()
    assert ran(config) == ["index", "generate", "samples"]
    assert ran(config) == []
    assert ran(config_of(tmp_path, "samples.keep_paths=1")) == ["samples"]
    assert ran(config_of(tmp_path, "samples.keep_paths=1")) == []
    (tmp_path / "questions.jsonl").write_text("other questions")
    assert ran(config) == ["generate", "samples"]


def test_a_phase_whose_output_is_gone_runs_again(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    config.run.folder.mkdir()
    ran(config)
    (config.folder("generate") / "manifest.json").unlink()
    assert ran(config) == ["generate"]


def test_more_rows_in_an_earlier_phase_are_other_inputs_of_the_next(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    finish(config, "generate", "same settings", count=1)
    before = inputs_of("samples", config)
    finish(config, "generate", "same settings", count=2)
    assert inputs_of("samples", config) != before


def test_a_phase_that_was_killed_is_not_in_the_record(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    config.run.folder.mkdir()
    record = read_record(config.run.folder)

    def killed(_config: Config) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _run(Phase("index", killed), config, record)
    assert ran(config) == ["index", "generate", "samples"]


def test_a_broken_record_skips_nothing(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    config.run.folder.mkdir()
    ran(config)
    (config.run.folder / RECORD_FILE).write_text('{"index":')
    assert ran(config) == ["index", "generate", "samples"]


def test_times_in_a_manifest_are_no_part_of_the_output(tmp_path: Path) -> None:
    write_manifest(tmp_path, Manifest("index", "f", {"passages": 3}, {"seconds": 1.0}))
    assert output_of(tmp_path) == {"fingerprint": "f", "counts": {"passages": 3}}
    assert output_of(tmp_path / "absent") is None


def test_a_training_whose_weights_are_gone_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    write_manifest(tmp_path, Manifest("train", "f", {"samples": 3}, {"weights": "weights"}))
    assert output_of(tmp_path) == {"fingerprint": "f", "counts": {"samples": 3}}
    (tmp_path / "weights").rmdir()
    assert output_of(tmp_path) is None


def test_the_actors_of_training_are_no_input_of_the_generation(tmp_path: Path) -> None:
    one, other = config_of(tmp_path), config_of(tmp_path, "train.workers=8", "serve.port=1")
    assert inputs_of("generate", one) == inputs_of("generate", other)
    assert inputs_of("train", one) != inputs_of("train", other)


def test_a_search_service_needs_no_index_phase(tmp_path: Path) -> None:
    config = config_of(tmp_path, "retriever.backend=http", "retriever.url=http://127.0.0.1:9")
    assert [phase.name for phase in phases_of(config)] == ["generate", "samples", "train", "evaluate", "report"]


def test_what_the_last_phase_lacks_is_said_before_the_first(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"_id": "1", "title": "T", "text": "Text."}\n')
    (tmp_path / "questions.jsonl").write_text('{"id": "1", "question": "Who?", "golden_answers": ["x"]}\n')
    settings = [
        f"run.folder={tmp_path / 'run'}",
        f"index.corpus={tmp_path / 'corpus.jsonl'}",
        f"generate.questions={tmp_path / 'questions.jsonl'}",
        "teacher.backend=scripted",
    ]
    with pytest.raises(ConfigError, match=r"train\.model is missing"):
        check_all(load_config(None, settings))
    assert not (tmp_path / "run").exists()
