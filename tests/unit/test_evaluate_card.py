import json
from pathlib import Path

import pytest

from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.types import Layout, LoopSettings, Target
from steper_ray.errors import ConfigError, RunFolderError
from steper_ray.sections.shared import LoopSection
from steper_ray.student.card import CARD_FILE, WeightsCard, loop_of, read_card, write_card

CARD = WeightsCard(LoopSettings(k=6, step_limit=3), PROMPT_VERSION, "steper", (0.5, 0.75, 0.25))


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_card(tmp_path, CARD)
    assert read_card(tmp_path) == CARD


def test_the_loop_stands_beside_the_other_values_in_the_file(tmp_path: Path) -> None:
    write_card(tmp_path, CARD)
    values = json.loads((tmp_path / CARD_FILE).read_text())
    assert values["k"] == 6
    assert values["layout"] == "turns"
    assert values["sigmas"] == [0.5, 0.75, 0.25]


def test_a_folder_without_a_card_was_not_trained_here(tmp_path: Path) -> None:
    assert read_card(tmp_path) is None
    assert loop_of(None, LoopSection(k=9), forced=False) == LoopSettings(k=9)


@pytest.mark.parametrize("change", [{"k": None}, {"k": 0}, {"temperature": 1}, {"sigmas": 1}])
def test_a_broken_card_is_refused_with_its_path(tmp_path: Path, change: dict[str, object]) -> None:
    write_card(tmp_path, CARD)
    values = {**json.loads((tmp_path / CARD_FILE).read_text()), **change}
    (tmp_path / CARD_FILE).write_text(json.dumps(values))
    with pytest.raises(RunFolderError, match=r"steper\.json cannot be read"):
        read_card(tmp_path)


def test_a_card_that_lacks_a_setting_is_refused(tmp_path: Path) -> None:
    write_card(tmp_path, CARD)
    values = json.loads((tmp_path / CARD_FILE).read_text())
    del values["step_limit"]
    (tmp_path / CARD_FILE).write_text(json.dumps(values))
    with pytest.raises(RunFolderError, match="does not say 'step_limit'"):
        read_card(tmp_path)


def test_the_loop_is_the_cards_where_the_configuration_gives_no_value() -> None:
    assert loop_of(CARD, LoopSection(), forced=False) == CARD.loop


def test_an_equal_value_given_explicitly_is_no_difference() -> None:
    assert loop_of(CARD, LoopSection(k=6), forced=False) == CARD.loop


def test_another_value_given_explicitly_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"loop\.k is 4, trained with 6\. Do this"):
        loop_of(CARD, LoopSection(k=4), forced=False, remedy="Do this")


def test_a_forced_value_replaces_the_cards_and_the_others_stay() -> None:
    assert loop_of(CARD, LoopSection(k=4), forced=True) == LoopSettings(k=4, step_limit=3)


def test_a_forced_value_must_still_fit_the_others() -> None:
    card = WeightsCard(LoopSettings(layout=Layout.APPENDED, target=Target.CUMULATIVE), PROMPT_VERSION, "paper", ())
    with pytest.raises(ConfigError, match=r"loop\.target=cumulative needs loop\.layout=appended"):
        loop_of(card, LoopSection(layout=Layout.TURNS), forced=True)


def test_another_prompt_version_is_refused_even_when_forced() -> None:
    card = WeightsCard(LoopSettings(), "0", "steper", ())
    with pytest.raises(ConfigError, match="prompt version '0'"):
        loop_of(card, LoopSection(), forced=True)
