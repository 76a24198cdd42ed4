"""The ablation on the demo world: `python -m benchmarks.ablate [--folder FOLDER] [--tiny] [section.key=value ...]`.

Makes what `steper ablate` starts from (world, index, replayed trajectories for training and for held-out questions),
runs it with `jobs/configs/ablate-demo.yaml`, and writes the table to `benchmarks/results/`. Interrupted, the same
command continues. `--tiny` runs every part in minutes; its scores say nothing and are not written there.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, ROOT, provenance
from steper_ray.config import Config, load_config
from steper_ray.errors import SteperError

SETTINGS = ROOT / "jobs" / "configs" / "ablate-demo.yaml"
SEED = 7
PASSAGES, TRAIN_QUESTIONS, HELD_OUT_QUESTIONS = 6000, 400, 150
SCORED_HELD_OUT = 20
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
    from steper_ray.generate.run import generate
    from steper_ray.index.run import build

    world = folder / "world"
    base = ensure_base_model()
    write_world(world, SEED, PASSAGES, TRAIN_QUESTIONS, HELD_OUT_QUESTIONS)
    config = settings(folder, base, overrides, tiny=tiny)
    if not (config.folder("index") / "index.json").exists():
        build(config)
    generate(replayed(config, world, "train", folder / "generate", TINY_TRAIN_QUESTIONS if tiny else None))
    generate(replayed(config, world, "held_out", folder / "held_out", TINY_SCORED if tiny else SCORED_HELD_OUT))
    ablate(config)
    if not tiny:
        given = " ".join(["python -m benchmarks.ablate", *map(shlex.quote, overrides)])
        publish_table(config.folder("ablate"), RESULTS, provenance("ablate", given))


def settings(folder: Path, base: Path, overrides: Sequence[str], *, tiny: bool) -> Config:
    """The configuration of the ablation, with what lies in the folder."""
    world = folder / "world"
    places = [
        f"run.folder={folder}",
        f"index.corpus={world / 'corpus.jsonl'}",
        f"train.model={base}",
        f"evaluate.questions={world / 'held_out.jsonl'}",
        f"ablate.held_out={folder / 'held_out'}",
    ]
    return load_config(SETTINGS, [*places, *(TINY if tiny else []), *overrides])


def replayed(config: Config, world: Path, split: str, folder: Path, limit: int | None) -> Config:
    teacher = config.teacher.model_copy(update={"recordings": world / f"chains.{split}.jsonl"})
    changes = {"questions": world / f"{split}.jsonl", "folder": folder, "limit": limit}
    return config.model_copy(update={"teacher": teacher, "generate": config.generate.model_copy(update=changes)})


def publish_table(source: Path, into: Path, head: dict[str, Any]) -> None:
    """Write an ablation's table and numbers with a head that says where they come from."""
    from steper_ray.experiments.results import NUMBERS_FILE, PAGE_FILE
    from steper_ray.runs import write_json, write_text

    sizes = {"seed": SEED, "passages": PASSAGES, "train": TRAIN_QUESTIONS, "held_out": HELD_OUT_QUESTIONS}
    numbers = json.loads((source / NUMBERS_FILE).read_text(encoding="utf-8"))
    write_json(into / NUMBERS_FILE, {**head, "world": sizes, **numbers})
    machine = head["machine"]
    told = (
        f"`{head['command']}`, commit {head['commit']}, {head['date']}, on {machine['cores']} cores "
        f"({machine['cpu']}) with {machine['memory_gib']} GiB: {TRAIN_QUESTIONS} annotated chains over {PASSAGES:,} "
        "passages to train on."
    )
    title, _, rest = (source / PAGE_FILE).read_text(encoding="utf-8").partition("\n")
    write_text(into / PAGE_FILE, f"{title}\n\n{told}\n{rest}")


if __name__ == "__main__":
    sys.exit(main())
