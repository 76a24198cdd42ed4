"""Which units share a pack."""

from collections.abc import Sequence


def pack_lengths(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group numbers of units so that each group's lengths sum to at most `budget`, in few and even groups.

    Longest first into the first group with room gives their number; the units are then dealt to the emptiest group,
    because ranks work on groups side by side and wait for the longest. No length may exceed `budget`. Deterministic.
    """
    longest_first = sorted(range(len(lengths)), key=lambda number: (-lengths[number], number))
    groups: list[list[int]] = []
    room: list[int] = []
    for number in longest_first:
        place = next((place for place, left in enumerate(room) if left >= lengths[number]), len(groups))
        if place == len(groups):
            groups.append([])
            room.append(budget)
        groups[place].append(number)
        room[place] -= lengths[number]
    return _even(longest_first, lengths, len(groups), budget) or groups


def _even(longest_first: Sequence[int], lengths: Sequence[int], size: int, budget: int) -> list[list[int]]:
    groups: list[list[int]] = [[] for _ in range(size)]
    filled = [0] * size
    for number in longest_first:
        place = min(range(size), key=filled.__getitem__)
        groups[place].append(number)
        filled[place] += lengths[number]
    return groups if max(filled, default=0) <= budget else []
