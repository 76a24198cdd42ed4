"""Which service may take the place of a running one."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from steper_ray.core.chat import ChatFormat
from steper_ray.core.types import Layout, LoopSettings, Strategy, Target
from steper_ray.errors import ConfigError
from steper_ray.sections.model import ModelSection
from steper_ray.serve.form import Form, form_of, refuse_other_form
from tests.unit.local_service import plan_of
from tests.unit.test_chat import CHATML, byte_level, sentence_piece

FORM = Form(Strategy.REASONING_PATH, Layout.TURNS, Target.STEP, "abc", 2048)


def test_what_only_the_loop_needs_may_change() -> None:
    plan = plan_of()
    other = replace(plan, how=LoopSettings(k=7, step_limit=2, passages_cap=5, rationale_tokens=64))
    assert form_of(other, None) == form_of(plan, None)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"tokenizer": "def"}, "tokenizer abc, now def"),
        ({"context_tokens": 4096}, "context_tokens 2048, now 4096"),
        ({"layout": Layout.APPENDED, "target": Target.CUMULATIVE}, "layout turns, now appended; target step, now cum"),
        ({"strategy": Strategy.SELF_ASK}, "strategy reasoning_path, now self_ask"),
    ],
)
def test_what_engines_must_understand_may_not(changed: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        refuse_other_form(FORM, replace(FORM, **changed))  # type: ignore[arg-type]


def test_other_weights_of_the_same_form_are_let_through() -> None:
    refuse_other_form(FORM, replace(FORM))


def test_a_tokenizer_saved_again_is_the_same_and_another_template_or_vocabulary_is_not() -> None:
    form = form_of(plan_of(), ChatFormat(byte_level(CHATML)))
    assert form == form_of(plan_of(), ChatFormat(byte_level(CHATML)))
    others = [byte_level(None), byte_level(CHATML.replace("assistant", "model")), sentence_piece(CHATML)]
    more = byte_level(CHATML)
    more.add_tokens(["Bakersfield"])
    for tokenizer in [*others, more]:
        assert form != form_of(plan_of(), ChatFormat(tokenizer))


def test_the_context_is_the_one_set_or_the_models_own(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 512}))
    plan = plan_of()
    own = replace(plan, student=ModelSection(backend="vllm", model=tmp_path))
    given = replace(plan, student=ModelSection(backend="vllm", model=tmp_path, context_tokens=512))
    assert form_of(own, None).context_tokens == 512
    assert form_of(own, None) == form_of(given, None)
    assert form_of(replace(plan, student=ModelSection(backend="openai", model=tmp_path / "no")), None) == form_of(
        plan, None
    )
