"""One trajectory of an evaluation on a web page: question, answers, steps, and the passages folded."""

from steper_ray.core.identity import content_id
from steper_ray.core.text import squeeze
from steper_ray.core.types import Passage, Question, Step
from steper_ray.report.chosen import Shown
from steper_ray.report.html import Markup, element, folded, join
from steper_ray.report.words import counted


def tell_trajectory(shown: Shown) -> Markup:
    """A folded trajectory; its line says question, answer and gold."""
    row, trajectory = shown.row, shown.trajectory
    right = bool(row["exact_match"])
    golds = " | ".join(row["golden_answers"])
    mark = element("span", "right" if right else "wrong", class_="right" if right else "wrong")
    told = "" if right or not golds else f" (gold: {golds})"
    line = join([element("b", row["question"]), Markup("<br>"), mark, ": ", row["answer"] or "no answer", told])
    facts = " · ".join(
        [
            *([] if golds else ["gold answer not known"]),
            f"F1 {row['f1']:.2f}",
            f"stopped: {row['stop']}",
            counted(len(row["steps"]), "step"),
            f"{row.get('prompt_tokens', 0) + row.get('completion_tokens', 0):,} tokens",
            *([row["kind"]] if row.get("kind") else []),
            *([f"{row['hops']} hops"] if row.get("hops") else []),
            f"id {row['id']}",
        ]
    )
    steps = [_step(trajectory.question, number, step) for number, step in enumerate(trajectory.steps, start=1)]
    return folded(line, element("p", facts, class_="quiet"), *steps)


def _step(question: Question, number: int, step: Step) -> Markup:
    query = f"Step {number}: {step.query}" if step.query else f"Step {number}: nothing retrieved"
    parts = [element("h3", query), element("p", "→ ", step.rationale or "nothing was written")]
    if step.passages:
        gold = sum(_is_gold(question, passage) for passage in step.passages)
        told = counted(len(step.passages), "new passage") + (f", {gold} gold" if gold else "")
        parts.append(folded(told, *(_passage(question, passage) for passage in step.passages)))
        # On paper what is folded has its titles alone.
        titles = [
            Markup("; ") if number % 2 else _name(question, step.passages[number // 2])
            for number in range(2 * len(step.passages) - 1)
        ]
        parts.append(element("p", f"{told}: ", *titles, class_="paper"))
    elif step.query:
        parts.append(element("p", "no new passage", class_="quiet"))
    return element("div", *parts, class_="step")


def _passage(question: Question, passage: Passage) -> Markup:
    return element("p", _name(question, passage), f" [{passage.score:.2f}] ", passage.text, class_="passage")


def _name(question: Question, passage: Passage) -> Markup:
    return element("span", passage.title or passage.id, class_="gold" if _is_gold(question, passage) else "title")


def _is_gold(question: Question, passage: Passage) -> bool:
    """By id or content where the question names such, as recall takes it; several passages may have one title."""
    if question.gold_ids:
        return passage.id in question.gold_ids or content_id(passage.title, passage.text) in question.gold_ids
    return squeeze(passage.title) in map(squeeze, question.gold_titles)
