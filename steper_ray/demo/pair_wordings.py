"""Wordings of the questions about two things at once, by relation; `{}` stands for the first and the second thing."""

WORK_WORDS: dict[str, tuple[str, str, str]] = {
    "author": ("person", "wrote", "author"),
    "director": ("person", "directed", "director"),
    "composer": ("person", "composed", "composer"),
    "painter": ("artist", "painted", "painter"),
    "publisher": ("house", "published", "publisher"),
    "producer": ("studio", "produced", "producer"),
    "performer": ("orchestra", "premiered", "first performer"),
    "owner": ("museum", "bought", "buyer"),
}
"""Relations of works: what the object is, what it did, what it is called."""


def of_works(*templates: str) -> dict[str, tuple[str, ...]]:
    """The same wordings for each relation of works; doubled braces stay for the two things."""
    return {
        relation: tuple(template.format(what=what, did=did, called=called) for template in templates)
        for relation, (what, did, called) in WORK_WORDS.items()
    }


SHARED: dict[str, tuple[str, ...]] = {
    "teacher": (
        "Which person taught both {} and {}?",
        "Who was the teacher of {} as well as of {}?",
        "Under whom did both {} and {} train?",
    ),
    "school": (
        "Which school did both {} and {} attend?",
        "Where did {} study, like {}?",
        "At which college were both {} and {} students?",
    ),
    "birthplace": (
        "In which town were both {} and {} born?",
        "Which town is the birthplace of {} as well as of {}?",
        "What home town do {} and {} share?",
    ),
    "seat": (
        "In which town are both {} and {} based?",
        "Which town is the seat of {} as well as of {}?",
        "What home town do {} and {} share?",
    ),
    "founder": (
        "Which person founded both {} and {}?",
        "Who was the founder of {} as well as of {}?",
        "Who set up both {} and {}?",
    ),
} | of_works(
    "Which {what} {did} both {{}} and {{}}?",
    "Who {did} {{}} as well as {{}}?",
    "Who is the {called} of both {{}} and {{}}?",
)
"""Both have the same object, which is the answer."""

JOINT: dict[str, tuple[str, ...]] = {
    "teacher": ("the person who taught both {} and {}", "the teacher of {} and {}", "the mentor of both {} and {}"),
    "school": (
        "the school where both {} and {} studied",
        "the college that {} and {} attended",
        "the school attended by both {} and {}",
    ),
    "birthplace": (
        "the town where both {} and {} were born",
        "the birthplace of {} and {}",
        "the home town of both {} and {}",
    ),
    "seat": ("the town where both {} and {} are based", "the seat of {} and {}", "the home town of both {} and {}"),
    "founder": (
        "the person who founded both {} and {}",
        "the founder of {} and {}",
        "the person who set up both {} and {}",
    ),
} | of_works(
    "the {what} that {did} both {{}} and {{}}",
    "the {called} of {{}} and {{}}",
    "the {called} of both {{}} and {{}}",
)
"""Noun phrases for the object that both share."""

SAME: dict[str, tuple[str, ...]] = {
    "teacher": (
        "Were {} and {} taught by the same person?",
        "Did {} and {} have the same teacher?",
        "Did {} train under the same person as {}?",
    ),
    "school": (
        "Did {} and {} study at the same school?",
        "Did {} attend the same college as {}?",
        "Were {} and {} students of the same school?",
    ),
    "birthplace": (
        "Were {} and {} born in the same town?",
        "Do {} and {} have the same birthplace?",
        "Was {} born in the same town as {}?",
    ),
    "seat": (
        "Are {} and {} based in the same town?",
        "Do {} and {} have their seat in the same town?",
        "Is {} located in the same town as {}?",
    ),
    "founder": (
        "Were {} and {} founded by the same person?",
        "Do {} and {} have the same founder?",
        "Did the same person set up {} and {}?",
    ),
}
"""Yes or no."""

EARLIER: dict[str, tuple[str, ...]] = {
    "birth_year": (
        "Who was born earlier, {} or {}?",
        "Who is older, {} or {}?",
        "Which person was born first, {} or {}?",
    ),
    "founded": (
        "Which was founded earlier, {} or {}?",
        "Which is older, {} or {}?",
        "Which one was set up first, {} or {}?",
    ),
}
LATER: dict[str, tuple[str, ...]] = {
    "birth_year": (
        "Who was born later, {} or {}?",
        "Who is younger, {} or {}?",
        "Which person was born last, {} or {}?",
    ),
    "founded": (
        "Which was founded later, {} or {}?",
        "Which is younger, {} or {}?",
        "Which one was set up last, {} or {}?",
    ),
}
"""Comparisons by a year; the answer is one of the two things."""

MAKER_EARLIER: tuple[str, ...] = (
    "Which was made by the person born earlier, {} or {}?",
    "Which work has the older maker, {} or {}?",
    "Whose maker was born first, {} or {}?",
)
MAKER_LATER: tuple[str, ...] = (
    "Which was made by the person born later, {} or {}?",
    "Which work has the younger maker, {} or {}?",
    "Whose maker was born last, {} or {}?",
)
"""Comparisons of two works by the birth years of their makers; the answer is a title."""
