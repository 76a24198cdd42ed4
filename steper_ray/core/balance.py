"""Stage balance: how many trajectories of which length to leave out so that no stage has more than its share."""

from collections import Counter
from collections.abc import Mapping

from steper_ray.core.samples import stage_of
from steper_ray.core.types import STAGES, Stage


def stages_of_length(steps: int) -> Counter[Stage]:
    """Samples by stage of a trajectory with so many steps."""
    return Counter(stage_of(number, steps) for number in range(1, steps + 1))


def stage_counts(lengths: Mapping[int, int]) -> dict[Stage, int]:
    """Samples by stage of trajectories given by number of steps → how many; every stage is there."""
    counts: Counter[Stage] = Counter()
    for steps, number in lengths.items():
        for stage, samples in stages_of_length(steps).items():
            counts[stage] += samples * number
    return {stage: counts[stage] for stage in STAGES}


def surplus(lengths: Mapping[int, int], share: float) -> dict[int, int]:
    """How many trajectories of each length to leave out so that no stage has more than `share` of the samples.

    While a stage has too much, a trajectory with the most of that stage goes: the shortest for aggregation, the longest
    for expansion. Initialization never has more than aggregation, so above one half nothing else can happen. The last
    length of its kind is not given up: where all trajectories answer in one step, they all stay.

    Args:
        lengths: number of steps → trajectories.
        share: at least 0.5, at most 1; below one half no selection of two-step trajectories would do.
    """
    assert 0.5 <= share <= 1, "see config.SamplesSection.max_stage_share"
    left = {steps: number for steps, number in lengths.items() if number}
    out: Counter[int] = Counter()
    counts = stage_counts(left)
    while len(left) > 1 and (stage := _above(counts, share)):
        steps = min(left) if stage is Stage.AGGREGATION else max(left)
        out[steps] += 1
        left[steps] -= 1
        for part, number in stages_of_length(steps).items():
            counts[part] -= number
        if not left[steps]:
            del left[steps]
    return dict(out)


def _above(counts: Mapping[Stage, int], share: float) -> Stage | None:
    most = max(counts, key=lambda stage: counts[stage])
    return most if counts[most] > share * sum(counts.values()) else None
