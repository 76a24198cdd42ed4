"""The learning rate of each update: linear warm-up, then a cosine towards 0."""

import math


def learning_rate(update: int, updates: int, peak: float, warmup: float) -> float:
    """The rate of a 1-based update; neither the first nor the last is 0, so that none is wasted.

    Args:
        update: 1-based number.
        updates: all updates of the training.
        peak: highest rate.
        warmup: share of the updates with rising rate.
    """
    rising = round(warmup * updates)
    if update <= rising:
        return peak * update / rising
    return peak * (1 + math.cos(math.pi * (update - rising - 1) / max(updates - rising, 1))) / 2
