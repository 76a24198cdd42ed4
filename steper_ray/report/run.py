"""`steper report`: one web page about one run or several side by side, its pictures, and Markdown of each training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from steper_ray.config import Config, load_config
from steper_ray.curves.history import History
from steper_ray.errors import ConfigError, RunFolderError
from steper_ray.report.chosen import Examples, read_examples
from steper_ray.report.lengths import read_lengths
from steper_ray.report.page import page
from steper_ray.report.record import RunRecord, read_run
from steper_ray.report.scored import recall_rows
from steper_ray.report.web import web_page
from steper_ray.report.words import counted, judge, verdict
from steper_ray.runs import Manifest, open_folder, write_manifest, write_text
from steper_ray.telemetry.phase_log import PhaseLog

SIGMAS_FILE = "sigmas.png"
LOSSES_FILE = "losses.png"
RECALL_FILE = "recall.png"
PAGE_FILE = "report.md"
WEB_FILE = "report.html"


def report(config: Config) -> list[Path]:
    """Write the page about the run of a configuration into its report folder; returns the paths of all files.

    Raises:
        RunFolderError: nothing to report on, or the folder cannot be written.
        InputError: a file of the run is broken.
    """
    return _write(config, [read_run(config)])


def report_runs(runs: Sequence[Path], out: Path | None = None) -> list[Path]:
    """Write a page about run folders, side by side where there are several.

    Args:
        runs: run folders.
        out: folder of the report; None: `report` in the first run.

    Raises:
        RunFolderError: nothing to report on in one of them, or `out` cannot be written.
        InputError: a file of a run is broken.
        ConfigError: a run is named twice.
    """
    places = [run.resolve() for run in runs]
    if len({*places}) < len(places):
        raise ConfigError(f"a run is named twice: {', '.join(map(str, runs))}")
    for run in runs:
        if not run.is_dir():
            raise RunFolderError(f"{run} is no folder; name run folders")
    configs = [load_config(None, [f"run.folder={run}"]) for run in runs]
    records = [read_run(config, name) for config, name in zip(configs, _names(places), strict=True)]
    return _write(configs[0], records, out)


def _write(config: Config, runs: Sequence[RunRecord], out: Path | None = None) -> list[Path]:
    # Also of a page that is written elsewhere.
    with PhaseLog(config.run.folder / "report", "report", runs=[run.name for run in runs]) as log:
        folder = open_folder(out or config.folder("report"), config)
        written = _write_files(folder, runs)
        counts = _counts(runs)
        _write_manifest(folder, runs, counts)
        log.count(counts)
    _tell(folder, runs)
    return written


def _write_files(folder: Path, runs: Sequence[RunRecord]) -> list[Path]:
    pictures = {run.name: _draw(run, folder, _prefix(runs, run)) for run in runs if run.history}
    written = [path for found in pictures.values() for path in found.values()]
    pages = [_write_page(run, folder, _prefix(runs, run)) for run in runs if run.history]
    if recall := _draw_recall(runs, folder):
        pictures[""] = {"recall": recall}
        written.append(recall)
    examples = {run.name: _examples(run) for run in runs}
    lengths = {run.name: read_lengths(run.tokens) if run.tokens else None for run in runs}
    write_text(folder / WEB_FILE, web_page(runs, pictures, examples, lengths))
    return [folder / WEB_FILE, *pages, *written]


def _names(places: Sequence[Path]) -> list[str]:
    """Names of folders that differ: with as many of their parents as that takes."""
    for parts in range(1, max(len(place.parts) for place in places) + 1):
        names = ["/".join(place.parts[-parts:]) for place in places]
        if len({*names}) == len(names):
            break
    return names


def _examples(run: RunRecord) -> Examples | None:
    """Trajectories to show; of a run that another version wrote none, and the rest of the report stands."""
    try:
        return read_examples(run.evaluations[0]) if run.evaluations else None
    except RunFolderError as error:
        print(f"warning: no trajectories of {run.name} are shown: {error}")
        return None


def _prefix(runs: Sequence[RunRecord], run: RunRecord) -> str:
    return "" if len(runs) == 1 else f"{runs.index(run) + 1}-"


def _draw(run: RunRecord, folder: Path, prefix: str) -> Mapping[str, Path]:
    from steper_ray.report.pictures import draw_losses, draw_sigmas

    assert run.history is not None
    paths = {"sigmas": folder / f"{prefix}{SIGMAS_FILE}", "losses": folder / f"{prefix}{LOSSES_FILE}"}
    draw_sigmas(run.history, " ".join(verdict(run.history)[:2]), paths["sigmas"])
    draw_losses(run.history, _losses_line(run.history), paths["losses"])
    return paths


def _draw_recall(runs: Sequence[RunRecord], folder: Path) -> Path | None:
    from steper_ray.report.pictures import draw_recall

    rows = recall_rows(runs)
    if not rows:
        return None
    draw_recall(rows, folder / RECALL_FILE)
    return folder / RECALL_FILE


def _write_page(run: RunRecord, folder: Path, prefix: str) -> Path:
    assert run.history is not None
    scores = run.evaluations[0].scores if run.evaluations else None
    names = [f"{prefix}{SIGMAS_FILE}", f"{prefix}{LOSSES_FILE}"]
    path = folder / f"{prefix}{PAGE_FILE}"
    write_text(path, page(run.history, verdict(run.history), scores, names))
    return path


def _counts(runs: Sequence[RunRecord]) -> dict[str, int]:
    return {
        "runs": len(runs),
        "updates": sum(len(run.history.updates) for run in runs if run.history),
        "held_out_evaluations": sum(len(run.history.held_out) for run in runs if run.history),
    }


def _write_manifest(folder: Path, runs: Sequence[RunRecord], counts: dict[str, int]) -> None:
    facts = {
        run.name: {
            "final_sigmas": {term: end.sigma for term, end in judge(run.history).items()},
            "verdict": verdict(run.history),
        }
        for run in runs
        if run.history
    }
    write_manifest(folder, Manifest("report", "", counts, facts))


def _tell(folder: Path, runs: Sequence[RunRecord]) -> None:
    for run in runs:
        for sentence in verdict(run.history) if run.history else []:
            print(sentence if len(runs) == 1 else f"{run.name}: {sentence}")
    print(f"report: {', '.join(run.name for run in runs)} in {folder / WEB_FILE}")


def _losses_line(history: History) -> str:
    held_out = counted(len(history.held_out), "held-out evaluation")
    return f"{counted(len(history.updates), 'update')}, {held_out}; thin lines are single updates."
