"""`steper corpus from-questions`: the paragraphs that come with questions become a corpus, each once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from steper_ray.core.identity import content_id
from steper_ray.core.types import Passage
from steper_ray.corpus.file import write_corpus
from steper_ray.data.contexts import read_contexts
from steper_ray.errors import InputError


@dataclass
class GatherCounts:
    """Filled while the questions stream through: paragraphs = passages + repeated + empty."""

    questions: int = 0
    paragraphs: int = 0
    passages: int = 0
    repeated: int = 0
    empty: int = 0
    missing_gold: int = 0
    """Supporting titles that are not among their question's own paragraphs."""


def gather_corpus(sources: Sequence[Path], target: Path, *, overwrite: bool = False) -> GatherCounts:
    """Write every paragraph of the questions once, under its `content_id`, which no order of files changes.

    Memory holds one hash per passage.

    Raises:
        InputError: a question without context, with its line; nothing is written.
        RunFolderError: `target` cannot be written.
    """
    counts = GatherCounts()
    write_corpus(_passages(sources, counts), target, overwrite=overwrite)
    print(
        f"{counts.paragraphs:,} paragraphs of {counts.questions:,} questions: {counts.passages:,} passages, "
        f"{counts.repeated:,} repeated, {counts.empty:,} empty, in {target}. next: steper index index.corpus={target}"
    )
    if counts.missing_gold:
        print(f"warning: {counts.missing_gold:,} supporting titles are not among their question's own paragraphs")
    return counts


def _passages(sources: Sequence[Path], counts: GatherCounts) -> Iterator[Passage]:
    seen: set[int] = set()
    for context in (context for source in sources for context in read_contexts(source)):
        counts.questions += 1
        counts.missing_gold += len(context.missing_gold)
        for paragraph in context.paragraphs:
            counts.paragraphs += 1
            id = content_id(paragraph.title, paragraph.text)
            if not paragraph.text:
                counts.empty += 1
            elif int(id, 16) in seen:
                counts.repeated += 1
            else:
                seen.add(int(id, 16))
                counts.passages += 1
                yield Passage(id, paragraph.title, paragraph.text)
    if not seen:
        raise InputError("no paragraph has a text", file=" ".join(map(str, sources)))
