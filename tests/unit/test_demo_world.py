"""The demo world: the same for the same seed, split by entity, true to its passages, in need of several searches."""

import json
import math
import re
import tracemalloc
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

import pytest

from steper_ray.core.types import Passage
from steper_ray.demo.names import WORDS, Names
from steper_ray.demo.pair_wordings import EARLIER, JOINT, LATER, MAKER_EARLIER, MAKER_LATER, SAME, SHARED
from steper_ray.demo.plans import KINDS
from steper_ray.demo.questions import AnnotatedQuestion, iter_questions
from steper_ray.demo.relations import RELATIONS
from steper_ray.demo.world import MAX_PASSAGES, Split, World, iter_passages
from steper_ray.demo.writer import write_world
from steper_ray.errors import ConfigError

WORLD = World(seed=5, passages=2000)


@pytest.fixture(scope="module")
def passages() -> dict[str, Passage]:
    return {passage.title: passage for passage in iter_passages(WORLD)}


@pytest.fixture(scope="module")
def questions() -> dict[Split, list[AnnotatedQuestion]]:
    return {split: list(iter_questions(WORLD, split, 300)) for split in Split}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        write_world(tmp_path / name, seed, 300, 40, 20)
    one = files(tmp_path / "one")
    assert sorted(one) == [
        "chains.held_out.jsonl",
        "chains.train.jsonl",
        "corpus.jsonl",
        "held_out.jsonl",
        "train.jsonl",
    ]
    assert files(tmp_path / "again") == one
    assert all(content != one[name] for name, content in files(tmp_path / "other").items())


def test_the_written_files_hold_the_fields_that_readers_expect(tmp_path: Path) -> None:
    write_world(tmp_path, 1, 300, 40, 20)
    rows = {path.name: [json.loads(line) for line in path.read_text().splitlines()] for path in tmp_path.iterdir()}
    counts = {name: len(lines) for name, lines in rows.items()}
    assert counts == {
        "corpus.jsonl": 300,
        "train.jsonl": 40,
        "held_out.jsonl": 20,
        "chains.train.jsonl": 40,
        "chains.held_out.jsonl": 20,
    }
    assert all(set(row) == {"_id", "title", "text"} for row in rows["corpus.jsonl"])
    titles = {row["_id"]: row["title"] for row in rows["corpus.jsonl"]}
    for question, chain in zip(rows["train.jsonl"], rows["chains.train.jsonl"], strict=True):
        assert set(question) == {"id", "question", "golden_answers", "metadata"}
        assert set(chain) == {"id", "question", "answers", "steps"}
        assert (question["id"], question["question"]) == (chain["id"], chain["question"])
        metadata = question["metadata"]
        assert metadata["supporting_titles"] == [titles[passage] for passage in metadata["supporting_ids"]]
        assert len(chain["steps"]) == metadata["hops"] + 1


