"""A running service of ours as what is evaluated."""

import json
from pathlib import Path
from typing import Any

import pytest

from steper_ray.backends.service import ServiceModel
from steper_ray.config import load_config
from steper_ray.core.types import FailureKind, Passage, Question, StopReason
from steper_ray.errors import BackendError, ConfigError, EnvironmentFault
from steper_ray.evaluate.run import evaluate
from steper_ray.generate.run import generate
from steper_ray.sections.model import ModelSection

QUESTION = Question("q1", "Who hosted what?", ("Hee Haw",))
ANSWER = {
    "id": "q1",
    "question": "Who hosted what?",
    "answer": "Hee Haw",
    "stop": "answered",
    "partial": False,
    "steps": [
        {
            "query": "Who hosted what?",
            "rationale": "Roy Clark hosted Hee Haw.",
            "passages": [{"id": "p2", "title": "Roy Clark", "text": "Roy Clark hosted …", "score": 1.5}],
            "usage": {"prompt_tokens": 90, "cached_tokens": 64, "completion_tokens": 7, "seconds": 0.5},
        },
        {"query": "more", "rationale": "So the answer is: Hee Haw.", "passages": [], "usage": {"prompt_tokens": 99}},
    ],
    "timings": {"total_s": 1.0},
}


def loaded(service: Any, **changes: Any) -> ServiceModel:
    model = ServiceModel.load(ModelSection(backend="service", url=service.url, endpoint_retries=0, **changes))
    service.clients.append(model)
    return model


async def test_an_answer_becomes_a_trajectory(service: Any) -> None:
    service.reply(200, ANSWER)
    trajectory = await loaded(service).run(QUESTION, path=1)
    assert (service.asked[0].path, service.asked[0].body) == (
        "/v1/answer",
        {"question": "Who hosted what?", "id": "q1"},
    )
    assert (trajectory.question, trajectory.path, trajectory.stop) == (QUESTION, 1, StopReason.ANSWERED)
    first, last = trajectory.steps
    assert first.passages == (Passage("p2", "Roy Clark", "Roy Clark hosted …", 1.5),)
    assert first.retrieved == ("p2",)
    assert (first.usage.prompt_tokens, first.usage.cached_tokens, last.usage.prompt_tokens) == (90, 64, 99)


async def test_an_id_that_no_service_takes_is_left_out(service: Any) -> None:
    service.reply(200, ANSWER)
    await loaded(service).run(Question("x" * 129, "Who?"))
    assert service.asked[0].body == {"question": "Who?"}


async def test_the_default_key_of_other_endpoints_is_not_sent(service: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-someone-else")
    monkeypatch.setenv("STEPER_KEY", "ours")
    service.reply(200, ANSWER)
    await loaded(service).run(QUESTION)
    await loaded(service, key_variable="STEPER_KEY").run(QUESTION)
    assert [asked.headers.get("authorization") for asked in service.asked] == [None, "Bearer ours"]


@pytest.mark.parametrize(
    ("status", "kind"), [(422, FailureKind.REFUSED), (503, FailureKind.ENDPOINT), (200, FailureKind.ENDPOINT)]
)
async def test_what_cannot_be_read_is_a_failure_of_its_kind(service: Any, status: int, kind: FailureKind) -> None:
    service.reply(status, {"error": {"type": "x", "message": "no"}})
    with pytest.raises(BackendError) as caught:
        await loaded(service).run(QUESTION)
    assert caught.value.kind == kind


async def test_a_refused_key_ends_the_run(service: Any) -> None:
    service.reply(401, {"error": {"type": "unauthorized", "message": "no key"}})
    with pytest.raises(EnvironmentFault, match="sent was no key"):
        await loaded(service).run(QUESTION)


async def test_a_service_that_is_not_ready_is_found_before_the_run(service: Any) -> None:
    await loaded(service).check()
    service.ready = 503
    with pytest.raises(EnvironmentFault, match="/readyz answers 503"):
        await loaded(service).check()


def test_a_service_teaches_nobody(halsey: Path, tmp_path: Path) -> None:
    told = ["teacher.backend=service", "teacher.url=http://127.0.0.1:9"]
    files = [f"run.folder={tmp_path}", f"generate.questions={halsey / 'questions.jsonl'}"]
    with pytest.raises(ConfigError, match=r"teacher\.backend=service answers whole questions"):
        generate(load_config(None, [*files, *told]))


@pytest.mark.ray
def test_a_served_student_is_evaluated_without_an_index_here(
    ray_cluster: None, service: Any, halsey: Path, tmp_path: Path
) -> None:
    service.reply(200, ANSWER)
    told = [f"run.folder={tmp_path}", f"evaluate.questions={halsey / 'questions.jsonl'}", "student.backend=service"]
    scores = evaluate(load_config(None, [*told, f"student.url={service.url}", "student.endpoint_model=ours"]))
    assert (scores.quality.exact_match, scores.quality.tokens) == (1.0, 196.0)
    assert scores.steps_histogram == {2: 1}
    assert json.loads((tmp_path / "evaluate" / "scores.json").read_text())["model"] == "ours"
