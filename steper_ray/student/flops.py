"""How many floating-point operations the weights' products of an update take."""

from collections.abc import Sequence


def flops_of(parameters: float, layers: int, hidden: int, unit_lengths: Sequence[int]) -> float:
    """FLOPs of forward and backward: 6 per parameter and token, and causal attention within each unit.

    Args:
        parameters: weights that every token is multiplied with.
        layers: attention layers.
        hidden: width of queries over all heads.
        unit_lengths: tokens of each unit.
    """
    tokens = sum(unit_lengths)
    squares = sum(length * length for length in unit_lengths)
    return 6.0 * parameters * tokens + 12.0 * layers * hidden * squares / 2
