"""Tokens per second, MFU and memory of the update loop on a GPU, without Ray, against Hugging Face's `Trainer`.

    PYTHONPATH=. python benchmarks/train_gpu.py --shape 1b [--compile] [--activation-checkpointing] …
    PYTHONPATH=. torchrun --nproc-per-node 8 benchmarks/train_gpu.py --shape 8b

Needs torch, transformers and peft with what these need. Llama shapes with random weights; synthetic trajectories in the
`turns` layout that fill every pack to the last token, a tenth of them targets; fp32 weights and AdamW, bf16 compute. As
a plain process: ours, then `Trainer` (and TRL's `SFTTrainer` where it is installed) on the same trajectories, a row
each, the rows of a pack padded to its longest; each in a fresh process. Under `torchrun`: ours alone.

MFU counts what must be computed: real tokens, attention within each trajectory, the head at target tokens
(`steper_ray/student/flops.py`); neither padding nor activations computed again. `mfu_6n` is the usual count, with all
parameters at every token. Both are shares of the vendor's dense bf16 figure, or of a measured matrix product.
"""

import argparse
import importlib.util
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.harness import Ratio, Result, publish
from benchmarks.processes import ChildFailed, run_child
from benchmarks.training_gpu.settings import Settings
from benchmarks.training_gpu.shapes import SHAPES
from benchmarks.training_gpu.synthetic import pack_units
from steper_ray.student.flops import flops_of, update_flops

CONTENDERS = ("ours", "trainer", "trl")
TIMEOUT_S = 3600
ENVIRONMENT = {"PYTORCH_ALLOC_CONF": "expandable_segments:True", "HF_HUB_OFFLINE": "1"}
"""Of every contender."""
GOALS = {False: 0.40, True: 0.50}
"""MFU of the 1B shape at 8k-token packs on an H200, eager and compiled."""

_console = Console(soft_wrap=True, highlight=False)


def main() -> None:
    options = _arguments()
    with tempfile.TemporaryDirectory(prefix="steper-benchmark-") as work:
        settings = _settings(options, Path(work))
        if "RANK" in os.environ:
            _as_rank(settings, Path(work), write=options.write)
            return
        runs, notes = _run_all(settings, Path(work), options.only or CONTENDERS)
    _publish(settings, runs, 1, notes, write=options.write)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="1b")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--pack-tokens", type=int, default=8192)
    parser.add_argument("--packs", type=int, default=2, help="packs of one update, on each rank")
    parser.add_argument("--updates", type=int, default=10, help="timed updates; three more come before")
    parser.add_argument("--compile", action="store_true", help="torch.compile in every contender")
    parser.add_argument("--activation-checkpointing", action="store_true", help="in every contender")
    parser.add_argument("--reshard", action=argparse.BooleanOptionalAction, default=True, help="free gathered weights")
    parser.add_argument("--lora-rank", type=int, default=0, help="0 trains all weights")
    parser.add_argument("--folder", type=Path, help="keeps the random weights; several hosts must share it")
    parser.add_argument("--only", action="append", choices=CONTENDERS, help="these contenders alone")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/train_gpu_….json")
    return parser.parse_args()


def _settings(options: argparse.Namespace, work: Path) -> Settings:
    names = ("device", "pack_tokens", "packs", "updates", "compile", "activation_checkpointing", "reshard", "lora_rank")
    folder = (options.folder or work) / options.shape
    return Settings(shape_name=options.shape, folder=folder, **{name: getattr(options, name) for name in names})


