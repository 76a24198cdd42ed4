"""What loop and engines have to agree on: while a reload lasts, replicas of both kinds work together."""

from dataclasses import dataclass, fields

from steper_ray.backends.model_folder import position_limit
from steper_ray.core.chat import ChatFormat
from steper_ray.core.types import Layout, Strategy, Target
from steper_ray.errors import ConfigError
from steper_ray.serve.plan import ServicePlan


@dataclass(frozen=True, slots=True)
class Form:
    """How prompts are written and measured."""

    strategy: Strategy
    layout: Layout
    target: Target
    tokenizer: str | None
    """Digest of tokenizer and chat template; None without a tokenizer."""
    context_tokens: int | None
    """Most tokens of prompt and completion; None where nothing says."""


def form_of(plan: ServicePlan, chat: ChatFormat | None) -> Form:
    """The form of a service with this plan; `chat` is its student's format."""
    how, student = plan.how, plan.student
    limit = student.context_tokens or (position_limit(student.model) if student.model else None)
    return Form(how.strategy, how.layout, how.target, chat.digest() if chat else None, limit)


def refuse_other_form(running: Form, wanted: Form) -> None:
    """Refuse to put a service in the place of one whose prompts its engines would not understand.

    Raises:
        ConfigError: names each difference and what to do.
    """
    pairs = ((field.name, getattr(running, field.name), getattr(wanted, field.name)) for field in fields(Form))
    if differences := [f"{name} {before}, now {now}" for name, before, now in pairs if before != now]:
        raise ConfigError(
            f"the running service has {'; '.join(differences)}. Its replicas and the new ones would work together "
            "for a while and misread each other's prompts: end it and start it with these settings, or start another "
            "service beside it"
        )
