"""`steper demo`: the product, shrunk to two CPU cores; every phase is the one that `steper PHASE` runs.

Not covered here: several machines, GPUs, demonstrations in the teacher's prompt.
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from steper_ray.config import Config, load_config
from steper_ray.demo.model import ensure_base_model
from steper_ray.demo.summary import Summary, summary_table
from steper_ray.demo.teacher import ensure_teacher
from steper_ray.demo.writer import write_world
from steper_ray.errors import RunFolderError
from steper_ray.runs import open_folder

SETTINGS = Path(__file__).with_name("demo.yaml")
PASSAGES, TRAIN_QUESTIONS, HELD_OUT_QUESTIONS = 3000, 260, 60

_console = Console(highlight=False, soft_wrap=True)


def demo(folder: Path, *, fresh: bool = False) -> Summary:
    """Run all phases into `folder` and print what came out.

    Args:
        folder: the run folder; a run that was interrupted is continued.
        fresh: start over.

    Raises:
        SteperError: a phase failed; the same command continues.
    """
    _prepare(folder, fresh=fresh)
    seconds: dict[str, float] = {}
    with _timed("models", seconds), _console.status("the small language model: about 100 MB, converted once per user"):
        base = ensure_base_model()
        teacher = ensure_teacher(base)
    with _timed("world", seconds):
        world = folder / "world"
        write_world(world, 7, PASSAGES, TRAIN_QUESTIONS, HELD_OUT_QUESTIONS)
    config = _config(folder, f"teacher.model={teacher}", f"train.model={base}")
    open_folder(folder, config)
    _run_phases(config, base, seconds)
    summary = _summary(config, seconds)
    _console.print(summary_table(summary))
    return summary


def _run_phases(config: Config, base: Path, seconds: dict[str, float]) -> None:
    from steper_ray.evaluate.run import evaluate
    from steper_ray.generate.run import generate
    from steper_ray.index.run import build
    from steper_ray.report.run import report
    from steper_ray.train.run import train

    with _timed("index", seconds):
        if not (config.folder("index") / "index.json").exists():
            build(config)
    with _timed("generate", seconds):
        generate(config)
    with _timed("held-out samples", seconds):
        generate(_held_out(config))
    with _timed("evaluate the untrained student", seconds):
        evaluate(_untrained(config, base))
    with _timed("train", seconds):
        train(config)
    with _timed("evaluate the trained student", seconds):
        evaluate(config)
    with _timed("report", seconds):
        report(config)
    with _timed("serve and ask", seconds):
        _serve_and_ask(config)


def _serve_and_ask(config: Config) -> None:
    from steper_ray.serve.ask import ask
    from steper_ray.serve.run import serving

    question = _answered_question(config)
    with serving(config) as url:
        _console.print(f'$ steper ask "{question}" --url {url}')
        ask(question, url)


def _answered_question(config: Config) -> str:
    """The held-out question of most hops that the student answered without a detour; else simply the first."""
    lines = (config.folder("evaluate") / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    predictions = [json.loads(line) for line in lines]
    direct = [found for found in predictions if found["exact_match"] and len(found["steps"]) == found["hops"] + 1]
    return str(max(direct or predictions[:1], key=lambda found: int(found["hops"]))["question"])


def _config(folder: Path, *overrides: str) -> Config:
    world = folder / "world"
    return load_config(
        SETTINGS,
        [
            f"run.folder={folder}",
            f"index.corpus={world / 'corpus.jsonl'}",
            f"generate.questions={world / 'train.jsonl'}",
            f"evaluate.questions={world / 'held_out.jsonl'}",
            f"evaluate.samples={folder / 'held_out' / 'samples'}",
            *overrides,
        ],
    )


def _held_out(config: Config) -> Config:
    """Held-out samples from annotated chains: what loss and token accuracy per stage are measured on."""
    world = config.run.folder / "world"
    teacher = {"backend": "replay", "recordings": world / "chains.held_out.jsonl"}
    generate = {"questions": world / "held_out.jsonl", "folder": config.run.folder / "held_out"}
    return _with(config, teacher=teacher, generate=generate)


def _untrained(config: Config, base: Path) -> Config:
    student = {**config.student.model_dump(), "model": base}
    evaluate = {**config.evaluate.model_dump(), "folder": config.run.folder / "evaluate_untrained"}
    return _with(config, student=student, evaluate=evaluate)


def _with(config: Config, **sections: Mapping[str, object]) -> Config:
    return Config.model_validate({**config.model_dump(), **sections})


def _summary(config: Config, seconds: dict[str, float]) -> Summary:
    run = config.run.folder
    read = {
        name: json.loads((run / name).read_text(encoding="utf-8"))
        for name in ("generate/manifest.json", "evaluate_untrained/scores.json", "evaluate/scores.json")
    }
    return Summary(
        teacher=read["generate/manifest.json"]["counts"],
        untrained=read["evaluate_untrained/scores.json"],
        trained=read["evaluate/scores.json"],
        seconds=seconds,
        folder=run,
    )


def _prepare(folder: Path, *, fresh: bool) -> None:
    if fresh and folder.exists():
        if not (folder / "world").is_dir() and any(folder.iterdir()):
            raise RunFolderError(f"{folder} does not look like a demo run, so it is not removed; name another --folder")
        shutil.rmtree(folder)


@contextmanager
def _timed(phase: str, seconds: dict[str, float]) -> Iterator[None]:
    _console.rule(f"[bold]{phase}", align="left")
    started = time.monotonic()
    yield
    seconds[phase] = time.monotonic() - started
