"""The fixed workload: questions, their recorded rationales, and the prompts that these lead to, in a folder.

The texts of the rationales are fixed beforehand, so every contender builds exactly the same prompts; the engine really
computes as many tokens as each rationale has, and what it writes is replaced by the recorded text. (So a rationale's
tokens are not found in the prefix cache by the next prompt, as they would be in earnest: the `turns` layout gains less
here than in use.)
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.generation.retrieval import Searcher
from benchmarks.generation.texts import corpus, questions, rationales, tokens_of
from steper_ray.core.chat import ChatFormat, load_chat_format
from steper_ray.core.loop import LoopState, Retrieve, Write, begin, fold_passages, fold_rationale, next_action
from steper_ray.core.types import Layout, LoopSettings, Passage, Question, Usage
from steper_ray.demo.world import World
from steper_ray.demo.writer import passage_row, whole_file, write_row
from steper_ray.index.child import index_in_child
from steper_ray.sections.shared import IndexSection

INDEX, FILE = "index", "workload.json"


@dataclass(frozen=True, slots=True)
class Recording:
    """A question, what is written in each of its steps, and the prompt ids of each step by layout."""

    question: Question
    rationales: tuple[str, ...]
    tokens: tuple[int, ...]
    """Of each rationale, its end of turn included: as many as the engine computes."""
    prompts: dict[str, tuple[tuple[int, ...], ...]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the workload is made from."""

    questions: int = 64
    world_passages: int = 20_000
    k: int = 4
    seed: int = 7


def settings(layout: Layout, k: int) -> LoopSettings:
    """The loop of the benchmark."""
    return LoopSettings(layout=layout, k=k)


def build_workload(folder: Path, model: Path, sizes: Sizes) -> list[Recording]:
    """Write corpus, index and recordings into a folder; the same sizes give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World(sizes.seed, sizes.world_passages)
    passages = list(corpus(world))
    with whole_file(folder / "corpus.jsonl") as file:
        for passage in passages:
            write_row(file, passage_row(passage))
    index_in_child(folder / "corpus.jsonl", folder / INDEX, IndexSection())
    chat = load_chat_format(model)
    with Searcher(folder / INDEX) as searcher:
        recordings = [
            _recording(question, steps, passages, chat, searcher, sizes)
            for question, steps in questions(world, sizes.questions)
        ]
    text = json.dumps([asdict(recording) for recording in recordings])
    (folder / FILE).write_text(text, encoding="utf-8")
    return recordings


def read_workload(folder: Path) -> list[Recording]:
    """What `build_workload` wrote."""
    return [
        Recording(
            question=Question(**row["question"]),
            rationales=tuple(row["rationales"]),
            tokens=tuple(row["tokens"]),
            prompts={layout: tuple(map(tuple, prompts)) for layout, prompts in row["prompts"].items()},
        )
        for row in json.loads((folder / FILE).read_text(encoding="utf-8"))
    ]


def _recording(
    question: Question, steps: int, passages: Sequence[Passage], chat: ChatFormat, searcher: Searcher, sizes: Sizes
) -> Recording:
    lines = rationales(question, steps, passages, chat, sizes.seed)
    prompts = {layout.value: _prompts(question, lines, chat, searcher, settings(layout, sizes.k)) for layout in Layout}
    return Recording(question, tuple(lines), tuple(tokens_of(line, chat) for line in lines), prompts)


def _prompts(
    question: Question, lines: Sequence[str], chat: ChatFormat, searcher: Searcher, how: LoopSettings
) -> tuple[tuple[int, ...], ...]:
    state, prompts = begin(question), list[tuple[int, ...]]()
    for line in lines:
        state = retrieved(state, searcher.search_many([query_of(state, how)], how.k)[0], how)
        prompts.append(prompt_ids(state, how, chat))
        state = fold_rationale(state, line, Usage(), how)
    assert state.trajectory.stop is not None, "the last recorded rationale ends its trajectory"
    return tuple(prompts)


def query_of(state: LoopState, how: LoopSettings) -> str:
    """The query of a state that is about to retrieve."""
    action = next_action(state, how)
    assert isinstance(action, Retrieve)
    return action.query


def retrieved(state: LoopState, found: Sequence[Passage], how: LoopSettings) -> LoopState:
    """The state with the passages of its next step."""
    return fold_passages(state, found, how)


def prompt_ids(state: LoopState, how: LoopSettings, chat: ChatFormat) -> tuple[int, ...]:
    """The prompt of a state that is about to write."""
    action = next_action(state, how)
    assert isinstance(action, Write)
    return tuple(chat.prompt_ids(action.prompt))
