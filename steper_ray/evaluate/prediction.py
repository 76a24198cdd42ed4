"""What the student made of one question, with its scores; a question that failed is there too and scores 0."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from steper_ray.core.answers import Overlap, accuracy_substring, accuracy_tokens, best, exact_match, token_overlap
from steper_ray.core.majority import agree, plurality
from steper_ray.core.recall import (
    Recall,
    gold_names,
    passages_shown,
    recall_by_step,
    retrieved_contents,
    retrieved_names,
)
from steper_ray.core.support import NO_SUPPORT, Support, support_score
from steper_ray.core.types import FailureKind, Passage, Question, Step, StopReason, Trajectory, Usage


@dataclass(frozen=True, slots=True)
class Prediction:
    """One question. Neither `stop` nor `failure`: it was not started.

    Of several paths, the earliest that gave the most frequent answer stands for all; only `usage` is that of all.
    """

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
    support: Support | None = None
    """All passages retrieved against the gold ones; None without gold passages."""
    contents: frozenset[str] = frozenset()
    """`content_id` of the passages retrieved, where known."""
    paths: int = 0
    """Finished paths."""
    votes: int = 0
    """Finished paths with this answer."""
    usage: Usage = field(default_factory=Usage)
    """Summed over the steps of all finished paths; `seconds` is the time of the completions."""

    @property
    def steps(self) -> int:
        """Turns of the loop; a forced answer is not one."""
        return len(self.queries)

    @property
    def answered(self) -> bool:
        """Whether there is an answer, forced or not."""
        return bool(self.answer)


@dataclass(frozen=True, slots=True)
class AnswerScores:
    """One answer against its gold ones, each score the best over the aliases."""

    exact_match: float
    tokens: Overlap
    """F1, precision and recall, each the best by itself, as 2WikiMultiHopQA's script takes them."""
    accuracy_substring: float
    accuracy_tokens: float


def answer_scores(answer: str, question: Question, *, closed_rule: bool, empty_given: bool) -> AnswerScores:
    """Score an answer.

    Args:
        answer: as it was given.
        question: names the gold answers.
        closed_rule: the rules of HotpotQA and 2WikiMultiHopQA; else those of MuSiQue, see `core.answers`.
        empty_given: an empty answer is one; else it is missing and scores 0.
    """

    def highest(score: Callable[[str, str], float]) -> float:
        return best(score, answer, question.golden_answers, empty_given=empty_given)

    def overlap(given: str, gold: str) -> Overlap:
        return token_overlap(given, gold, closed_rule=closed_rule)

    tokens = Overlap(
        highest(lambda given, gold: overlap(given, gold).f1),
        highest(lambda given, gold: overlap(given, gold).precision),
        highest(lambda given, gold: overlap(given, gold).recall),
    )
    return AnswerScores(highest(exact_match), tokens, highest(accuracy_substring), highest(accuracy_tokens))


def predictions_of(
    questions: Iterable[Question],
    finished: Mapping[str, Sequence[Trajectory]],
    failed: Mapping[str, FailureKind],
    *,
    closed_rule: bool,
) -> list[Prediction]:
    """One prediction per question, in the order of the questions.

    Args:
        questions: all questions that were asked.
        finished: trajectories by question id, those of one question in the order of their paths.
        failed: kind of failure by id of questions without a trajectory.
        closed_rule: the rules of HotpotQA and 2WikiMultiHopQA; else those of MuSiQue, see `core.answers`.
    """
    shown = passages_shown([trajectory for paths in finished.values() for trajectory in paths])
    # Gold answers and passages are those of today's file.
    asked = [
        (question, [replace(path, question=question) for path in finished.get(question.id, ())])
        for question in questions
    ]
    winners = {question.id: _winner(paths) for question, paths in asked if paths}
    longest = max((len(_turns(trajectory)) for trajectory in winners.values()), default=0)
    return [
        _of_paths(paths, winners[question.id], shown, longest, closed_rule)
        if paths
        else _missing(question, failed.get(question.id))
        for question, paths in asked
    ]


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
        "f1": round(prediction.f1, 6),
        "accuracy_substring": prediction.accuracy_substring,
        "accuracy_tokens": prediction.accuracy_tokens,
        "stop": prediction.stop,
        "failure": prediction.failure,
        "paths": prediction.paths,
        "votes": prediction.votes,
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


def _winner(paths: Sequence[Trajectory]) -> Trajectory:
    return paths[plurality([path.answer for path in paths])]


def _missing(question: Question, failure: FailureKind | None) -> Prediction:
    support = NO_SUPPORT if gold_names(question) else None
    return Prediction(question, "", 0.0, 0.0, 0.0, 0.0, failure=failure, support=support)


def _of_paths(
    paths: Sequence[Trajectory], winner: Trajectory, shown: Mapping[str, Passage], longest: int, closed_rule: bool
) -> Prediction:
    return replace(
        _prediction(winner, shown, closed_rule),
        recall=tuple(recall_by_step(winner, shown, longest)),
        paths=len(paths),
        votes=sum(agree(path.answer, winner.answer) for path in paths),
        usage=_usage([step for path in paths for step in path.steps]),
    )


def _prediction(trajectory: Trajectory, shown: Mapping[str, Passage], closed_rule: bool) -> Prediction:
    """The prediction of one path, without what depends on others."""
    question, turns = trajectory.question, _turns(trajectory)
    # An answer that is empty is a missing one, but to MuSiQue's script.
    found = answer_scores(trajectory.answer, question, closed_rule=closed_rule, empty_given=not closed_rule)
    wanted = gold_names(question)
    retrieved = retrieved_names(trajectory, shown)
    return Prediction(
        question=question,
        answer=trajectory.answer,
        exact_match=found.exact_match,
        f1=found.tokens.f1,
        accuracy_substring=found.accuracy_substring,
        accuracy_tokens=found.accuracy_tokens,
        stop=trajectory.stop,
        queries=tuple(step.query for step in turns),
        rationales=tuple(step.rationale for step in trajectory.steps),
        retrieved=tuple(step.retrieved for step in turns),
        support=support_score(retrieved, wanted, found.exact_match, found.tokens) if wanted else None,
        contents=retrieved_contents(trajectory, shown),
    )


def _usage(steps: Sequence[Step]) -> Usage:
    return Usage(
        prompt_tokens=sum(step.usage.prompt_tokens for step in steps),
        cached_tokens=sum(step.usage.cached_tokens for step in steps),
        completion_tokens=sum(step.usage.completion_tokens for step in steps),
        seconds=sum(step.usage.seconds for step in steps),
    )


def _turns(trajectory: Trajectory) -> tuple[Step, ...]:
    """The steps without a forced answer, which is one completion more and has no query."""
    return tuple(step for step in trajectory.steps if step.query)
