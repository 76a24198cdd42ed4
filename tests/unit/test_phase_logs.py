"""Phases that are done in one go write their log beside the others': beginning, warnings, counts, end or failure."""

import json
from pathlib import Path

import pytest

from steper_ray.config import load_config
from steper_ray.errors import PhaseFailed, RunFolderError
from steper_ray.generate.samples import samples
from steper_ray.report.run import report_runs
from steper_ray.telemetry.log import read_log
from steper_ray.telemetry.phase_log import PhaseLog

UPDATE = {"update": 1, "L_init": 0.25, "L_exp": 0.3, "L_agg": 0.09} | {
    f"sigma_{term}": 1.0 for term in ("init", "exp", "agg")
}


def told(folder: Path) -> list[tuple[str, str]]:
    return [(line["event"], line["level"]) for line in read_log(folder)]


def trained(run: Path) -> Path:
    (run / "train").mkdir(parents=True)
    (run / "train" / "metrics.jsonl").write_text(json.dumps(UPDATE) + "\n")
    return run


def test_counts_stand_in_the_last_line_and_warnings_before_it(tmp_path: Path) -> None:
    with PhaseLog(tmp_path / "mine" / "index", "index", corpus="c.jsonl") as log:
        log.warn("short passages")
        log.count({"passages": 5})
    first, second, last = read_log(tmp_path / "mine" / "index")
    assert (first["run"], first["phase"], first["event"], first["corpus"]) == (
        "mine",
        "index",
        "phase_started",
        "c.jsonl",
    )
    assert (second["event"], second["level"], second["message"]) == ("warning", "warning", "short passages")
    assert (last["event"], last["level"], last["passages"]) == ("phase_finished", "info", 5)
    assert last["seconds"] >= 0


@pytest.mark.parametrize(
    ("error", "end"),
    [(PhaseFailed("no memory"), ("phase_failed", "error")), (SystemExit(15), ("phase_stopped", "warning"))],
)
def test_a_phase_that_does_not_finish_says_why(tmp_path: Path, error: BaseException, end: tuple[str, str]) -> None:
    def work() -> None:
        with PhaseLog(tmp_path / "index", "index") as log:
            log.count({"passages": 5})
            raise error

    with pytest.raises(type(error)):
        work()
    assert told(tmp_path / "index") == [("phase_started", "info"), end]
    last = read_log(tmp_path / "index")[-1]
    assert (last["error"], last["passages"]) == (type(error).__name__, 5)


def test_samples_log_in_the_run_folder_what_their_manifest_counts(generation, tell) -> None:
    run = generation(tell("a", "So the answer is: Hee Haw."), tell("b", answer="Opry")).parent
    manifest = samples(load_config(None, [f"run.folder={run}"]))
    lines = read_log(run / "samples")
    assert [line["event"] for line in lines] == ["phase_started", "warning", "warning", "warning", "phase_finished"]
    assert lines[0]["trajectories"] == str(run / "generate")
    assert [line["message"] for line in lines[1:4]] == manifest.facts["warnings"]
    assert {name: lines[-1][name] for name in manifest.counts} == manifest.counts
    assert lines[-1]["dropped"] == {"wrong_answer": 1}
    assert not (run / "generate" / "log").exists()


def test_a_report_is_logged_in_its_first_run_wherever_it_is_written(tmp_path: Path) -> None:
    one, two = trained(tmp_path / "one"), trained(tmp_path / "two")
    report_runs([one, two], tmp_path / "pages" / "both")
    lines = read_log(one / "report")
    assert [(line["event"], line.get("runs")) for line in lines] == [
        ("phase_started", ["one", "two"]),
        ("phase_finished", 2),
    ]
    assert (lines[-1]["updates"], lines[-1]["held_out_evaluations"]) == (2, 0)
    assert not (two / "log").exists()
    assert not (tmp_path / "pages" / "log").exists()


def test_a_report_that_cannot_be_written_is_logged_and_one_without_runs_is_not(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError):
        report_runs([run], tmp_path / "file")
    assert told(run / "report") == [("phase_started", "info"), ("phase_failed", "error")]
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunFolderError):
        report_runs([tmp_path / "empty"])
    assert not (tmp_path / "empty" / "log").exists()
