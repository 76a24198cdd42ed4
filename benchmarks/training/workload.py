"""The fixed workload: trajectories of the demo world in both layouts, tokenised, dealt out to updates, in one file.

Questions and rationales are the world's annotated chains; the passages are what BM25 finds, as in `steper generate`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.generation.retrieval import Searcher
from benchmarks.generation.workload import query_of
from steper_ray.core.chat import ChatFormat, load_chat_format
from steper_ray.core.loop import begin, fold_passages, fold_rationale
from steper_ray.core.samples import samples_of
from steper_ray.core.types import Layout, LoopSettings, Stage, Trajectory, Usage
from steper_ray.demo.questions import AnnotatedQuestion, iter_questions
from steper_ray.demo.world import Split, World, iter_passages
from steper_ray.demo.writer import passage_row, whole_file, write_row
from steper_ray.index.child import index_in_child
from steper_ray.sections.shared import IndexSection
from steper_ray.student.units import Segment, Unit, UnitBuilder, appended_units, turns_units

SEED, PASSAGES, QUESTIONS, K = 7, 3000, 260, 4
"""The demo's."""
PER_UPDATE: Mapping[int, int] = {3: 4, 4: 2}
"""Steps of a trajectory → how many of these an update has: two hops twice as often as three, as in the demo's mix."""
MEMORY: Mapping[int, int] = {3: 4}
"""The same for the memory of one update."""
BUILDERS: Mapping[Layout, UnitBuilder] = {Layout.TURNS: turns_units, Layout.APPENDED: appended_units}

Units = dict[str, list[Unit]]
"""Layout → the units of one update."""


def build_workload(folder: Path, file: Path, model: Path, updates: int) -> None:
    """Write the updates of both parts to a file; `folder` is for the index. The same number gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World(SEED, PASSAGES)
    with whole_file(folder / "corpus.jsonl") as corpus:
        for passage in iter_passages(world):
            write_row(corpus, passage_row(passage))
    index_in_child(folder / "corpus.jsonl", folder / "index", IndexSection())
    chat = load_chat_format(model)
    with Searcher(folder / "index") as searcher:
        asked = by_steps(world)
        speed = [_update(PER_UPDATE, asked, searcher, chat) for _ in range(updates)]
        memory = [_update(MEMORY, by_steps(world), searcher, chat)] * 2
    with whole_file(file) as out:
        json.dump({"speed": speed, "memory": memory}, out)


def read_workload(file: Path, part: str) -> list[Units]:
    """The updates of a part."""
    updates = json.loads(file.read_text(encoding="utf-8"))[part]
    return [{layout: [_unit(row) for row in rows] for layout, rows in update.items()} for update in updates]


def by_steps(world: World) -> dict[int, Iterator[AnnotatedQuestion]]:
    """The world's questions by the number of steps of their chains, in order."""
    asked = list(iter_questions(world, Split.TRAIN, QUESTIONS))
    return {
        steps: iter([question for question in asked if len(question.steps) == steps])
        for steps in {len(question.steps) for question in asked}
    }


def _update(
    mix: Mapping[int, int], asked: Mapping[int, Iterator[AnnotatedQuestion]], searcher: Searcher, chat: ChatFormat
) -> dict[str, list[dict[str, Any]]]:
    chosen = [next(asked[steps]) for steps, count in mix.items() for _ in range(count)]
    trajectories = [_trajectory(question, searcher) for question in chosen]
    return {
        layout.value: [
            _row(unit)
            for trajectory in trajectories
            for unit in build(samples_of(trajectory, LoopSettings(layout=layout, k=K)), chat)
        ]
        for layout, build in BUILDERS.items()
    }


def _trajectory(annotated: AnnotatedQuestion, searcher: Searcher) -> Trajectory:
    how, state = LoopSettings(k=K), begin(annotated.question)
    for step in annotated.steps:
        state = fold_passages(state, searcher.search_many([query_of(state, how)], K)[0], how)
        state = fold_rationale(state, step.rationale, Usage(), how)
    return state.trajectory


def _row(unit: Unit) -> dict[str, Any]:
    segments = [[part.sample_id, part.stage.value, part.start, part.stop] for part in unit.segments]
    return {"id": unit.id, "question_id": unit.question_id, "ids": unit.token_ids.tolist(), "segments": segments}


def _unit(row: dict[str, Any]) -> Unit:
    segments = tuple(Segment(name, Stage(stage), start, stop) for name, stage, start, stop in row["segments"])
    return Unit(row["id"], row["question_id"], np.array(row["ids"], dtype=np.int32), segments)
