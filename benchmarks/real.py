"""What a few annotated chains teach a small model about real questions: `python -m benchmarks.real [--folder FOLDER]`.

Trains SmolLM2 on the chains of HotpotQA, 2WikiMultiHopQA and MuSiQue, replayed over one corpus of all three, with
`jobs/configs/real-chains.yaml`; evaluates it before and after on 100 other questions of each set, over that set's
corpus; and writes the scores to `benchmarks/results/`. Interrupted, the same command continues. The published data are
looked for where STEPER_DATA says; without them there is nothing to do.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, Ratio, Result, publish
from steper_ray.config import Config, load_config
from steper_ray.errors import SteperError

SETTINGS = ROOT / "jobs" / "configs" / "real-chains.yaml"
DATA = Path(os.environ.get("STEPER_DATA") or ROOT / "../shared/data")
SETS = {"hotpotqa": "dev.json", "2wikimultihopqa": "dev.json", "musique": "dev.jsonl"}
"""Folders of the data, with the file of the questions that are evaluated."""
BEFORE, AFTER = "untrained", "trained"
MEASURES = ("exact_match", "f1", "accuracy_substring", "accuracy_tokens")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/real"), help="run folder (%(default)s)")
    folder = parser.parse_args().folder
    if not (DATA / "chains").is_dir():
        print("skipped: no copy of the published data; set STEPER_DATA to its folder")
        return 0
    try:
        publish(measured(folder))
    except SteperError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def measured(folder: Path) -> Result:
    """Run what is not finished yet, and sum up."""
    from steper_ray.demo.model import ensure_base_model
    from steper_ray.evaluate.compare import compare_runs
    from steper_ray.evaluate.run import evaluate
    from steper_ray.generate.run import generate
    from steper_ray.index.run import build
    from steper_ray.train.run import train

    folder.mkdir(parents=True, exist_ok=True)
    passages = gather(DATA, folder)
    base = ensure_base_model()
    config = chains_config(folder, base)
    _once(build, config)
    samples = generate(config).counts
    models = {BEFORE: base, AFTER: train(config).weights}
    ratios, figures = list[Ratio](), dict[str, Mapping[str, float]]()
    for name in SETS:
        _once(build, set_config(folder, name, BEFORE, base))
        for when, model in models.items():
            evaluate(set_config(folder, name, when, model))
            figures[f"{name} {when}"] = _figures(folder / name / when / "scores.json")
        compared = compare_runs(folder / name / BEFORE, folder / name / AFTER, seed=config.run.seed).differences
        for measure in ("exact_match", "f1"):
            found = compared[measure]
            interval = f"{100 * found.interval.low:+.1f} to {100 * found.interval.high:+.1f}"
            told = f"points that training adds, 95 % {interval}, p {found.p_value:.2g} ({found.test})"
            ratios.append(Ratio(f"{measure}_points_{name}", 100 * found.difference, told))
    settings = {
        "passages": passages,
        "chains": samples["asked"],
        "right": samples["used"],
        "samples": samples["samples"],
    }
    notes = [
        "Shares and intervals (…_low, …_high, 95 %) are over 100 questions per set; recall_1 is a single retrieval's.",
        "The corpora are extracts, so retrieval is easier than over all of Wikipedia; 2WikiMultiHopQA without aliases.",
    ]
    return Result(name="real", ratios=ratios, medians=figures, settings=settings, notes=notes)


def gather(data: Path, folder: Path) -> int:
    """Write what the training starts from: chains, their questions, and the distinct passages of all corpora.

    Returns:
        The number of passages.
    """
    chains = [row for name in SETS for row in _rows(data / "chains" / f"{name}.jsonl")]
    asked = [{"id": row["id"], "question": row["question"], "golden_answers": row["answers"]} for row in chains]
    passages: dict[tuple[str, str], dict[str, Any]] = {}
    for name in SETS:
        for file in (data / name / "corpus.jsonl", data / name / "corpus.train.jsonl"):
            for row in _rows(file):
                # Ids are distinct within a file alone.
                distinct = {**row, "_id": f"{name}/{file.suffixes[0][1:]}/{row['_id']}"}
                passages.setdefault((row["title"], row["text"]), distinct)
    for part, rows in (("chains", chains), ("questions", asked), ("corpus", [*passages.values()])):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{part}.jsonl").write_text(text, encoding="utf-8")
    return len(passages)


def chains_config(folder: Path, base: Path) -> Config:
    """Of index, generation and training."""
    places = {
        "run.folder": folder / "chains",
        "index.corpus": folder / "corpus.jsonl",
        "teacher.recordings": folder / "chains.jsonl",
        "generate.questions": folder / "questions.jsonl",
        "train.model": base,
    }
    return load_config(SETTINGS, [f"{key}={place}" for key, place in places.items()])


def set_config(folder: Path, name: str, when: str, model: Path) -> Config:
    """Of the index over one set, and of an evaluation there."""
    places = {
        "run.folder": folder / name,
        "index.corpus": DATA / name / "corpus.jsonl",
        "evaluate.questions": DATA / name / SETS[name],
        "evaluate.folder": folder / name / when,
        "student.model": model,
    }
    return load_config(SETTINGS, [f"{key}={place}" for key, place in places.items()])


def _once(build: Any, config: Config) -> None:
    if not (config.folder("index") / "index.json").exists():
        build(config)


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _figures(scores: Path) -> dict[str, float]:
    found = json.loads(scores.read_text(encoding="utf-8"))
    quality, recall = found["quality"], found["recall"]
    figures: dict[str, float] = {"questions": quality["questions"], "answered": found["answered_share"]}
    for measure in MEASURES:
        low, high = (round(end, 6) for end in quality[f"{measure}_interval"].values())
        figures |= {measure: quality[measure], f"{measure}_low": low, f"{measure}_high": high}
    for name, step in (("1", recall[0]), ("last", recall[-1])):
        figures |= {f"recall_{name}_{kind}": round(step[kind], 4) for kind in ("any", "all", "fraction")}
    return {**figures, "steps_mean": found["steps_mean"]}


if __name__ == "__main__":
    sys.exit(main())
