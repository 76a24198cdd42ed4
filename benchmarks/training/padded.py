"""The usual way: one row per unit, padded to the longest row of its batch, labels of −100 where nothing is learned."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from steper_ray.student.units import Unit

IGNORED = -100
"""Label of a token that is no target."""

Row = dict[str, list[int]]


def row_of(unit: Unit) -> Row:
    """Token ids, and the same again as labels at the targets."""
    ids = unit.token_ids.tolist()
    labels = [IGNORED] * len(ids)
    for segment in unit.segments:
        labels[segment.start : segment.stop] = ids[segment.start : segment.stop]
    return {"input_ids": ids, "labels": labels}


class Padding:
    """Makes a batch of rows, and counts what all batches held."""

    def __init__(self) -> None:
        self.tokens = self.computed = self.targets = 0

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Pad on the right with token 0, which the attention mask hides."""
        longest = max(len(row["input_ids"]) for row in rows)
        batch = {
            "input_ids": [pad(row["input_ids"], longest, 0) for row in rows],
            "attention_mask": [pad([1] * len(row["input_ids"]), longest, 0) for row in rows],
            "labels": [pad(row["labels"], longest, IGNORED) for row in rows],
        }
        tensors = {name: torch.tensor(values) for name, values in batch.items()}
        self.tokens += int(tensors["attention_mask"].sum())
        self.computed += tensors["input_ids"].numel()
        # A first token is never predicted.
        self.targets += int((tensors["labels"][:, 1:] != IGNORED).sum())
        return tensors


def pad(values: Sequence[int], length: int, filler: int) -> list[int]:
    """The values, filled up at the end."""
    return [*values, *[filler] * (length - len(values))]
