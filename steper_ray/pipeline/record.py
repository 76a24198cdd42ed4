"""What a pipeline has finished, in `pipeline.json` of the run folder: from which inputs, and what came out."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steper_ray.runs import MANIFEST_FILE, write_json

RECORD_FILE = "pipeline.json"

Output = dict[str, Any]
"""Fingerprint and counts of a manifest."""


@dataclass
class Record:
    """Finished phases of a run folder. A phase is done when neither its inputs nor its output have changed since."""

    path: Path
    phases: dict[str, dict[str, Any]] = field(default_factory=dict)

    def done(self, phase: str, inputs: str, output: Output | None) -> bool:
        """Whether the phase was finished from these inputs, and what it made is still there."""
        return output is not None and self.phases.get(phase) == {"inputs": inputs, "output": output}

    def finish(self, phase: str, inputs: str, output: Output | None) -> None:
        """Note a phase that has come to its end; written at once."""
        self.phases[phase] = {"inputs": inputs, "output": output}
        write_json(self.path, self.phases)


def read_record(run: Path) -> Record:
    """The record of a run folder; one that cannot be read is empty: phases find out themselves what is done."""
    path = run / RECORD_FILE
    try:
        phases = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        phases = {}
    return Record(path, phases if isinstance(phases, dict) else {})


def output_of(folder: Path) -> Output | None:
    """What a finished phase made, from its manifest; None where there is none, or its weights are gone."""
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        weights = manifest["facts"].get("weights")
        if weights and not (folder / weights).is_dir():
            return None
        return {"fingerprint": manifest["fingerprint"], "counts": manifest["counts"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
