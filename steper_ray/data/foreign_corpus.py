"""How many of the questions' gold passages a corpus holds: where it holds few, recall can only be low."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steper_ray.backends.index_names import IndexNames, NameKind
from steper_ray.core.identity import content_id
from steper_ray.core.recall import gold_names
from steper_ray.core.text import squeeze
from steper_ray.core.types import Passage, Question
from steper_ray.data.corpus import read_corpus
from steper_ray.errors import InputError

ENOUGH = 0.9
"""Share of the gold passages, below which there is a warning."""
FEWEST = 10
"""Names that a share of an index's names must judge to tell anything."""
LOOKED_AT = 1_000_000
"""Passages of a corpus file; after these the first gold one among them ends the search."""


@dataclass(frozen=True, slots=True)
class GoldThere:
    """Gold passages that were looked for in a corpus."""

    gold: int
    """All of the questions."""
    looked_for: int
    found: int
    absent: str
    """One that is not there; empty where all are."""

    def warning(self, where: str) -> str | None:
        """What to tell the user; None where enough are there. `where` names the corpus."""
        if not self.looked_for or self.found >= ENOUGH * self.looked_for:
            return None
        part = "" if self.looked_for == self.gold else f"{self.looked_for:,} looked for among "
        count = f"{self.found:,} of " if self.found else "none of "
        low = f"can hardly be above {self.found / self.looked_for:.1%}" if self.found else "will be 0"
        return (
            f"{count}{part}the questions' {self.gold:,} gold passages {'are' if self.found > 1 else 'is'} in {where}, "
            f"{self.absent!r} is not: recall {low}. Names must be written alike in both, and it must be the "
            "corpus of these questions"
        )


def foreign_corpus_warning(
    corpus: Path | None, questions: Sequence[Question], names: IndexNames | None = None, where: str = "the index"
) -> str | None:
    """A warning when gold passages are not in a corpus.

    Args:
        corpus: its file; one that is no longer there, or cannot be read any more, is not judged.
        questions: those without gold passages do not count.
        names: of the index that is searched; where they are known the file is not read.
        where: what to call that index.
    """
    gold = gold_by_kind(questions)
    if names is not None:
        return there_by_name(gold, names).warning(where)
    if corpus is None or not corpus.is_file() or not gold:
        return None
    try:
        return there_by_file(gold, corpus).warning(str(corpus))
    except InputError:
        return None


Gold = dict[str, tuple[NameKind, ...]]
"""What a gold passage may be called by, by its name."""


def gold_by_kind(questions: Sequence[Question]) -> Gold:
    """Gold ids are ids of the corpus or `content_id`s; where a question has none, its gold titles are titles."""
    found: Gold = {}
    for question in questions:
        kinds = (NameKind.ID, NameKind.CONTENT) if question.gold_ids else (NameKind.TITLE,)
        for name in gold_names(question):
            found[name] = tuple(dict.fromkeys([*found.get(name, ()), *kinds]))
    return found


def there_by_name(gold: Gold, names: IndexNames) -> GoldThere:
    """Look for names that the index can judge; too few of them tell nothing."""
    judged = {name: kinds for name, kinds in gold.items() if all(names[kind].judges(name) for kind in kinds)}
    if len(judged) < min(FEWEST, len(gold)):
        return GoldThere(len(gold), 0, 0, "")
    return _there(gold, judged, {name for name, kinds in judged.items() if any(names[k].holds(name) for k in kinds)})


def there_by_file(gold: Gold, corpus: Path) -> GoldThere:
    """Read a corpus until all are found; of a very large one it is only told whether it holds any.

    Raises:
        InputError: the corpus is broken.
    """
    found: set[str] = set()
    for number, passage in enumerate(read_corpus(corpus), start=1):
        found.update(name for name, kind in _names(passage) if kind in gold.get(name, ()))
        if len(found) == len(gold):
            break
        if found and number >= LOOKED_AT:
            return GoldThere(len(gold), 0, 0, "")
    return _there(gold, gold, found)


def _there(gold: Gold, looked_for: Gold, found: set[str]) -> GoldThere:
    absent = min((name for name in looked_for if name not in found), default="")
    return GoldThere(len(gold), len(looked_for), len(found), absent)


def _names(passage: Passage) -> tuple[tuple[str, NameKind], ...]:
    return (
        (squeeze(passage.title), NameKind.TITLE),
        (passage.id, NameKind.ID),
        (content_id(passage.title, passage.text), NameKind.CONTENT),
    )
