"""Prompts, byte for byte. After a deliberate change: raise PROMPT_VERSION, run this file, read the new golden files."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steper_ray.core.prompts import (
    MARKER,
    NO_NEW_PASSAGES,
    PROMPT_VERSION,
    build_prompt,
    forced_prompt,
    instruction,
    with_demonstrations,
)
from steper_ray.core.types import (
    Layout,
    LoopSettings,
    Passage,
    Prompt,
    Question,
    Step,
    StopReason,
    Strategy,
    Target,
    Trajectory,
)

# A busy machine is no reason to fail.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

HERE = Path(__file__).parent / "golden"
GOLDEN = HERE / f"prompts-{PROMPT_VERSION}"

TURNS = LoopSettings(layout=Layout.TURNS)
APPENDED = LoopSettings(layout=Layout.APPENDED)
CUMULATIVE = LoopSettings(layout=Layout.APPENDED, target=Target.CUMULATIVE)
FORMS = {"turns-step": TURNS, "appended-step": APPENDED, "appended-cumulative": CUMULATIVE}

FOLLOW_UPS = (
    "Follow up: Whose career did Jim Halsey guide?",
    "Intermediate answer: Roy Clark. Follow up: Which country variety show did Roy Clark host?",
    "Intermediate answer: Hee Haw. So the answer is: Hee Haw.",
)


def example() -> Trajectory:
    """The running example, its steps as the loop records them."""
    told = json.loads((HERE / "hee_haw.json").read_text(encoding="utf-8"))
    seen: set[str] = set()
    steps = []
    for step in told["steps"]:
        new = [key for key in step["retrieved"] if key not in seen]
        seen.update(new)
        passages = tuple(Passage(key, *told["corpus"][key]) for key in new)
        steps.append(Step(step["query"], tuple(step["retrieved"]), passages, step["rationale"]))
    question = Question(told["id"], told["question"], tuple(told["golden_answers"]))
    return Trajectory(question, steps=tuple(steps), answer="Hee Haw, the show", stop=StopReason.ANSWERED)


def demonstration(number: int) -> Trajectory:
    passage = Passage(f"d{number}", f"Town {number}", f"Town {number} lies in Land {number}.")
    steps = (
        Step("…", (passage.id,), (passage,), f"Town {number} lies in Land {number}."),
        Step("…", (passage.id,), (), f"So the answer is: Land {number}."),
    )
    return Trajectory(Question(f"d{number}", f"Where  is Town {number}?"), steps=steps, stop=StopReason.ANSWERED)


def at_step(number: int, how: LoopSettings, rationales: tuple[str, ...] = ()) -> Prompt:
    trajectory = example()
    steps = [
        Step(step.query, step.retrieved, step.passages, rationales[place] if rationales else step.rationale)
        for place, step in enumerate(trajectory.steps)
    ]
    return build_prompt(trajectory.question, steps[: number - 1], steps[number - 1].passages, how)


def at_its_limit() -> Trajectory:
    trajectory = example()
    return Trajectory(trajectory.question, steps=trajectory.steps[:2], stop=StopReason.STEP_LIMIT)


def golden_prompts() -> dict[str, Prompt]:
    prompts = {}
    for name, how in FORMS.items():
        for number in (1, 2, 3):
            prompts[f"{name}-{number}"] = at_step(number, how)
        prompts[f"{name}-forced"] = forced_prompt(at_its_limit(), how)
        prompts[f"{name}-nothing-found"] = build_prompt(example().question, (), (), how)
        prompts[f"{name}-demonstrations"] = with_demonstrations(at_step(2, how), [demonstration(1), demonstration(2)])
    for layout in Layout:
        how = LoopSettings(strategy=Strategy.SELF_ASK, layout=layout)
        for number in (1, 2, 3):
            prompts[f"self-ask-{layout}-{number}"] = at_step(number, how, FOLLOW_UPS)
    return prompts


def shown(prompt: Prompt) -> bytes:
    """A prompt as a golden file: one tag per message, its text untouched between them."""
    text = "".join(f"<{message.role}>\n{message.content}\n</{message.role}>\n" for message in prompt.messages)
    return (
        text + (f"<continuation>\n{prompt.continuation}\n</continuation>\n" if prompt.continuation else "")
    ).encode()


@pytest.mark.parametrize("name", sorted(golden_prompts()))
def test_prompt_equals_its_golden_file_byte_for_byte(name):
    assert shown(golden_prompts()[name]) == (GOLDEN / f"{name}.txt").read_bytes()


def test_no_golden_file_is_left_without_its_prompt():
    assert {path.stem for path in GOLDEN.iterdir()} == set(golden_prompts())


def test_first_turn_is_instruction_question_and_passages():
    how = LoopSettings()
    prompt = build_prompt(
        Question("q", "Who\n is  it?"), (), (Passage("1", "A\tB", " x\ny "), Passage("2", "C", "z")), how
    )
    assert [message.role for message in prompt.messages] == ["user"]
    assert prompt.messages[0].content == (
        "Answer the question in steps, from the passages alone. In each turn write one or two sentences with the next "
        "fact that is needed. When nothing is missing, write in a turn of its own: So the answer is: …\n\n"
        "Question: Who is it?\n\n"
        "Passages:\nA B: x y\nC: z"
    )


def test_later_turns_bring_only_the_new_passages():
    prompt = at_step(2, TURNS)
    assert [message.role for message in prompt.messages] == ["user", "assistant", "user"]
    assert prompt.messages[1].content == "Jim Halsey guided the career of Roy Clark."
    assert prompt.messages[2].content.startswith("Passages:\nRoy Clark: ")
    assert "Jim Halsey:" not in prompt.messages[2].content


def test_appended_keeps_passages_in_the_order_found_and_never_sorts_them():
    steps = (Step("", (), (Passage("z", "Z", "z", 0.1), Passage("y", "Y", "y", 0.9)), "r1"),)
    content = build_prompt(Question("q", "?"), steps, (Passage("a", "A", "a", 5.0),), APPENDED).messages[0].content
    assert "Passages:\nZ: z\nY: y\nA: a\n\nQuestion: ?\n\nReasoning so far:\nr1" in content


def test_cumulative_shows_no_reasoning():
    content = at_step(3, CUMULATIVE).messages[0].content
    assert "Reasoning" not in content
    assert not any(step.rationale in content for step in example().steps)


def test_a_turn_without_new_passages_says_so():
    assert at_step(3, TURNS).messages[-1].content == NO_NEW_PASSAGES


@pytest.mark.parametrize("how", FORMS.values(), ids=FORMS)
def test_demonstrations_are_a_leading_block_and_the_only_difference(how):
    bare = forced_prompt(at_its_limit(), how)
    led = with_demonstrations(bare, [demonstration(1)])
    assert led.messages[0].content.endswith(f"\n\n{bare.messages[0].content}")
    assert led.messages[1:] == bare.messages[1:]
    assert led.continuation == bare.continuation
    assert with_demonstrations(bare, ()) == bare


def test_a_forced_answer_continues_the_marker_and_in_cumulative_the_reasoning_before_it():
    assert forced_prompt(at_its_limit(), TURNS).continuation == MARKER
    assert forced_prompt(at_its_limit(), APPENDED).continuation == MARKER
    assert forced_prompt(at_its_limit(), CUMULATIVE).continuation == (
        "Jim Halsey guided the career of Roy Clark.\n"
        "Roy Clark hosted the country variety show Hee Haw.\n"
        "So the answer is:"
    )


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("target", Target)
def test_every_instruction_asks_for_the_marker(strategy, target):
    assert MARKER in instruction(LoopSettings(strategy=strategy, layout=Layout.APPENDED, target=target))


LINES = st.text(max_size=30)


@CALM
@given(LINES, st.lists(st.tuples(LINES, LINES), max_size=4))
def test_no_text_of_a_user_adds_a_line_to_a_prompt(question, passages):
    shown_passages = tuple(Passage(str(place), *passage) for place, passage in enumerate(passages))
    content = build_prompt(Question("q", question), (), shown_passages, TURNS).messages[0].content
    assert len(content.splitlines()) == 5 + len(passages)


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for golden_name, golden_prompt in golden_prompts().items():
        (GOLDEN / f"{golden_name}.txt").write_bytes(shown(golden_prompt))
