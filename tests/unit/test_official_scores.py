"""Scores against an independent re-computation from the definitions, over thousands of random and hostile pairs."""

import random
from fractions import Fraction
from functools import partial

import pytest

from steper_ray.core.answers import (
    EVERYTHING,
    NOTHING,
    Overlap,
    accuracy_substring,
    accuracy_tokens,
    best,
    exact_match,
    f1,
    normalise,
    token_overlap,
)
from steper_ray.core.support import mean_support, support_score

PAIRS = 4000
ASCII_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

WORDS = [
    *("the", "a", "an", "The", "AN", "A", "theatre", "another", "ana", "a-ha", "the_the", "an.", "'a'", "(the)"),
    *("yes", "no", "noanswer", "Yes.", "NO", "no one", "not", "yes!", "No answer", "noanswer,"),
    *("1969", "1,969", "196", "3.14", "$1,000", "1000", "２０２０", "½", "²", "१९६९", "-5", "5%"),
    *("Hee", "Haw", "hee-haw", "U.S.", "US", "O'Neill", "AC/DC", "Roy", "Clark", "New", "York"),
    *("Málaga", "Ma\u0301laga", "Beyoncé", "Beyonce\u0301", "a\u0301", "Straße", "STRASSE", "ΟΔΟΣ", "οδος", "İzmir"),
    *(
        "ｆｕｌｌ",
        "ＴＨＥ",
        "“quoted”",
        "—",
        "…",
        "¿",
        "東京",
        "東京都",
        "Ａ",
        "ﬁ",
        "fi",
        "🎵",
        "e\u200dt",
        "\u200bthe",
    ),
    *("", "!!!", "...", "'", "_", "\\", "`"),
]
SPACES = [" ", " ", " ", "  ", "\t", "\n", "\u00a0", "\u2003", "\u3000", "-", ", ", "_"]


def reference_tokens(text: str) -> list[str]:
    """Lower case; ASCII punctuation out; runs of letters and digits that are an article out; split at white space."""
    kept = "".join("" if letter in ASCII_PUNCTUATION else letter for letter in text.lower())
    pieces: list[str] = []
    run = ""
    for letter in kept + "\0":
        if letter.isalnum():
            run += letter
            continue
        pieces.append(" " if run in {"a", "an", "the"} else run)
        pieces.append(letter)
        run = ""
    tokens, token = [], ""
    for letter in "".join(pieces)[:-1] + " ":
        if not letter.isspace():
            token += letter
        elif token:
            tokens.append(token)
            token = ""
    return tokens


def reference_overlap(prediction: str, gold: str, musique: bool) -> tuple[Fraction, Fraction, Fraction]:
    """F1, precision, recall as exact fractions, by crossing out one gold token per predicted one."""
    given, wanted = reference_tokens(prediction), reference_tokens(gold)
    nothing = (Fraction(0), Fraction(0), Fraction(0))
    if not musique and given != wanted and ({" ".join(given), " ".join(wanted)} & {"yes", "no", "noanswer"}):
        return nothing
    if musique and not given and not wanted:
        return (Fraction(1), Fraction(1), Fraction(1))
    left, common = list(wanted), 0
    for token in given:
        if token in left:
            left.remove(token)
            common += 1
    if not common:
        return nothing
    # 2PR / (P + R) is 2 common / (given + wanted).
    return Fraction(2 * common, len(given) + len(wanted)), Fraction(common, len(given)), Fraction(common, len(wanted))


def reference_contains(prediction: str, gold: str) -> tuple[bool, bool]:
    """As a substring; as a run of whole tokens."""
    given, wanted = reference_tokens(prediction), reference_tokens(gold)
    size = len(wanted)
    run = any(given[start : start + size] == wanted for start in range(len(given) - size + 1)) if wanted else not given
    text = " ".join(wanted)
    return (text in " ".join(given) if text else not given), run


def phrase(source: random.Random) -> str:
    parts = [source.choice(WORDS) + source.choice(SPACES) for _ in range(source.randint(0, 5))]
    return "".join(parts) if source.random() < 0.5 else "".join(parts).strip()


def changed(text: str, source: random.Random) -> str:
    """Another wording: near enough that scores differ from 0."""
    words = text.split()
    match source.randint(0, 6):
        case 0:
            return text.upper()
        case 1:
            return f"the {text}."
        case 2:
            source.shuffle(words)
            return " ".join(words)
        case 3:
            return " ".join([*words, source.choice(WORDS)])
        case 4:
            return " ".join(words[1:])
        case 5:
            return text + text
        case _:
            return text[: source.randint(0, len(text))]


def pairs() -> list[tuple[str, str]]:
    source = random.Random(20251)
    found = []
    for _ in range(PAIRS):
        gold = phrase(source)
        found.append((changed(gold, source) if source.random() < 0.6 else phrase(source), gold))
    found += [(one, other) for one in WORDS for other in ("", "the", "yes", "no", "noanswer", "１", one)]
    return found


HOSTILE = pairs()


def test_the_pairs_are_many_and_their_scores_differ() -> None:
    scores = [reference_overlap(prediction, gold, musique=False)[0] for prediction, gold in HOSTILE]
    assert len(set(HOSTILE)) > 3500
    assert sum(score == 1 for score in scores) > 500
    assert sum(0 < score < 1 for score in scores) > 500
    assert sum(score == 0 for score in scores) > 500
    bitten = [
        pair for pair, score in zip(HOSTILE, scores, strict=True) if score != reference_overlap(*pair, musique=True)[0]
    ]
    assert len(bitten) > 50


