"""`steper corpus split`: documents of any length become passages of at most so many words."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from steper_ray.core.types import Passage
from steper_ray.corpus.file import write_corpus
from steper_ray.data.corpus import ID_BYTES, read_corpus
from steper_ray.data.split import Cut, split_text
from steper_ray.errors import InputError


@dataclass
class SplitCounts:
    """Filled while the documents stream through."""

    documents: int = 0
    split: int = 0
    """Documents of more than one passage."""
    passages: int = 0


def split_corpus(source: Path, target: Path, cut: Cut, *, overwrite: bool = False) -> SplitCounts:
    """Cut each document of `source` (`id`, `title`, `text` or `contents`) into passages `<document id>#<number>`.

    A document gives the same passages whatever else is in the file. Passages keep their document's title. Memory holds
    one document and one hash per id.

    Raises:
        InputError: a faulty, empty or duplicate document, with its line; nothing is written.
        RunFolderError: `target` cannot be written.
    """
    counts = SplitCounts()
    write_corpus(_passages(source, cut, counts), target, overwrite=overwrite)
    print(
        f"{counts.documents:,} documents, {counts.split:,} of them split: {counts.passages:,} passages of at most "
        f"{cut.words} words in {target}. next: steper index index.corpus={target}"
    )
    return counts


def _passages(source: Path, cut: Cut, counts: SplitCounts) -> Iterator[Passage]:
    for document in read_corpus(source):
        texts = split_text(document.text, cut)
        counts.documents += 1
        counts.split += len(texts) > 1
        counts.passages += len(texts)
        if len(f"{document.id}#{len(texts)}".encode()) > ID_BYTES:
            problem = f"an id is too long: with '#{len(texts)}' it is longer than {ID_BYTES} bytes"
            raise InputError(problem, file=source, found=document.id, remedy="Give the document a shorter one")
        for number, text in enumerate(texts, start=1):
            yield replace(document, id=f"{document.id}#{number}", text=text)
