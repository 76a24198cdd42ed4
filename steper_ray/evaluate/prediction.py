"""What the student made of one question, with its scores; a question that failed is there too and scores 0."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from steper_ray.core.answers import accuracy_substring, accuracy_tokens, best, exact_match, f1
from steper_ray.core.recall import Recall, passages_shown, recall_by_step
from steper_ray.core.types import FailureKind, Question, Step, StopReason, Trajectory, Usage


@dataclass(frozen=True, slots=True)
class Prediction:
    """One question. Neither `stop` nor `failure`: it was not started."""

    question: Question
    answer: str
    exact_match: float
    f1: float
    accuracy_substring: float
    accuracy_tokens: float
    stop: StopReason | None = None
    failure: FailureKind | None = None
    queries: tuple[str, ...] = ()
    rationales: tuple[str, ...] = ()
    retrieved: tuple[tuple[str, ...], ...] = ()
    """Ids by step."""
    recall: tuple[Recall, ...] = ()
    """Up to each step, as many as the longest trajectory has; empty without gold passages."""
    usage: Usage = field(default_factory=Usage)
    """Summed over the steps; `seconds` is the time of the completions."""

    @property
    def steps(self) -> int:
        """Turns of the loop; a forced answer is not one."""
        return len(self.queries)

    @property
    def answered(self) -> bool:
        """Whether there is an answer, forced or not."""
        return bool(self.answer)


def predictions_of(
    questions: Iterable[Question],
    finished: Mapping[str, Trajectory],
    failed: Mapping[str, FailureKind],
    *,
    closed_rule: bool,
) -> list[Prediction]:
    """One prediction per question, in the order of the questions.

    Args:
        questions: all questions that were asked.
        finished: trajectories by question id.
        failed: kind of failure by id of questions without a trajectory.
        closed_rule: the yes/no rule of F1, see `core.answers.f1`.
    """
    shown = passages_shown(finished.values())
    longest = max((len(_turns(trajectory)) for trajectory in finished.values()), default=0)
    predictions = []
    for question in questions:
        trajectory = finished.get(question.id)
        if trajectory is None:
            predictions.append(Prediction(question, "", 0.0, 0.0, 0.0, 0.0, failure=failed.get(question.id)))
        else:
            # Gold answers and passages are those of today's file.
            current = replace(trajectory, question=question)
            recall = recall_by_step(current, shown, longest)
            predictions.append(_prediction(current, tuple(recall), closed_rule))
    return predictions


def prediction_row(prediction: Prediction) -> dict[str, object]:
    """A line of predictions.jsonl."""
    question, usage = prediction.question, prediction.usage
    return {
        "id": question.id,
        "question": question.text,
        "golden_answers": question.golden_answers,
        "kind": question.kind,
        "hops": question.hops,
        "answer": prediction.answer,
        "exact_match": prediction.exact_match,
        "f1": round(prediction.f1, 4),
        "accuracy_substring": prediction.accuracy_substring,
        "accuracy_tokens": prediction.accuracy_tokens,
        "stop": prediction.stop,
        "failure": prediction.failure,
        "steps": [
            {"query": query, "retrieved": ids, "rationale": rationale}
            for query, ids, rationale in zip(
                prediction.queries, prediction.retrieved, prediction.rationales, strict=False
            )
        ],
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "seconds": round(usage.seconds, 3),
    }


def _prediction(trajectory: Trajectory, recall: tuple[Recall, ...], closed_rule: bool) -> Prediction:
    answer, golds, steps = trajectory.answer, trajectory.question.golden_answers, trajectory.steps
    turns = _turns(trajectory)
    return Prediction(
        question=trajectory.question,
        answer=answer,
        exact_match=best(exact_match, answer, golds),
        f1=best(partial(f1, closed_rule=closed_rule), answer, golds),
        accuracy_substring=best(accuracy_substring, answer, golds),
        accuracy_tokens=best(accuracy_tokens, answer, golds),
        stop=trajectory.stop,
        queries=tuple(step.query for step in turns),
        rationales=tuple(step.rationale for step in steps),
        retrieved=tuple(step.retrieved for step in turns),
        recall=recall,
        usage=Usage(
            prompt_tokens=sum(step.usage.prompt_tokens for step in steps),
            cached_tokens=sum(step.usage.cached_tokens for step in steps),
            completion_tokens=sum(step.usage.completion_tokens for step in steps),
            seconds=sum(step.usage.seconds for step in steps),
        ),
    )


def _turns(trajectory: Trajectory) -> tuple[Step, ...]:
    """The steps without a forced answer, which is one completion more and has no query."""
    return tuple(step for step in trajectory.steps if step.query)
