"""A running `steper serve` as what is evaluated: it drives the loop by itself and answers whole questions."""

from typing import Annotated

import httpx
from pydantic import BaseModel, Field, ValidationError

from steper_ray.backends.endpoint import Endpoint, check_url
from steper_ray.backends.endpoint_key import Key, read_key
from steper_ray.backends.interfaces import Completion, Request
from steper_ray.backends.reply import Reply
from steper_ray.core.types import FailureKind, Passage, Question, Step, StopReason, Trajectory, Usage
from steper_ray.errors import BackendError, ConfigError, EnvironmentFault
from steper_ray.sections.model import ModelSection

URL_EXAMPLE = "http://127.0.0.1:8000"
ANSWER_PATH = "/v1/answer"
READY_PATH = "/readyz"

_ID_LENGTH = 128
_CHECK_S = 30.0
_KEY_REFUSED = (401, 403)

Count = Annotated[int, Field(ge=0)]


class _Usage(BaseModel, extra="ignore"):
    prompt_tokens: Count = 0
    cached_tokens: Count = 0
    completion_tokens: Count = 0
    seconds: float = 0.0


class _Passage(BaseModel, extra="ignore"):
    id: str
    title: str = ""
    text: str = ""
    score: float = 0.0


class _Step(BaseModel, extra="ignore"):
    query: str
    rationale: str
    passages: tuple[_Passage, ...] = ()
    usage: _Usage = _Usage()


class _Answer(BaseModel, extra="ignore"):
    answer: str
    stop: StopReason
    steps: tuple[_Step, ...]


class ServiceModel:
    """Answers questions by asking a service; made by `load`. It writes no single completions."""

    def __init__(self, endpoint: Endpoint, *, temperature: float = 0.0, role: str = "student") -> None:
        self._endpoint, self._temperature, self._role = endpoint, temperature, role

    @classmethod
    def load(cls, section: ModelSection, *, in_flight: int = 1024, role: str = "student") -> "ServiceModel":
        """Read the key; nothing is sent yet.

        Raises:
            ConfigError: url or key are missing or not usable.
        """
        endpoint = Endpoint(
            check_url(section.url, f"{role}.url", URL_EXAMPLE),
            _key(section, role),
            kind=FailureKind.ENDPOINT,
            timeout_s=section.endpoint_timeout_s,
            retries=section.endpoint_retries,
            connections=in_flight,
        )
        return cls(endpoint, temperature=section.temperature, role=role)

    @property
    def context_tokens(self) -> None:
        """The service's own concern."""
        return None

    @property
    def cache_tokens(self) -> None:
        """The service's own concern."""
        return None

    async def check(self) -> None:
        """See that the service is up and ready.

        Raises:
            EnvironmentFault: it is not.
        """
        url = self._endpoint.url.rstrip("/") + READY_PATH
        remedy = f"Check {self._role}.url, and that `steper serve` runs there"
        try:
            async with httpx.AsyncClient(timeout=_CHECK_S) as client:
                status = (await client.get(url)).status_code
        except httpx.RequestError as error:
            raise EnvironmentFault(f"{url} does not answer: {type(error).__name__} {error}".strip(), remedy) from None
        if status != httpx.codes.OK:
            raise EnvironmentFault(f"{url} answers {status}", remedy)

    async def run(self, question: Question, path: int = 0) -> Trajectory:
        """Ask one question.

        Raises:
            BackendError: kind `endpoint` when no attempt got an answer or it has another form, `refused` when the
                service takes no such question.
            EnvironmentFault: the service refuses the key, and would for every other question.
        """
        reply = await self._endpoint.post(ANSWER_PATH, self._body(question))
        if reply.status in _KEY_REFUSED:
            held = f"the key from {self._endpoint.key.source}" if self._endpoint.key else "no key"
            raise EnvironmentFault(
                f"{self._endpoint.url} refuses us: {reply.shown()}; sent was {held}",
                f"Name its key in {self._role}.key_file or {self._role}.key_variable; the same command continues",
            )
        if reply.status != httpx.codes.OK:
            raise BackendError(FailureKind.REFUSED, f"{self._endpoint.url} refuses the question: {reply.shown()}")
        return _trajectory(question, path, reply, self._endpoint.url)

    async def complete(self, request: Request) -> Completion:
        """Never asked: see `run`.

        Raises:
            BackendError: kind `refused`, always.
        """
        raise BackendError(
            FailureKind.REFUSED, f"a service answers whole questions, not step {request.step} of {request.question_id}"
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._endpoint.close()

    def _body(self, question: Question) -> dict[str, object]:
        body: dict[str, object] = {"question": question.text}
        if 0 < len(question.id) <= _ID_LENGTH:
            body["id"] = question.id
        if self._temperature:
            body["temperature"] = self._temperature
        return body


def _key(section: ModelSection, role: str) -> Key | None:
    """Unless a variable is named, none: the default one is meant for another party's endpoint."""
    variable = section.key_variable if "key_variable" in section.model_fields_set else None
    return read_key(section.key_file, variable, role)


def _trajectory(question: Question, path: int, reply: Reply, url: str) -> Trajectory:
    try:
        answer = _Answer.model_validate_json(reply.text)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise BackendError(
            FailureKind.ENDPOINT, f"{url} answers in another form: {where}: {fault['msg']}; {reply.shown()}"
        ) from None
    return Trajectory(question, path, tuple(map(_step, answer.steps)), answer.answer, answer.stop)


def _step(step: _Step) -> Step:
    """What was found again is not told, so `retrieved` holds the passages shown for the first time alone."""
    passages = tuple(Passage(**passage.model_dump()) for passage in step.passages)
    ids = tuple(passage.id for passage in passages)
    return Step(step.query, ids, passages, step.rationale, usage=Usage(**step.usage.model_dump()))


def refuse_service(section: ModelSection, role: str, why: str) -> None:
    """Refuse a service where the loop is driven here.

    Raises:
        ConfigError: the backend is `service`.
    """
    if section.backend == "service":
        raise ConfigError(f"{role}.backend=service answers whole questions by itself, so {why}; name another backend")
