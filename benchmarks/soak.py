"""The service under constant load for ten minutes: does its memory grow, do its answers slow down?

    python benchmarks/soak.py [--minutes 10] [--quick]

Workload and engine are those of `benchmarks/serve.py`; eight clients ask in a closed loop. Memory is that resident in
all processes of Ray and the service: the median over the second tenth of the time against that over the last tenth. In
the first tenth caches fill.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.generation.workload import Sizes, build_workload
from benchmarks.harness import Ratio, Result, publish
from benchmarks.processes import run_child
from benchmarks.serving.plan import ServingPlan
from steper_ray.demo.model import ensure_base_model

CLIENTS = 8
THREADS = {"OMP_WAIT_POLICY": "passive"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="of constant load")
    parser.add_argument("--quick", action="store_true", help="one minute, few questions; writes no result")
    arguments = parser.parse_args()
    minutes = 1.0 if arguments.quick else arguments.minutes
    sizes = Sizes(questions=16) if arguments.quick else Sizes()
    with tempfile.TemporaryDirectory(prefix="steper-benchmark-") as folder:
        work, model = Path(folder), ensure_base_model()
        build_workload(work / "workload", model, sizes)
        plan = ServingPlan(work / "workload", model, (CLIENTS,), k=sizes.k, seed=sizes.seed, soak_seconds=60 * minutes)
        (work / "soak").mkdir()
        timeout_s = 60 * minutes + 600
        measured, _ = run_child("benchmarks.serving", ["soak", plan.to_json(), str(work / "soak")], timeout_s, THREADS)
    publish(_result(measured["figures"], minutes), write=not arguments.quick)


def _result(figures: dict[str, Any], minutes: float) -> Result:
    ratios = [
        Ratio("rss_growth", figures["late_mib_all"] / figures["early_mib_all"], "memory late / early", at_most=1.05),
        Ratio("p99_growth", figures["late_p99_s"] / figures["early_p99_s"], "slowest answers, second half / first"),
        Ratio("failed", figures["failed"], "requests without an answer", at_most=0),
    ]
    settings = {"minutes": minutes, "clients": CLIENTS, "model": "SmolLM2-135M-Instruct", **THREADS}
    return Result("soak", ratios, {"service": {name: round(value, 3) for name, value in figures.items()}}, {}, settings)


if __name__ == "__main__":
    main()