def test_normalisation_is_the_definitions() -> None:
    for prediction, gold in HOSTILE:
        for text in (prediction, gold):
            assert normalise(text).split() == reference_tokens(text), repr(text)


@pytest.mark.parametrize("musique", [False, True])
def test_exact_match_and_f1_are_the_definitions(musique: bool) -> None:
    for prediction, gold in HOSTILE:
        exact = reference_tokens(prediction) == reference_tokens(gold)
        assert exact_match(prediction, gold) == float(exact), (prediction, gold)
        wanted = reference_overlap(prediction, gold, musique)
        found = token_overlap(prediction, gold, closed_rule=not musique)
        assert (found.f1, found.precision, found.recall) == pytest.approx(tuple(map(float, wanted)), abs=1e-12), (
            prediction,
            gold,
        )
        assert f1(prediction, gold, closed_rule=not musique) == found.f1


def test_accuracy_is_the_definition_in_both_forms() -> None:
    for prediction, gold in HOSTILE:
        found = bool(accuracy_substring(prediction, gold)), bool(accuracy_tokens(prediction, gold))
        assert found == reference_contains(prediction, gold), (prediction, gold)


@pytest.mark.parametrize("musique", [False, True])
def test_of_the_gold_answer_and_its_aliases_the_best_counts(musique: bool) -> None:
    source = random.Random(7)
    for _ in range(2000):
        prediction = source.choice(HOSTILE)[0]
        golds = [changed(prediction, source) if source.random() < 0.3 else phrase(source) for _ in range(3)]
        wanted = max(reference_overlap(prediction, gold, musique)[0] for gold in golds)
        rule = partial(f1, closed_rule=not musique)
        if prediction or musique:
            assert best(rule, prediction, golds, empty_given=musique) == pytest.approx(float(wanted), abs=1e-12)
        else:
            assert best(rule, prediction, golds) == 0.0


@pytest.mark.parametrize(
    ("prediction", "gold", "hotpotqa", "musique"),
    [
        ("yes", "yes, it was", NOTHING, Overlap(0.5, 1.0, 1 / 3)),
        ("no", "No.", EVERYTHING, EVERYTHING),
        ("The The", "the", NOTHING, EVERYTHING),  # no token is left of either
        ("", "A", NOTHING, EVERYTHING),
        ("a\u0301", "\u0301", EVERYTHING, EVERYTHING),  # the letter before a combining mark is an article of its own
        ("２０２０", "2020", NOTHING, NOTHING),  # full width is another character
        ("ΟΔΟΣ", "οδος", EVERYTHING, EVERYTHING),  # a final sigma is written by lower case
    ],
)
def test_odd_pairs_by_hand(prediction: str, gold: str, hotpotqa: Overlap, musique: Overlap) -> None:
    assert token_overlap(prediction, gold) == hotpotqa
    assert token_overlap(prediction, gold, closed_rule=False) == musique


def test_an_empty_answer_agrees_with_an_empty_gold_answer_by_musiques_rule_alone() -> None:
    assert best(exact_match, "", ["The The"], empty_given=True) == 1.0
    assert best(exact_match, "", ["Matt Johnson"], empty_given=True) == 0.0
    assert best(exact_match, "", ["The The"]) == 0.0


def test_support_and_joint_scores_by_hand() -> None:
    # Two of three given, two of four gold: P 2/3, R 1/2, F1 4/7. Answer: P 1/2, R 1. Joint: P 1/3, R 1/2, F1 2/5.
    found = support_score(
        [("A", 0), ("B", 1), ("X", 0), ("A", 0)],
        [("A", 0), ("B", 1), ("B", 2), ("C", 0)],
        answer_exact=0.0,
        answer=Overlap(2 / 3, 0.5, 1.0),
    )
    assert (found.exact_match, found.joint_exact_match) == (0.0, 0.0)
    assert (found.f1, found.precision, found.recall) == pytest.approx((4 / 7, 2 / 3, 1 / 2))
    assert (found.joint_f1, found.joint_precision, found.joint_recall) == pytest.approx((2 / 5, 1 / 3, 1 / 2))


def test_support_needs_the_same_set_and_the_joint_score_the_answer_too() -> None:
    right, wrong = support_score([1, 2], [2, 1], 1.0, EVERYTHING), support_score([1, 2], [2, 1], 0.0, NOTHING)
    assert (right.exact_match, right.joint_exact_match, right.joint_f1) == (1.0, 1.0, 1.0)
    assert (wrong.exact_match, wrong.joint_exact_match, wrong.joint_f1) == (1.0, 0.0, 0.0)
    none = support_score([], [1], 1.0, EVERYTHING)
    assert (none.exact_match, none.f1, none.joint_f1) == (0.0, 0.0, 0.0)
    assert mean_support([right, none]).joint_f1 == 0.5


def test_nothing_given_where_nothing_is_gold_is_right() -> None:
    assert support_score([], [], 1.0, EVERYTHING).f1 == 1.0


def test_support_of_random_sets_is_the_definition() -> None:
    source = random.Random(3)
    for _ in range(1000):
        given, wanted = ({source.randint(0, 5) for _ in range(source.randint(0, 5))} for _ in range(2))
        hits = sum(1 for number in given if number in wanted)
        precision = Fraction(hits, len(given)) if given else Fraction(0)
        recall = Fraction(hits, len(wanted)) if wanted else Fraction(0)
        total = precision + recall
        found = support_score(given, wanted, 1.0, EVERYTHING)
        if given or wanted:
            assert found.f1 == pytest.approx(float(2 * precision * recall / total) if total else 0.0)
            assert found.joint_f1 == pytest.approx(found.f1)
        assert found.exact_match == float(given == wanted)
