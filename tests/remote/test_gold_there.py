"""A search service is asked for gold titles before a run, over real HTTP."""

from collections.abc import Callable
from typing import Any

import pytest

from steper_ray.config import Config, load_config
from steper_ray.core.types import Question
from steper_ray.drive.gold_there import gold_warning

ASKED = [Question("q", "Who?", gold_titles=("Roy  Clark",))]
Made = Callable[..., Config]


@pytest.fixture
def config(service: Any) -> Made:
    def make(*settings: str) -> Config:
        return load_config(
            None, ["retriever.backend=http", f"retriever.url={service.url}/search", "loop.k=2", *settings]
        )

    return make


def found(*titles: str) -> dict[str, Any]:
    return {"results": [[{"id": title, "title": title, "text": "Text."} for title in titles]]}


async def test_a_service_that_finds_a_title_by_itself_is_not_warned_of(service: Any, config: Made) -> None:
    service.reply(200, found("Hee Haw", "Roy Clark"))
    assert gold_warning(config(), ASKED) is None
    (asked,) = service.asked
    assert asked.body == {"queries": ["Roy Clark"], "k": 2}


async def test_a_service_over_another_corpus_is_warned_of_by_its_name(service: Any, config: Made) -> None:
    service.reply(200, found("Hee Haw", "Opry"))
    told = gold_warning(config("retriever.name=wiki"), ASKED)
    assert told is not None
    assert told.startswith(
        "wiki was asked for 1 gold titles of the questions, such as 'Roy Clark', and found no passage"
    )


async def test_a_service_that_fails_is_left_to_the_run(service: Any, config: Made) -> None:
    service.reply(400, {"error": "no"})
    assert gold_warning(config(), ASKED) is None
