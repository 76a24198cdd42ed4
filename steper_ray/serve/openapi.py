"""The OpenAPI document with this very service's limits and its way of asking for keys."""

from typing import Any

from fastapi import FastAPI

from steper_ray.serve.plan import ServicePlan

_TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
"""No control characters but tabs and line breaks; as `wire.question_text`."""


def describe(api: FastAPI, plan: ServicePlan, free: tuple[str, ...]) -> None:
    """Let `/openapi.json` tell what this service accepts; `free` are the paths that need no key."""
    plain = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            document = plain()
            schemas = document["components"]["schemas"]
            _add_limits(schemas["AnswerRequest"]["properties"], plan)
            schemas["ChatRequest"]["properties"]["model"]["enum"] = [plan.limits.model_name]
            if plan.limits.keys:
                _add_keys(document, free)
        assert api.openapi_schema is not None, "FastAPI keeps the document it made"
        return api.openapi_schema

    # FastAPI's own way of extending the document.
    api.openapi = openapi  # type: ignore[method-assign]


def _add_limits(fields: dict[str, Any], plan: ServicePlan) -> None:
    fields["question"] |= {"minLength": 1, "maxLength": plan.limits.max_question_chars, "allOf": _patterns()}
    for name, most in (("step_limit", plan.how.step_limit), ("k", plan.how.k), ("deadline_s", plan.limits.deadline_s)):
        fields[name]["anyOf"][0]["maximum"] = most
    fields["strategy"]["anyOf"][0] = {"type": "string", "enum": [plan.how.strategy.value]}


def _patterns() -> list[dict[str, str]]:
    return [{"pattern": r"\S"}, {"pattern": _TEXT}]


def _add_keys(document: dict[str, Any], free: tuple[str, ...]) -> None:
    document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, item in document["paths"].items():
        for operation in item.values():
            operation["security"] = [] if path in free else [{"key": []}]
