"""Units from samples: one sequence per trajectory in `turns`, one per sample in `appended`."""

import numpy as np
import pytest

from steper_ray.core.types import Message, Prompt, Sample, Stage
from steper_ray.errors import ConfigError
from steper_ray.student.units import Segment, appended_units, turns_units

INIT, EXP, AGG = Stage.INITIALIZATION, Stage.EXPANSION, Stage.AGGREGATION
END = 0


class Characters:
    """A format of one token per character, with 0 as the end of turn."""

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        ids: list[int] = []
        for message in prompt.messages:
            ids += [ord(character) for character in message.content]
            ids += [END] if message.role == "assistant" else []
        return ids

    def target_ids(self, text: str) -> list[int]:
        return [*(ord(character) for character in text), END]


def sample(step: int, stage: Stage, prompt: list[str], target: str) -> Sample:
    roles = ("user", "assistant")
    messages = tuple(Message(roles[place % 2], text) for place, text in enumerate(prompt))
    return Sample("q", 0, step, stage, Prompt(messages), target, "gold", ())


TURNS = [
    sample(1, INIT, ["ab"], "x"),
    sample(2, EXP, ["ab", "x", "cd"], "yy"),
    sample(3, AGG, ["ab", "x", "cd", "yy", "e"], "z"),
]


def test_turns_make_one_sequence_whose_targets_are_the_turns() -> None:
    (unit,) = turns_units(TURNS, Characters())
    assert unit.id == "q#0"
    assert unit.token_ids.tolist() == [ord(c) if c != "." else END for c in "abx.cdyy.ez."]
    assert unit.token_ids.dtype == np.int32
    assert unit.segments == (
        Segment("q#0#1", INIT, 2, 4),
        Segment("q#0#2", EXP, 6, 9),
        Segment("q#0#3", AGG, 10, 12),
    )


def test_the_order_of_samples_does_not_matter() -> None:
    (one,), (two,) = turns_units(TURNS, Characters()), turns_units(TURNS[::-1], Characters())
    assert one.segments == two.segments
    assert one.token_ids.tolist() == two.token_ids.tolist()


def test_appended_makes_one_unit_per_sample() -> None:
    units = appended_units(TURNS, Characters())
    assert [unit.id for unit in units] == ["q#0#1", "q#0#2", "q#0#3"]
    assert units[1].segments == (Segment("q#0#2", EXP, 6, 9),)
    assert len(units[1]) == 9


def test_a_prompt_that_does_not_continue_the_turns_before_is_refused_by_name() -> None:
    broken = [TURNS[0], sample(2, AGG, ["ab", "X", "cd"], "y")]
    with pytest.raises(ConfigError, match=r"sample q#0#2: .*token 2 differs.*loop\.layout=appended"):
        turns_units(broken, Characters())


def test_a_prompt_that_forgets_the_target_before_is_refused() -> None:
    with pytest.raises(ConfigError, match="q#0#2"):
        turns_units([TURNS[0], sample(2, AGG, ["ab"], "y")], Characters())
