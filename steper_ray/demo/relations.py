"""The facts a passage may state: how each is told, asked for, and used to point at something without naming it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relation:
    """One kind of fact. `{}` stands for the object in `clause` and for the subject in `asks` and `phrases`."""

    name: str
    source: str
    """Kind of the subject: a kind of work, `person`, `institution` or `town`."""
    target: str
    """`entity` (has a passage of its own), `name` (has none) or `literal`."""
    clause: str
    """What the passage and the rationale say after the subject's name."""
    asks: tuple[str, ...] = ()
    """Questions for the object; none about works, as no fact leads to a work and no question has one hop."""
    phrases: tuple[str, ...] = ()
    """Noun phrases that stand for the object; only relations to entities have them."""


RELATIONS: tuple[Relation, ...] = (
    Relation(
        "author", "novel", "entity", "was written by {}",
        phrases=("the author of {}", "the writer of {}", "the person who wrote {}"),
    ),
    Relation(
        "director", "film", "entity", "was directed by {}",
        phrases=("the director of {}", "the maker of {}", "the person who directed {}"),
    ),
    Relation(
        "composer", "symphony", "entity", "was composed by {}",
        phrases=("the composer of {}", "the creator of {}", "the person who composed {}"),
    ),
    Relation(
        "painter", "portrait", "entity", "was painted by {}",
        phrases=("the painter of {}", "the artist behind {}", "the person who painted {}"),
    ),
    Relation(
        "publisher", "novel", "entity", "was published by {}",
        phrases=("the publisher of {}", "the house that published {}", "the firm that issued {}"),
    ),
    Relation(
        "producer", "film", "entity", "was produced by {}",
        phrases=("the studio behind {}", "the company that produced {}", "the producer of {}"),
    ),
    Relation(
        "performer", "symphony", "entity", "was premiered by {}",
        phrases=("the ensemble that premiered {}", "the orchestra that premiered {}", "the first ensemble to play {}"),
    ),
    Relation(
        "owner", "portrait", "entity", "was bought by {}",
        phrases=("the museum that bought {}", "the buyer of {}", "the gallery that owns {}"),
    ),
    Relation("published", "novel", "literal", "was published in {}"),
    Relation("produced", "film", "literal", "was produced in {}"),
    Relation("performed", "symphony", "literal", "was premiered in {}"),
    Relation("bought", "portrait", "literal", "was bought in {}"),
    Relation(
        "birthplace", "person", "entity", "was born in {}",
        ("In which town was {} born?", "Where was {} born?", "What is the birthplace of {}?"),
        ("the birthplace of {}", "the town where {} was born", "the home town of {}"),
    ),
    Relation(
        "birth_year", "person", "literal", "was born in {}",
        ("In which year was {} born?", "When was {} born?", "What is the birth year of {}?"),
    ),
    Relation(
        "profession", "person", "literal", "was a {}",
        ("What was the profession of {}?", "What did {} do for a living?", "What was the occupation of {}?"),
    ),
    Relation(
        "school", "person", "entity", "studied at {}",
        ("Where did {} study?", "Which school did {} attend?", "At which college was {} a student?"),
        ("the school where {} studied", "the college that {} attended", "the school attended by {}"),
    ),
    Relation(
        "teacher", "person", "entity", "was taught by {}",
        ("Who taught {}?", "Who was the teacher of {}?", "Under whom did {} train?"),
        ("the teacher of {}", "the person who taught {}", "the mentor of {}"),
    ),
    Relation(
        "spouse", "person", "entity", "was married to {}",
        ("Who was married to {}?", "Who was the spouse of {}?", "Whom did {} marry?"),
        ("the spouse of {}", "the person married to {}", "the partner of {}"),
    ),
    Relation(
        "instrument", "person", "literal", "played the {}",
        ("Which instrument did {} play?", "What instrument was played by {}?", "On which instrument did {} perform?"),
    ),
    Relation(
        "seat", "institution", "entity", "is based in {}",
        ("In which town is {} based?", "Where is {} located?", "What is the home town of {}?"),
        ("the town where {} is based", "the seat of {}", "the home town of {}"),
    ),
    Relation(
        "founder", "institution", "entity", "was founded by {}",
        ("Who founded {}?", "Who was the founder of {}?", "Which person set up {}?"),
        ("the founder of {}", "the person who founded {}", "the person who set up {}"),
    ),
    Relation(
        "founded", "institution", "literal", "was founded in {}",
        ("In which year was {} founded?", "When was {} founded?", "In what year was {} set up?"),
    ),
    Relation(
        "emblem", "institution", "literal", "has a {} as its emblem",
        ("What is the emblem of {}?", "Which animal is the emblem of {}?", "What does the emblem of {} show?"),
    ),
    Relation(
        "river", "town", "name", "lies on the river {}",
        ("On which river does {} lie?", "Which river flows through {}?", "What is the river of {}?"),
    ),
    Relation(
        "product", "town", "literal", "is known for {}",
        ("What is {} known for?", "For which product is {} known?", "What is the best known product of {}?"),
    ),
    Relation(
        "mayor", "town", "entity", "is governed by {}",
        ("Who governs {}?", "Who is the mayor of {}?", "Which person is in charge of {}?"),
        ("the mayor of {}", "the person who governs {}", "the person in charge of {}"),
    ),
)  # fmt: skip

BY_NAME: dict[str, Relation] = {relation.name: relation for relation in RELATIONS}
WORK_KINDS: dict[str, tuple[str, str, str, str]] = {
    "novel": ("novelist", "author", "publisher", "published"),
    "film": ("director", "director", "producer", "produced"),
    "symphony": ("composer", "composer", "performer", "performed"),
    "portrait": ("painter", "painter", "owner", "bought"),
}
"""Kind of work -> profession of its maker; relations to maker, to institution, to year."""
