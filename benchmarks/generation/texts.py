"""The texts of the workload, from a seed: passages of 40–100 words, and rationales of known token lengths."""

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random

from steper_ray.core.chat import ChatFormat
from steper_ray.core.prompts import MARKER
from steper_ray.core.types import Passage, Question
from steper_ray.demo.questions import iter_questions
from steper_ray.demo.world import Split, World, iter_passages

PASSAGE_WORDS = (40, 76)
"""Least words of a passage, drawn; its last sentences add up to 25, so the longest has about 100."""
RATIONALE_TOKENS = (16, 96)
"""Tokens of a rationale with its end of turn, drawn."""
STEPS = (2, 5)
_FILLER = " and so on"


def corpus(world: World) -> Iterator[Passage]:
    """Passages that each join some of the demo world's, under the title of the first."""
    rng = Random(f"benchmark-corpus/{world.seed}")
    title, told, least, number = "", list[str](), rng.randint(*PASSAGE_WORDS), 0
    for passage in iter_passages(world):
        title = title if told else passage.title
        told += passage.text.split()
        if len(told) >= least:
            yield Passage(f"b{number}", title, " ".join(told))
            told, least, number = [], rng.randint(*PASSAGE_WORDS), number + 1


def questions(world: World, count: int) -> list[tuple[Question, int]]:
    """Questions of the demo world, and how many steps each shall take: 2, 3, 4 and 5 equally often, shuffled."""
    kinds = range(STEPS[0], STEPS[1] + 1)
    steps = [kinds[number % len(kinds)] for number in range(count)]
    Random(f"benchmark-steps/{world.seed}").shuffle(steps)
    asked = (annotated.question for annotated in iter_questions(world, Split.TRAIN, count))
    return list(zip(asked, steps, strict=True))


def rationales(question: Question, steps: int, passages: Sequence[Passage], chat: ChatFormat, seed: int) -> list[str]:
    """One line per step of as many tokens as drawn, the last with the marker and the gold answer.

    The words come from random passages, so that each query finds new ones.
    """
    rng = Random(f"benchmark-rationales/{seed}/{question.id}")
    lines = []
    for number in range(1, steps + 1):
        end = f" {MARKER} {question.golden_answers[0]}." if number == steps else "."
        lines.append(_line(rng.choice(passages), end, rng.randint(*RATIONALE_TOKENS), chat))
    return lines


def tokens_of(rationale: str, chat: ChatFormat) -> int:
    """Tokens that a model writes for a rationale, its end of turn included."""
    return len(chat.target_ids(rationale))


def _line(passage: Passage, end: str, tokens: int, chat: ChatFormat) -> str:
    """The passage's words, then filler, while the line stays within the tokens drawn (or is the end alone)."""
    line = ""
    for word in islice([*passage.text.split(), *(_FILLER.split() * tokens)], tokens):
        longer = f"{line} {word}".strip()
        if tokens_of(longer + end, chat) > tokens:
            break
        line = longer
    return (line + end).strip()
