"""Floating-point operations of training, counted from what must be computed: real tokens, real unit lengths.

A matrix product of m × k by k × n counts 2·m·k·n. The backward pass computes two such products for each of the
forward pass, one for the input's gradient and one for the weight's. Norms, rotations, softmax and the optimizer are
left out, and so is what activation checkpointing computes again.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What of a model the count depends on."""

    body: int
    """Weights that multiply every token: all layers, without embedding and head."""
    head: int
    """Weights of the output head, hidden size × vocabulary; needed at target tokens alone."""
    layers: int
    hidden: int
    """Heads × head size of the attention."""


def flops_of(parameters: float, layers: int, hidden: int, unit_lengths: Sequence[int]) -> float:
    """Forward and backward of training all weights, in the usual count: 6 per parameter and token, plus attention.

    Args:
        parameters: of the model, each tied weight once; all are taken to multiply every token.
        layers: number of attention layers.
        hidden: heads × head size.
        unit_lengths: tokens of each unit; a unit's tokens attend to those before them in the same unit.
    """
    return 6.0 * parameters * sum(unit_lengths) + 3 * _attention(layers, hidden, unit_lengths)


def update_flops(size: ModelSize, unit_lengths: Sequence[int], target_tokens: int, *, adapter: int = 0) -> float:
    """Forward and backward that an update needs: the head at target tokens alone.

    Args:
        size: of the model without adapters.
        unit_lengths: tokens of each unit of the update.
        target_tokens: how many of them are predicted.
        adapter: parameters of LoRA adapters; with any, the other weights are frozen and need no gradient of their own.
    """
    per_weight = 4.0 if adapter else 6.0
    products = per_weight * (size.body * sum(unit_lengths) + size.head * target_tokens)
    return products + 6.0 * adapter * sum(unit_lengths) + 3 * _attention(size.layers, size.hidden, unit_lengths)


def _attention(layers: int, hidden: int, unit_lengths: Sequence[int]) -> float:
    """Forward pass alone: scores and weighted values, 2·hidden each per pair of tokens; half the pairs are causal."""
    return 4.0 * layers * hidden * sum(length * length for length in unit_lengths) / 2
