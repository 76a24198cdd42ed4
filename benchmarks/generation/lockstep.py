"""The usual way without a loop per question: all questions of a batch take their step together, then the next."""

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.generation.engine import generate, load_llm, watch
from benchmarks.generation.plan import FLUSH_ROWS, FLUSH_S, Measured, Plan, usage
from benchmarks.generation.retrieval import Searcher
from benchmarks.generation.workload import INDEX, Recording, prompt_ids, query_of, read_workload, retrieved, settings
from steper_ray.core.chat import load_chat_format
from steper_ray.core.loop import LoopState, begin, fold_rationale
from steper_ray.core.types import Usage
from steper_ray.data.schemas import TRAJECTORIES, trajectory_row
from steper_ray.drive.writer import PartWriter

PROVENANCE = {"model": "SmolLM2-135M-Instruct", "prompt_version": "1", "fingerprint": "", "text_hash": ""}


def lockstep(plan: Plan, folder: Path, batch: int) -> Measured:
    """Batches of questions one after the other; in each round one batch search, then one `LLM.generate`."""
    recordings, how = read_workload(plan.workload), settings(plan.layout, plan.k)
    chat = load_chat_format(plan.model)
    llm = load_llm(plan.section(), plan.seed, plan.threads)
    clock = watch(llm.llm_engine)
    started, first, search_s, outputs = 0.0, 0.0, 0.0, []
    with (
        Searcher(plan.workload / INDEX) as searcher,
        PartWriter(folder, TRAJECTORIES, rows=FLUSH_ROWS, seconds=FLUSH_S) as writer,
    ):
        for group in _groups(recordings, batch):
            states = [begin(found.question) for found in group]
            while group:
                asked = time.perf_counter()
                passages = searcher.search_many([query_of(state, how) for state in states], how.k)
                search_s += time.perf_counter() - asked if started else 0.0
                states = [retrieved(state, found, how) for state, found in zip(states, passages, strict=True)]
                prompts = [prompt_ids(state, how, chat) for state in states]
                numbers = [len(state.trajectory.steps) for state in states]
                started = started or time.time()
                tokens = [found.tokens[number] for found, number in zip(group, numbers, strict=True)]
                written = generate(llm, prompts, tokens)
                outputs += written
                lines = [found.rationales[number] for found, number in zip(group, numbers, strict=True)]
                states = [fold_rationale(state, line, Usage(), how) for state, line in zip(states, lines, strict=True)]
                for state in states:
                    if state.trajectory.stop is not None:
                        writer.add(trajectory_row(state.trajectory, PROVENANCE))
                        first = first or time.time()
                group, states = _unfinished(group, states)
        ended = time.time()
    figures = {**clock.figures(), "retrieval_s": search_s}
    return Measured(started, ended, *usage(outputs), first_written=first, figures=figures)


def _groups(recordings: Sequence[Recording], size: int) -> list[list[Recording]]:
    return [list(recordings[start : start + size]) for start in range(0, len(recordings), size)]


def _unfinished(group: list[Recording], states: list[LoopState]) -> tuple[list[Recording], list[LoopState]]:
    left = [(found, state) for found, state in zip(group, states, strict=True) if state.trajectory.stop is None]
    return [found for found, _ in left], [state for _, state in left]