def test_a_failed_write_leaves_no_file_behind(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ask for fewer questions or more passages"):
        write_world(tmp_path, 1, 128, 100_000, 20)
    assert list(tmp_path.iterdir()) == []


def test_question_n_does_not_depend_on_how_many_are_asked_for() -> None:
    assert list(iter_questions(WORLD, Split.TRAIN, 30)) == list(iter_questions(WORLD, Split.TRAIN, 60))[:30]


def test_a_larger_world_starts_with_the_passages_of_a_smaller_one() -> None:
    assert list(iter_passages(World(5, 150))) == list(islice(iter_passages(WORLD), 150))


def test_ids_and_names_are_unique_over_twenty_thousand_passages() -> None:
    ids, names = zip(*((passage.id, passage.title) for passage in iter_passages(World(5, 20_000))), strict=True)
    assert len(set(ids)) == len(set(names)) == 20_000


@pytest.mark.parametrize(
    ("roles", "per_district", "borrowed"),
    [(("given", "family"), 12, "second"), (("town", "place"), 6, "first"), (("work", "piece"), 8, "first")],
)
def test_names_stay_unique_where_the_words_of_the_largest_world_come_round_again(
    roles: tuple[str, str], per_district: int, borrowed: str
) -> None:
    names = Names(5)
    owner: dict[str, int] = {}
    for turn in range(MAX_PASSAGES // 32 * per_district // WORDS + 1):
        district = range(turn * WORDS, turn * WORDS + per_district)
        for number in district:
            for lender in district:
                assert owner.setdefault(names.pair(roles, number, **{borrowed: lender}), number) == number


def test_hardly_two_people_share_a_word_of_their_name(passages: dict[str, Passage]) -> None:
    shared = Counter(word for title in passages for word in set(title.split()[:2]))
    # Per district (63 with the cut one): two pairs of namesakes, two of titles, one of towns.
    assert sum(count > 1 for count in shared.values()) <= 63 * 5
    assert max(shared.values()) == 2


def test_the_splits_share_no_entity_and_no_question(questions: dict[Split, list[AnnotatedQuestion]]) -> None:
    named = {
        split: {title for each in rows for title in each.question.gold_titles} for split, rows in questions.items()
    }
    assert not named[Split.TRAIN] & named[Split.HELD_OUT]
    texts = [each.question.text for rows in questions.values() for each in rows]
    assert len(set(texts)) == len(texts) == 600


def test_every_chain_states_facts_of_its_passages_and_ends_in_the_answer(
    passages: dict[str, Passage], questions: dict[Split, list[AnnotatedQuestion]]
) -> None:
    for each in questions[Split.TRAIN] + questions[Split.HELD_OUT]:
        question, (*facts, last) = each.question, each.steps
        (answer,) = question.golden_answers
        assert (last.rationale, last.support_titles) == (f"So the answer is: {answer}.", ())
        assert len(facts) == question.hops <= 4
        assert question.gold_ids == tuple(passages[title].id for title in question.gold_titles)
        assert {title for step in facts for title in step.support_titles} == set(question.gold_titles)
        for step in facts:
            (title,) = step.support_titles
            stated = set(re.findall(r"\w+", step.rationale))
            # The noun of a profession stands beside the name in the passage, without the verb.
            assert stated - {"was", "a"} <= set(re.findall(r"\w+", passages[title].text)), step.rationale
            assert step.rationale.startswith(title)
            assert "\n" not in step.rationale
        told = " ".join(passages[title].text for title in question.gold_titles)
        assert answer in ("yes", "no") or answer in (told if "comparison" in question.kind else facts[-1].rationale)


def test_each_hop_starts_at_what_the_hop_before_found(questions: dict[Split, list[AnnotatedQuestion]]) -> None:
    for each in questions[Split.TRAIN]:
        if each.question.kind.startswith(("bridge", "attribute")):
            for before, step in zip(each.steps, each.steps[1:-1], strict=False):
                assert before.rationale.endswith(f" {step.support_titles[0]}.")
            assert all(title not in each.question.text for title in each.question.gold_titles[1:])
            assert each.question.golden_answers[0] not in each.question.text


def test_comparisons_and_yes_or_no_answers_are_right(questions: dict[Split, list[AnnotatedQuestion]]) -> None:
    later = re.compile("later|younger|last")
    answers: Counter[str] = Counter()
    for each in questions[Split.TRAIN] + questions[Split.HELD_OUT]:
        (answer,) = each.question.golden_answers
        ends = [step.rationale.split(" in ")[-1].rstrip(".") for step in each.steps[:-1]]
        if each.question.kind == "yes_no_2":
            objects = [step.rationale.removeprefix(step.support_titles[0]) for step in each.steps[:-1]]
            assert answer == ("yes" if objects[0] == objects[1] else "no")
            answers[answer] += 1
        elif each.question.kind.startswith("comparison"):
            years = [(int(end), step) for end, step in zip(ends, each.steps, strict=False) if end.isdigit()]
            assert len(years) == 2
            chosen = (max if later.search(each.question.text) else min)(years, key=lambda pair: pair[0])[1]
            if each.question.kind == "comparison_4":
                maker = chosen.support_titles[0]
                chosen = next(step for step in each.steps if step.rationale.endswith(f"{maker}."))
            assert answer == chosen.support_titles[0]
    assert min(answers["yes"], answers["no"]) >= 0.3 * answers.total()


def test_every_stretch_of_a_split_has_the_mix_of_the_table(questions: dict[Split, list[AnnotatedQuestion]]) -> None:
    assert len(KINDS) >= 6
    assert sum(kind.per_hundred for kind in KINDS) == 100
    for rows in questions.values():
        for count in (50, 100, 300):
            found = Counter(each.question.kind for each in rows[:count])
            assert all(abs(found[kind.name] - kind.per_hundred * count / 100) <= 1 for kind in KINDS)


def test_every_relation_and_pair_is_worded_in_three_ways_or_more() -> None:
    single = [wordings for relation in RELATIONS for wordings in (relation.asks, relation.phrases) if wordings]
    double = [wordings for table in (SHARED, JOINT, SAME, EARLIER, LATER) for wordings in table.values()]
    for wordings, blanks in [(each, 1) for each in single] + [
        (each, 2) for each in (*double, MAKER_EARLIER, MAKER_LATER)
    ]:
        assert len(set(wordings)) == len(wordings) >= 3
        assert all(wording.count("{}") == blanks for wording in wordings)


def test_passages_are_one_or_two_short_sentences(passages: dict[str, Passage]) -> None:
    lengths = [len(passage.text.split()) for passage in passages.values()]
    assert 16 <= sum(lengths) / len(lengths) <= 22
    assert max(lengths) <= 30


def test_memory_does_not_grow_with_the_world() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in islice(iter_passages(World(5, 5_000_000)), count):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(100)
    assert peak(1600) < 2 * peak(160)


@pytest.mark.parametrize("size", [0, 127, MAX_PASSAGES + 1])
def test_an_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=f"found {size}"):
        World(0, size)


class Search:
    """BM25 as Lucene scores it (k1 = 0.9, b = 0.4), over title and text, without stemming."""

    STOPWORDS = frozenset(
        re.findall(r"\w+", "a an and as at by for in into is it no of on or that the this to was with")
    )

    def __init__(self, passages: list[Passage]) -> None:
        words = [self.words(f"{passage.title} {passage.text}") for passage in passages]
        mean = sum(map(len, words)) / len(words)
        self.ids = [passage.id for passage in passages]
        self.scores: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, counts in enumerate(map(Counter, words)):
            for word, count in counts.items():
                norm = 0.9 * (0.6 + 0.4 * counts.total() / mean)
                self.scores[word].append((number, count / (count + norm)))
        for found in self.scores.values():
            weight = math.log(1 + (len(words) - len(found) + 0.5) / (len(found) + 0.5))
            found[:] = [(number, weight * score) for number, score in found]

    def words(self, text: str) -> list[str]:
        return [word for word in re.findall(r"\w+", text.lower()) if word not in self.STOPWORDS]

    def top(self, query: str) -> set[str]:
        total: dict[int, float] = defaultdict(float)
        for word in self.words(query):
            for number, score in self.scores.get(word, ()):
                total[number] += score
        return {self.ids[number] for number in sorted(total, key=lambda number: -total[number])[:4]}


def test_the_gold_chain_finds_its_passages_in_time_and_the_question_alone_does_not(
    passages: dict[str, Passage], questions: dict[Split, list[AnnotatedQuestion]]
) -> None:
    search = Search(list(passages.values()))
    rows = questions[Split.TRAIN][:100] + questions[Split.HELD_OUT][:100]
    in_time = at_once = 0
    for each in rows:
        text = each.question.text
        at_once += set(each.question.gold_ids) <= search.top(text)
        seen: set[str] = set()
        query, complete = text, True
        for step in each.steps[:-1]:
            seen |= search.top(query)
            complete = complete and {passages[title].id for title in step.support_titles} <= seen
            query = f"{text} {step.rationale}"
        in_time += complete
    assert in_time >= 0.97 * len(rows)
    assert at_once < 0.4 * len(rows)
