"""The baselines that answer in one completion: prompts byte for byte, what is read, and their driver."""

from dataclasses import replace
from pathlib import Path

import pytest

from steper_ray.backends.interfaces import Completion, Request
from steper_ray.backends.scripted import ScriptedModel
from steper_ray.core.direct import (
    direct_prompt,
    direct_tokens,
    fold_direct,
    fold_forced_direct,
    forced_direct_prompt,
    read_direct,
    with_worked_examples,
)
from steper_ray.core.prompts import PROMPT_VERSION, build_prompt
from steper_ray.core.types import (
    Layout,
    LoopSettings,
    Passage,
    Prompt,
    Question,
    Step,
    StopReason,
    System,
    Target,
    Trajectory,
    Usage,
)
from steper_ray.drive.direct import DirectDriver
from steper_ray.errors import BackendError

GOLDEN = Path(__file__).parent / "golden" / f"direct-{PROMPT_VERSION}"
QUESTION = Question("q1", "Who  hosted it?", ("Roy Clark",))
PASSAGES = (Passage("p1", "Hee Haw", "Roy Clark hosted Hee Haw."), Passage("p2", "Buck Owens", "He sang."))
STEP = LoopSettings()
CUMULATIVE = LoopSettings(layout=Layout.APPENDED, target=Target.CUMULATIVE)
USAGE = Usage(10, 0, 5, 0.1)


def example(number: int) -> Trajectory:
    passage = Passage(f"d{number}", f"Town {number}", f"Town {number} lies in Land {number}.")
    steps = (
        Step("…", (passage.id,), (passage,), f"Town {number} lies in Land {number}."),
        Step("…", (passage.id,), (), f"So the answer is: Land {number}."),
    )
    question = Question(f"d{number}", f"Where is Town {number}?")
    return Trajectory(question, steps=steps, answer=f"Land {number}", stop=StopReason.ANSWERED)


def golden_prompts() -> dict[str, Prompt]:
    closed = direct_prompt(QUESTION, (), System.CLOSED_BOOK, STEP)
    one = direct_prompt(QUESTION, PASSAGES, System.ONE_STEP, STEP)
    examples = (example(1), example(2))
    return {
        "closed-book": closed,
        "closed-book-demonstrations": with_worked_examples(closed, examples, System.CLOSED_BOOK),
        "one-step": one,
        "one-step-nothing-found": direct_prompt(QUESTION, (), System.ONE_STEP, STEP),
        "one-step-demonstrations": with_worked_examples(one, examples, System.ONE_STEP),
        "one-step-forced": forced_direct_prompt(one, "Roy Clark sang.\n"),
    }


def shown(prompt: Prompt) -> str:
    text = "".join(f"<{message.role}>\n{message.content}\n</{message.role}>\n" for message in prompt.messages)
    return text + (f"<continuation>\n{prompt.continuation}\n</continuation>\n" if prompt.continuation else "")


@pytest.mark.parametrize("name", sorted(golden_prompts()))
def test_prompt_equals_its_golden_file_byte_for_byte(name: str) -> None:
    assert shown(golden_prompts()[name]) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_no_golden_file_is_left_without_its_prompt() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(golden_prompts())


def test_with_one_retrieval_a_cumulative_student_sees_the_prompt_it_was_trained_with() -> None:
    assert direct_prompt(QUESTION, PASSAGES, System.ONE_STEP, CUMULATIVE) == build_prompt(
        QUESTION, (), PASSAGES, CUMULATIVE
    )


def test_one_completion_may_be_as_long_as_all_steps_of_the_loop_together() -> None:
    assert direct_tokens(System.ONE_STEP, LoopSettings(rationale_tokens=40, step_limit=4)) == 160
    assert direct_tokens(System.CLOSED_BOOK, LoopSettings(rationale_tokens=40, step_limit=4)) == 40


@pytest.mark.parametrize(
    ("text", "rationale", "answer", "stop"),
    [
        ("Roy Clark hosted it.\nSo the answer is: Roy Clark.", None, "Roy Clark", StopReason.ANSWERED),
        ("So the answer is: Roy Clark.\nAnd so on.", "So the answer is: Roy Clark.", "Roy Clark", StopReason.ANSWERED),
        ("Roy Clark hosted it.", "Roy Clark hosted it.", "", StopReason.STEP_LIMIT),
        ("So the answer is: ", "So the answer is:", "", StopReason.EMPTY_ANSWER),
        ("", "", "", StopReason.STEP_LIMIT),
    ],
)
def test_what_one_completion_says_is_one_step_up_to_its_answer(
    text: str, rationale: str | None, answer: str, stop: StopReason
) -> None:
    trajectory = fold_direct(QUESTION, 1, Step("who", ("p1",), PASSAGES), text, USAGE, System.ONE_STEP)
    (step,) = trajectory.steps
    assert step.rationale == ("Roy Clark hosted it. So the answer is: Roy Clark." if rationale is None else rationale)
    assert (step.query, step.retrieved, step.usage, trajectory.path) == ("who", ("p1",), USAGE, 1)
    assert (trajectory.answer, trajectory.stop) == (answer, stop)


@pytest.mark.parametrize("text", [" Roy Clark.", "So the answer is: Roy Clark"])
def test_closed_book_continues_the_marker_and_takes_one_that_is_repeated(text: str) -> None:
    trajectory = fold_direct(QUESTION, 0, Step("", (), ()), text, USAGE, System.CLOSED_BOOK)
    assert trajectory.answer == "Roy Clark"
    assert trajectory.steps[0].retrieved == ()


def test_closed_book_without_a_word_is_an_empty_answer() -> None:
    trajectory = fold_direct(QUESTION, 0, Step("", (), ()), " \n", USAGE, System.CLOSED_BOOK)
    assert (trajectory.answer, trajectory.stop) == ("", StopReason.EMPTY_ANSWER)