def _run_all(
    settings: Settings, work: Path, names: "tuple[str, ...] | list[str]"
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    runs, notes = {}, []
    # A second GPU would make `Trainer` copy the model onto it.
    environment = {**ENVIRONMENT, "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]}
    for name in names:
        if name == "trl" and not importlib.util.find_spec("trl"):
            notes.append("trl is not installed, so it is missing.")
            continue
        folder = work / f"files-{name}"
        folder.mkdir()
        try:
            arguments = [name, settings.to_json(), str(folder)]
            runs[name], _ = run_child("benchmarks.training_gpu", arguments, TIMEOUT_S, environment)
        except ChildFailed as error:
            if name == "ours" or "out of memory" not in str(error):
                raise
            notes.append(f"{name} ran out of memory.")
        _console.print(f"{name}: {notes[-1] if name not in runs else 'done'}")
    return runs, notes


def _as_rank(settings: Settings, work: Path, *, write: bool) -> None:
    """Ours in this process, one of several; the first tells what came out."""
    os.environ.update(ENVIRONMENT)
    import torch.distributed as dist

    from benchmarks.training_gpu.ours import ours

    measured = ours(settings, work)
    size, first = dist.get_world_size(), dist.get_rank() == 0
    dist.destroy_process_group()
    if first:
        _publish(settings, {"ours": asdict(measured)}, size, ["Memory is that of the first rank."], write=write)


def _publish(settings: Settings, runs: dict[str, dict[str, Any]], ranks: int, notes: list[str], *, write: bool) -> None:
    import torch

    from benchmarks.training_gpu.peak import peak_flops

    peak, source = peak_flops(torch.device(settings.device))
    figures = {name: _figures(settings, run, peak, ranks) for name, run in runs.items()}
    told = {name: value for name, value in asdict(settings).items() if name != "folder"}
    result = Result(
        name=_name(settings),
        ratios=_ratios(settings, figures, source),
        medians=figures,
        settings={**told, "ranks": ranks, "parameters": settings.shape.parameters, "peak": f"{peak:.3g} ({source})"},
        notes=[*notes, *_notes()],
    )
    publish(result, write=write)
    for note in notes:
        _console.print(note)


def _name(settings: Settings) -> str:
    kinds = ("_lora" if settings.lora_rank else "", "_compiled" if settings.compile else "")
    return f"train_gpu_{settings.shape_name}{''.join(kinds)}"


def _figures(settings: Settings, run: dict[str, Any], peak: float, ranks: int) -> dict[str, float]:
    seconds = run["ended"] - run["started"]
    share = settings.updates / (settings.updates + settings.warm_up)
    needed, usual = _flops(settings, ranks)
    figures = {
        "tokens_per_s": round(run["tokens"] * share / seconds, 1),
        "mfu": round(needed / seconds / peak / ranks, 4),
        "update_s": round(seconds / run["updates"], 4),
        "peak_gib": round(run["peak_mib"] / 1024, 2),
        "rest_gib": round(run["rest_mib"] / 1024, 2),
        "padding_share": round(1 - run["tokens"] / run["computed_tokens"], 4),
    }
    # The usual count knows of no frozen weights.
    return figures if settings.lora_rank else {**figures, "mfu_6n": round(usual / seconds / peak / ranks, 4)}


def _flops(settings: Settings, ranks: int) -> tuple[float, float]:
    """Of all timed updates: what is needed, and the usual count."""
    shape, needed, usual = settings.shape, 0.0, 0.0
    adapter = _adapter_parameters(settings)
    for update in range(settings.warm_up, settings.warm_up + settings.updates):
        for pack in range(settings.packs * ranks):
            units = pack_units(settings, update, pack)
            lengths = [len(unit) for unit in units]
            targets = sum(segment.stop - segment.start for unit in units for segment in unit.segments)
            needed += update_flops(shape.size, lengths, targets, adapter=adapter)
            usual += flops_of(shape.parameters, shape.layers, shape.size.hidden, lengths)
    return needed, usual


def _adapter_parameters(settings: Settings) -> int:
    """Of LoRA on all seven products of every layer: rank × (in + out) each."""
    shape = settings.shape
    own, shared = shape.heads * shape.head_size, shape.key_heads * shape.head_size
    attention = 2 * (shape.hidden + own) + 2 * (shape.hidden + shared)
    return settings.lora_rank * shape.layers * (attention + 3 * (shape.hidden + shape.intermediate))


def _ratios(settings: Settings, figures: dict[str, dict[str, float]], source: str) -> list[Ratio]:
    found = []
    if "ours" in figures:
        at_goal = (settings.shape_name, settings.pack_tokens, settings.lora_rank) == ("1b", 8192, 0)
        goal = GOALS[settings.compile] if at_goal and "H200" in source else None
        found.append(Ratio("mfu", figures["ours"]["mfu"], f"of ours, {source}", at_least=goal))
    for name in ("trainer", "trl"):
        if "ours" in figures and name in figures:
            ours, theirs = figures["ours"], figures[name]
            speed = ours["tokens_per_s"] / theirs["tokens_per_s"]
            found.append(Ratio(f"vs_{name}", speed, f"tokens per second, ours / {name}"))
            memory = ours["peak_gib"] / theirs["peak_gib"]
            found.append(Ratio(f"memory_vs_{name}", memory, f"most memory in use, ours / {name}"))
    return found


def _notes() -> list[str]:
    return [
        "`Trainer` and TRL get the same trajectories as one row each, so the usual way's further cost, a row per "
        "sample, is not in these figures: `benchmarks/train.py` has it.",
        "Tokens are real ones; padding counts neither in tokens nor in MFU.",
    ]


if __name__ == "__main__":
    main()
