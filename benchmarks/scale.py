"""What the pipeline of `steper generate` costs without a model, and how far it carries.

    python benchmarks/scale.py [--quick] [--only crew|long|million|resume …]

* crew: `scripted` engines, latency per step log-normal with median 0.5 s, three steps, 64 questions in flight per
  engine, 2,000 questions × engines, for 1, 2, 4, 8 and 16 engines. `efficiency_N` is questions per second of N engines
  over N times those of one. `overhead_ms` is CPU time per question of all processes, without Lucene's share.
* long: 100,000 questions over 16 engines: counts, and the driver's memory, which includes the samples made at the end.
* million: a corpus of a million passages of the demo world: time and size of the index, queries per second, memory.
* resume: the ledger of ten million finished keys: time and memory.

The clock of crew and long runs from the first part that is written, when Ray and all engines have started, to the last.
Samples and totals come behind it: they are in the driver's memory, and `samples_and_totals_s` is their time, but they
are in neither questions per second nor `overhead_ms`.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.harness import Ratio, Result, publish
from benchmarks.processes import run_child

ACTORS = (1, 2, 4, 8, 16)
STEPS = 3
PARTS = ("crew", "long", "million", "resume")
TIMEOUT_S = 3600
Figures = dict[str, dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes; writes no result")
    parser.add_argument("--only", action="append", choices=PARTS, help="these parts alone; writes no result")
    options = parser.parse_args()
    shrink = 20 if options.quick else 1
    with tempfile.TemporaryDirectory(prefix="steper-benchmark-") as folder:
        found = _measure(Path(folder), options.only or PARTS, shrink)
    result = Result(name="scale", ratios=_ratios(found), medians=found, notes=_notes(found))
    publish(result, write=not (options.quick or options.only))


def _measure(folder: Path, parts: "list[str] | tuple[str, ...]", shrink: int) -> Figures:
    found: Figures = {}
    if "crew" in parts:
        for actors in ACTORS:
            found[f"crew_{actors}"] = _child("crew", folder / f"crew{actors}", actors, actors * 2000 // shrink)
        found["lucene"] = _child("search_cost", folder / "crew1" / "index")
    if "long" in parts:
        found["long"] = _child("crew", folder / "long", ACTORS[-1], 100_000 // shrink)
    if "million" in parts:
        found["million"] = _child("million", folder / "million", 1_000_000 // shrink)
    if "resume" in parts:
        found["resume"] = _child("resume", folder / "resume", 10_000_000 // shrink)
    return found


def _child(what: str, folder: Path, *numbers: int) -> dict[str, Any]:
    figures, _ = run_child("benchmarks.scaling", [what, str(folder), *map(str, numbers)], TIMEOUT_S)
    Console().print(what, {name: round(value, 3) for name, value in figures.items()}, highlight=False)
    return figures


def _ratios(found: Figures) -> list[Ratio]:
    ratios = []
    if "crew_1" in found:
        one = found["crew_1"]["questions_per_s"]
        for actors in ACTORS[1:]:
            value = found[f"crew_{actors}"]["questions_per_s"] / (actors * one)
            ratios.append(Ratio(f"efficiency_{actors}", value, f"questions/s of {actors} engines / {actors} × one's"))
        ratios.append(Ratio("overhead_ms", _overhead(found), "CPU ms per question, Lucene apart", at_most=3.0))
    if "long" in found:
        long = found["long"]
        ratios.append(Ratio("driver_gib", long["driver_mib_peak"] / 1024, "driver's peak memory, GiB", at_most=1.5))
        growth = long["driver_mib_at_end"] / long["driver_mib_at_half"]
        ratios.append(Ratio("driver_growth", growth, "driver's memory at the end / at half time", at_most=1.1))
    if "resume" in found:
        resume = found["resume"]
        ratios.append(Ratio("resume_minutes", resume["read_s"] / 60, "ledger of 10 million keys, minutes", at_most=1.0))
        ratios.append(Ratio("resume_gib", resume["memory_mib_peak"] / 1024, "its peak memory, GiB", at_most=2.0))
    return ratios


def _overhead(found: Figures) -> float:
    """Of the largest crew that two cores do not yet hold back; what the retriever spends beyond Lucene is ours too."""
    crew = found["crew_4"]
    lucene_ms = STEPS * found["lucene"]["lucene_ms_per_query"]
    return float(crew["overhead_ms"] + max(0.0, crew["retriever_ms"] - lucene_ms))


def _notes(found: Figures) -> list[str]:
    return [
        "driver_gib, overhead_ms, resume_minutes and resume_gib are figures of this machine, not ratios.",
        "overhead_ms is taken with four engines; the parts of all crews stand under medians.",
        "overhead_ms is without samples and totals, which are made once at the end: samples_and_totals_s.",
        _CPU,
        *([_RESUME] if "resume" in found else []),
    ]


_CPU = (
    "CPU time is that of psutil's cpu_times of each process, sampled over the run: a process that ends is counted up "
    "to its last sample, one that lives between two samples not at all."
)
_RESUME = (
    "resume is the ledger alone: the questions' own file, which is read before it, and samples and totals, which are "
    "made again at the end, grow with the number of questions and are not part of it."
)


if __name__ == "__main__":
    main()