def test_a_forced_answer_is_a_step_of_its_own_without_a_query() -> None:
    open_end = fold_direct(QUESTION, 0, Step("who", ("p1",), PASSAGES), "It was a man.", USAGE, System.ONE_STEP)
    forced = fold_forced_direct(open_end, " Roy Clark", USAGE)
    assert [step.query for step in forced.steps] == ["who", ""]
    assert (forced.answer, forced.stop) == ("Roy Clark", StopReason.FORCED_ANSWER)
    assert fold_forced_direct(open_end, "", USAGE).stop is StopReason.EMPTY_ANSWER


@pytest.mark.parametrize(
    ("text", "system", "counts"),
    [
        ("A man.\nSo the answer is: Roy", System.ONE_STEP, "A man.\n"),
        ("A man. So the answer is: Roy", System.ONE_STEP, "A man. "),
        ("So the answer is: Roy", System.ONE_STEP, "So the answer is: Roy"),
        ("A man, told at len", System.ONE_STEP, "A man, told at len"),
        ("Roy Clark. So the answer is: Roy", System.CLOSED_BOOK, "Roy Clark. So the answer is: Roy"),
    ],
)
def test_an_answer_that_the_token_limit_cut_off_behind_facts_does_not_count(
    text: str, system: System, counts: str
) -> None:
    assert read_direct(text, system, cut=True) == counts
    assert read_direct(text, system, cut=False) == text


# The driver


class Shelf:
    """Two passages for every query, the first one twice."""

    def __init__(self) -> None:
        self.queries: list[str] = []

    async def search(self, query: str, k: int) -> tuple[Passage, ...]:
        self.queries.append(query)
        return (PASSAGES[0], *PASSAGES)[:k]


class Letters:
    """A tokenizer's stand-in: one token per character, one more per message."""

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        return [0] * sum(1 + len(message.content) for message in prompt.messages)


class Short:
    """A model of so many tokens that remembers what it was asked."""

    cache_tokens = None

    def __init__(self, context_tokens: int) -> None:
        self.context_tokens = context_tokens
        self.asked: list[Request] = []

    async def complete(self, request: Request) -> Completion:
        self.asked.append(request)
        return Completion("So the answer is: Roy Clark.", Usage(len(request.prompt_ids), 0, 6))

    async def close(self) -> None:
        pass


async def test_one_step_searches_once_with_the_question() -> None:
    shelf = Shelf()
    model = ScriptedModel(lambda request: f"{len(request.stop)} stops. So the answer is: {request.step}.")
    trajectory = await DirectDriver(System.ONE_STEP, STEP, model, shelf).run(QUESTION, path=2)
    assert shelf.queries == ["Who hosted it?"]
    assert (trajectory.answer, trajectory.path, len(trajectory.steps)) == ("1", 2, 1)
    assert trajectory.steps[0].retrieved == ("p1", "p1", "p2")
    assert trajectory.steps[0].passages == PASSAGES


async def test_closed_book_never_searches() -> None:
    shelf = Shelf()
    model = ScriptedModel(lambda request: f"Roy Clark\nfor {request.max_tokens}")
    trajectory = await DirectDriver(System.CLOSED_BOOK, STEP, model, shelf).run(QUESTION)
    assert shelf.queries == []
    assert trajectory.answer == "Roy Clark"


async def test_an_answer_is_forced_only_where_it_is_asked_for_and_missing() -> None:
    model = ScriptedModel(lambda request: "A man." if request.step == 1 else " Roy Clark.")
    without = await DirectDriver(System.ONE_STEP, STEP, model, Shelf()).run(QUESTION)
    assert without.stop is StopReason.STEP_LIMIT
    forced = await DirectDriver(System.ONE_STEP, STEP, model, Shelf(), force_answer=True).run(QUESTION)
    assert (forced.answer, forced.stop) == ("Roy Clark", StopReason.FORCED_ANSWER)


async def test_behind_a_cut_answer_another_one_is_forced() -> None:
    class Cut(Short):
        async def complete(self, request: Request) -> Completion:
            written = await super().complete(request)
            return replace(written, text="A man.\nSo the answer is: Ro", cut=True) if request.step == 1 else written

    model = Cut(10_000)
    assert (await DirectDriver(System.ONE_STEP, STEP, model, Shelf()).run(QUESTION)).stop is StopReason.STEP_LIMIT
    forced = await DirectDriver(System.ONE_STEP, STEP, model, Shelf(), force_answer=True).run(QUESTION)
    assert (forced.answer, forced.stop) == ("Roy Clark", StopReason.FORCED_ANSWER)
    assert model.asked[-1].prompt.continuation == "A man.\nSo the answer is:"


async def test_the_lowest_passages_are_left_out_where_the_model_is_short() -> None:
    how = LoopSettings(rationale_tokens=10, step_limit=1)
    whole = len(Letters().prompt_ids(direct_prompt(QUESTION, PASSAGES, System.ONE_STEP, how)))
    model = Short(whole + 10 - 1)
    trajectory = await DirectDriver(System.ONE_STEP, how, model, Shelf(), chat=Letters()).run(QUESTION)  # type: ignore[arg-type]
    assert trajectory.steps[0].passages == PASSAGES[:1]
    assert trajectory.steps[0].left_out == 1
    with pytest.raises(BackendError, match="exceeds 20 tokens even without passages"):
        await DirectDriver(System.ONE_STEP, how, Short(20), Shelf(), chat=Letters()).run(QUESTION)  # type: ignore[arg-type]


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, prompt in golden_prompts().items():
        (GOLDEN / f"{name}.txt").write_text(shown(prompt), encoding="utf-8")
