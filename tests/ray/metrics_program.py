"""A generation, a training and a service on a Ray of its own, watched as Prometheus would: `metrics_program.py FOLDER`.

FOLDER holds `index/`, and `wanted.json`, names of series; `seen.json` comes to hold, by name, the highest value of each
set of labels (of Ray's own, `WorkerId` alone). It ends once all are seen, or nothing new comes for `PATIENCE_S`.
"""

import json
import signal
import sys
import threading
import time
import urllib.request
from pathlib import Path

import httpx
import ray
from prometheus_client.parser import text_string_to_metric_families

from steper_ray.config import load_config
from steper_ray.drive.cluster import connect
from steper_ray.generate.run import generate
from steper_ray.sections.shared import RaySection
from steper_ray.serve.run import serving
from steper_ray.train.run import train
from tests.train.tiny import config_of, write_inputs

PATIENCE_S = 25.0
OURS = ("phase", "run", "outcome", "kind", "source", "after", "stage", "route", "status", "type", "le", "WorkerId")


class Watcher:
    """Scrapes the agent of the only node every second."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, float]] = {}
        self.last = ""
        self._url = f"http://127.0.0.1:{ray.nodes()[0]['MetricsExportPort']}/metrics"
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(1)
            try:
                text = urllib.request.urlopen(self._url, timeout=5).read().decode()
            except OSError:
                continue
            self.last = text
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    ours = {label: sample.labels[label] for label in OURS if label in sample.labels}
                    values = self.seen.setdefault(sample.name, {})
                    key = json.dumps(ours)
                    values[key] = max(values.get(key, sample.value), sample.value)

    def await_all(self, wanted: set[str]) -> None:
        patience = time.monotonic() + PATIENCE_S
        while wanted - set(self.seen) and time.monotonic() < patience:
            time.sleep(0.2)


def main(folder: Path) -> None:
    connect(RaySection(object_store_gib=0.2))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("SIGTERM came"))  # Ray's own handler leaves without a word
    watcher = Watcher()
    index, run = f"index.folder={folder / 'index'}", folder / "mine"
    questions = [{"id": f"q{n % 9}-{n}", "question": f"Who hosted show {n % 9}?"} for n in range(24)]
    questions = [{**question, "golden_answers": [f"answer to {question['id']}"]} for question in questions]
    (folder / "questions.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))
    generate(
        load_config(
            None,
            [
                f"run.folder={run}",
                index,
                f"generate.questions={folder / 'questions.jsonl'}",
                "teacher.backend=scripted",
                "teacher.scripted_latency_s=0.2",
                "generate.in_flight=4",
            ],
        )
    )
    train(config_of(write_inputs(folder), run, "train.workers=1", "train.epochs=3"))
    overrides = [f"run.folder={run}", index, "student.backend=scripted", "serve.port=0"]
    with serving(load_config(None, overrides)) as url, httpx.Client(base_url=url, timeout=30) as client:
        for path in ("/v1/answer", "/v1/answer/stream"):
            client.post(
                path, json={"question": "Who?", "id": "s1"}, headers={"X-Request-ID": "tied"}
            ).raise_for_status()
        client.post("/v1/answer", json={"question": ""})
        client.get("/nowhere")
        watcher.await_all(set(json.loads((folder / "wanted.json").read_text())))
        time.sleep(5)  # Ray's agent forgets gauges after two reports
        (folder / "last.txt").write_text(watcher.last)
    (folder / "seen.json").write_text(json.dumps(watcher.seen))
    lines = [line for path in _logs("worker-*") for line in path.read_text(errors="replace").splitlines()]
    (folder / "requests.jsonl").write_text("".join(f"{line}\n" for line in lines if '"request_id": "tied"' in line))
    ray.shutdown()


def _logs(pattern: str) -> list[Path]:
    return sorted((Path(ray._private.worker._global_node.get_session_dir_path()) / "logs").glob(pattern))  # type: ignore[union-attr]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
