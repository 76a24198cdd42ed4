"""The ablation on the demo world: `python -m benchmarks.ablate [--folder FOLDER] [--tiny] [section.key=value ...]`.

Makes what `steper ablate` starts from (world, index, replayed trajectories for training and for held-out questions),
runs it with `jobs/configs/ablate-demo.yaml`, and copies the table to `benchmarks/results/`. Interrupted, the same
command continues. `--tiny` runs every part in minutes; its scores say nothing and are not copied.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import RESULTS, ROOT
from steper_ray.config import Config, load_config
from steper_ray.errors import SteperError

SETTINGS = ROOT / "jobs" / "configs" / "ablate-demo.yaml"
SEED = 7
PASSAGES, TRAIN_QUESTIONS, HELD_OUT_QUESTIONS = 6000, 240, 150
SCORED_HELD_OUT = 60
"""Held-out questions whose samples loss and token accuracy are taken on."""
TINY = ["evaluate.limit=8", "ablate.updates=2", "ablate.members=[untrained, vanilla_kd, steper]"]
TINY_TRAIN_QUESTIONS, TINY_SCORED = 16, 6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/ablate-demo"), help="run folder (%(default)s)")
    parser.add_argument("--tiny", action="store_true", help="a few updates and questions")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    options = parser.parse_args()
    try:
        run(options.folder, options.overrides, tiny=options.tiny)
    except SteperError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def run(folder: Path, overrides: Sequence[str], *, tiny: bool) -> None:
    from steper_ray.demo.model import ensure_base_model
    from steper_ray.demo.writer import write_world
    from steper_ray.experiments.ablate import ablate
    from steper_ray.experiments.results import NUMBERS_FILE, PAGE_FILE
    from steper_ray.generate.run import generate
    from steper_ray.index.run import build

    world = folder / "world"
    base = ensure_base_model()
    write_world(world, SEED, PASSAGES, TRAIN_QUESTIONS, HELD_OUT_QUESTIONS)
    config = load_config(
        SETTINGS,
        [
            f"run.folder={folder}",
            f"index.corpus={world / 'corpus.jsonl'}",
            f"train.model={base}",
            f"evaluate.questions={world / 'held_out.jsonl'}",
            f"ablate.held_out={folder / 'held_out'}",
            *(TINY if tiny else []),
            *overrides,
        ],
    )
    if not (config.folder("index") / "index.json").exists():
        build(config)
    generate(replayed(config, world, "train", folder / "generate", TINY_TRAIN_QUESTIONS if tiny else None))
    generate(replayed(config, world, "held_out", folder / "held_out", TINY_SCORED if tiny else SCORED_HELD_OUT))
    ablate(config)
    if not tiny:
        for name in (PAGE_FILE, NUMBERS_FILE):
            shutil.copyfile(config.folder("ablate") / name, RESULTS / name)


def replayed(config: Config, world: Path, split: str, folder: Path, limit: int | None) -> Config:
    teacher = config.teacher.model_copy(update={"recordings": world / f"chains.{split}.jsonl"})
    changes = {"questions": world / f"{split}.jsonl", "folder": folder, "limit": limit}
    return config.model_copy(update={"teacher": teacher, "generate": config.generate.model_copy(update=changes)})


if __name__ == "__main__":
    sys.exit(main())
