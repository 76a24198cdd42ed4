"""The OpenAPI document: every route is told completely, and its examples are true."""

from typing import Any

import jsonschema
import pytest

from steper_ray.serve.wire import Answer, AnswerRequest
from tests.unit.local_service import Service, plan_of

METHODS = [
    ("/healthz", "get"),
    ("/readyz", "get"),
    ("/v1/answer", "post"),
    ("/v1/answer/stream", "post"),
    ("/v1/models", "get"),
    ("/v1/chat/completions", "post"),
]


@pytest.fixture(scope="module")
def document() -> Any:
    return Service(plan_of()).api.openapi()


def test_every_route_is_there_with_a_summary(document: Any) -> None:
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == set(METHODS)
    for path, method in METHODS:
        assert document["paths"][path][method]["summary"]


@pytest.mark.parametrize("path", ["/v1/answer", "/v1/answer/stream", "/v1/chat/completions"])
def test_the_errors_of_a_question_are_declared_with_examples(document: Any, path: str) -> None:
    responses = document["paths"][path]["post"]["responses"]
    assert {"200", "413", "422", "500", "503", "504"} <= set(responses)
    for status, response in responses.items():
        if status == "200":
            continue
        content = response["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/ErrorBody"}
        for name, example in content["examples"].items():
            assert example["value"]["error"]["type"] == name
            schema = {**content["schema"], "components": document["components"]}
            jsonschema.validate(example["value"], schema)
    assert "Retry-After" in responses["503"]["headers"]


def test_the_examples_of_question_and_answer_are_valid(document: Any) -> None:
    schemas = document["components"]["schemas"]
    [asked] = schemas["AnswerRequest"]["examples"]
    AnswerRequest.model_validate(asked)
    [answer] = schemas["Answer"]["examples"]
    Answer.model_validate(answer)
    for name in ("AnswerRequest", "ChatRequest"):
        for field, told in schemas[name]["properties"].items():
            assert told.get("description"), f"{name}.{field}"


def test_a_stream_is_declared_as_events(document: Any) -> None:
    content = document["paths"]["/v1/answer/stream"]["post"]["responses"]["200"]["content"]
    assert set(content) == {"text/event-stream"}
