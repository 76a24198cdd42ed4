"""A language model behind an OpenAI-compatible endpoint, which renders and tokenises prompts by itself."""

from dataclasses import replace

from steper_ray.backends.endpoint import Endpoint, check_url
from steper_ray.backends.endpoint_key import read_key
from steper_ray.backends.interfaces import Completion, Request
from steper_ray.backends.openai_faults import Habit, explain_fatal, next_to_give_up
from steper_ray.backends.openai_wire import PATHS, counted_tokens, estimated_tokens, read_completion, request_body
from steper_ray.backends.rate_limit import RateLimit
from steper_ray.backends.reply import FATAL_IN_A_ROW, Reply
from steper_ray.core.types import FailureKind, Message, Prompt
from steper_ray.errors import BackendError, ConfigError, EnvironmentFault
from steper_ray.sections.model import ModelSection

URL_EXAMPLE = "https://host/v1"

_PROBE = Request(Prompt((Message("user", "Say yes."),)), (), max_tokens=16, stop=("\n",))
_CHECK_RETRIES = 2


class OpenAIModel:
    """A `LanguageModel`; made by `load`.

    What an endpoint refuses of our requests (`Habit`) is found out once and then left out.
    """

    def __init__(self, endpoint: Endpoint, section: ModelSection, limit: RateLimit, *, role: str = "teacher") -> None:
        assert section.endpoint_model, "checked by load"
        self._endpoint, self._section, self._limit, self._role = endpoint, section, limit, role
        self._model, self._api = section.endpoint_model, section.endpoint_api
        self._given_up: frozenset[Habit] = frozenset()
        self._fatal_in_a_row = 0

    @classmethod
    def load(cls, section: ModelSection, *, in_flight: int = 1024, role: str = "teacher") -> "OpenAIModel":
        """Read the key; nothing is sent yet.

        Args:
            section: with the rate limits of this process alone, when several share an endpoint.
            in_flight: most requests at once, the size of the connection pool.
            role: name of the section, for messages.

        Raises:
            ConfigError: url, model name or key are missing or not usable.
        """
        url = check_url(section.url, f"{role}.url", URL_EXAMPLE)
        if not section.endpoint_model:
            raise ConfigError(f"{role}.endpoint_model is missing: the model's name at {url}")
        limit = RateLimit(section.requests_per_minute, section.tokens_per_minute)
        endpoint = Endpoint(
            url,
            read_key(section.key_file, section.key_variable, role),
            kind=FailureKind.ENDPOINT,
            timeout_s=section.endpoint_timeout_s,
            retries=section.endpoint_retries,
            connections=in_flight,
            limit=limit,
        )
        return cls(endpoint, section, limit, role=role)

    @property
    def context_tokens(self) -> int | None:
        """Most tokens of prompt and completion together, where the configuration says so."""
        return self._section.context_tokens

    async def check(self) -> None:
        """Write a few tokens, to see that address, key, model name and our settings are accepted.

        Raises:
            ConfigError: they are not.
            EnvironmentFault: nothing answers, or not as an OpenAI-compatible endpoint.
        """
        probe = replace(_PROBE, temperature=self._section.temperature)
        try:
            reply = await self._ask(probe, most_retries=_CHECK_RETRIES)
            if reply.fatal:
                raise ConfigError(self._explain(reply))
            read_completion(reply, probe, self._api)
        except BackendError as error:
            if error.kind == FailureKind.REFUSED:
                raise ConfigError(
                    f"{self._endpoint.url} refuses a trial request ({self._role}.endpoint_model={self._model}, "
                    f"temperature {probe.temperature:g}): {error}"
                ) from None
            remedy = f"Check that {self._role}.url={self._endpoint.url} is right and the service runs"
            raise EnvironmentFault(f"a trial request failed: {error}", remedy) from None

    @property
    def cache_tokens(self) -> None:
        """The endpoint's own concern."""
        return None

    async def complete(self, request: Request) -> Completion:
        """Write one completion; cancelling the call closes its connection.

        Raises:
            BackendError: kind `prompt_too_long`, `refused` (invalid request, content filter) or `endpoint`.
            EnvironmentFault: key, address or account were refused `FATAL_IN_A_ROW` times; no other question would fare
                better, so the run ends.
        """
        reply = await self._ask(request)
        if reply.fatal:
            self._fatal_in_a_row += 1
            if self._fatal_in_a_row < FATAL_IN_A_ROW:
                raise BackendError(FailureKind.ENDPOINT, self._explain(reply))
            raise EnvironmentFault(self._explain(reply), "Mend this and run the same command again to continue")
        self._fatal_in_a_row = 0
        return read_completion(reply, request, self._api)

    async def close(self) -> None:
        """Close all connections."""
        await self._endpoint.close()

    async def _ask(self, request: Request, most_retries: int | None = None) -> Reply:
        given_up = self._given_up
        reply = await self._post(request, given_up, most_retries)
        while habit := next_to_give_up(reply, request, given_up, chat=self._api == "chat"):
            given_up |= {habit}
            reply = await self._post(request, given_up, most_retries)
        if reply.status == 200:
            self._given_up |= given_up
        return reply

    async def _post(self, request: Request, given_up: frozenset[Habit], most_retries: int | None) -> Reply:
        tokens = estimated_tokens(request)
        body = request_body(request, self._model, self._api, given_up)
        reply = await self._endpoint.post(PATHS[self._api], body, tokens=tokens, most_retries=most_retries)
        used = counted_tokens(reply)
        if used is not None:
            self._limit.settle(tokens, used)
        return reply

    def _explain(self, reply: Reply) -> str:
        return explain_fatal(reply, self._endpoint, self._model, self._role)
