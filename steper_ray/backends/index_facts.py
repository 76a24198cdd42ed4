"""What an index says about itself: readable without a JVM, and written last, so that its presence says complete."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from steper_ray.errors import ConfigError, RunFolderError
from steper_ray.runs import write_json

FACTS_FILE = "index.json"
FACTS_VERSION = 1
LUCENE_FOLDER = "lucene"
# fmt: off
LANGUAGES = (
    "ar", "bn", "da", "de", "en", "es", "fa", "fi", "fr", "hi", "hu", "id", "it", "ja", "ko", "nl", "no",
    "pl", "pt", "ru", "sv", "te", "th", "tr", "uk", "zh",
)
# fmt: on
"""Languages that Anserini has an analyzer for."""


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What was indexed and how."""

    passages: int
    corpus_digest: str
    """SHA-256 over id, title and text of all passages, in the order of the corpus."""
    language: str
    analyzer: str
    """The Java class that cut the texts into terms."""
    k1: float
    b: float
    software: Mapping[str, str] = field(default_factory=dict)
    """Versions of pyserini, Lucene and Java."""

    def identity(self) -> dict[str, object]:
        """What decides which passages a query finds; goes into fingerprints."""
        return {"corpus": self.corpus_digest, "analyzer": self.analyzer, "k1": self.k1, "b": self.b}


def check_language(language: str) -> None:
    """Raises ConfigError when there is no analyzer for this language."""
    if language not in LANGUAGES:
        raise ConfigError(f"index.language must be one of {', '.join(LANGUAGES)}, found {language!r}")


def write_facts(folder: Path, facts: IndexFacts) -> None:
    """Declare the index in this folder complete."""
    write_json(folder / FACTS_FILE, {"version": FACTS_VERSION, **asdict(facts)})


def read_facts(folder: Path) -> IndexFacts:
    """The facts of a complete index.

    Raises:
        RunFolderError: there is none, it is half built, or another version of this package made it.
    """
    again = "Run `steper index`, or set index.folder"
    try:
        values = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
        version = values.pop("version")
        if version != FACTS_VERSION:
            raise RunFolderError(f"the index in {folder} has format {version!r}, not {FACTS_VERSION}. Build it again")
        facts = IndexFacts(**values)
    except FileNotFoundError:
        half = (folder / LUCENE_FOLDER).exists()
        raise RunFolderError(f"{'a half-built' if half else 'no'} index in {folder}. {again}") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunFolderError(f"{folder / FACTS_FILE} cannot be read: {error}. {again}") from None
    if not (folder / LUCENE_FOLDER).is_dir():
        raise RunFolderError(f"the Lucene files of the index in {folder} are gone. {again}")
    return facts
