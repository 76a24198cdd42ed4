"""Whether an index, published or not, or a search service holds the questions' gold passages: told before the run."""

from collections.abc import Sequence

from steper_ray.backends.index_names import read_names
from steper_ray.config import Config
from steper_ray.core.text import squeeze
from steper_ray.core.types import Passage, Question
from steper_ray.data.foreign_corpus import foreign_corpus_warning
from steper_ray.drive.prepare import index_source
from steper_ray.drive.trial import search_all
from steper_ray.errors import BackendError
from steper_ray.sections.shared import RetrieverSection

SEARCHED = 20
"""Gold titles that a search service is asked for."""


def gold_warning(config: Config, questions: Sequence[Question]) -> str | None:
    """A warning when gold passages cannot be found; None where they can, or where nobody can tell.

    Args:
        config: names index, corpus or service.
        questions: those that are asked.
    """
    if config.retriever.backend != "lucene":
        return _service_warning(config.retriever, questions, config.loop.k)
    source, folder = index_source(config.index), config.folder("index")
    names = source.names() if source else read_names(folder)
    where = f"the index in {config.index.uri if source else folder}"
    return foreign_corpus_warning(config.index.corpus, questions, names, where)


def _service_warning(section: RetrieverSection, questions: Sequence[Question], k: int) -> str | None:
    """A title is searched for by itself; services may miss some, so only none at all is told."""
    titles = sorted({squeeze(title) for question in questions for title in question.gold_titles})
    # Evenly from all of them.
    asked = titles[:: -(-len(titles) // SEARCHED)] if titles else []
    try:
        found = search_all(section, asked, k) if asked else []
    except BackendError:
        return None  # the run will meet it, count it and try again
    return service_warning(asked, found, section.name or section.url or "the service")


def service_warning(asked: Sequence[str], found: Sequence[Sequence[Passage]], where: str) -> str | None:
    """The warning about passages found for titles, each list for one of them."""
    pairs = [(title, squeeze(one.title)) for title, passages in zip(asked, found, strict=True) for one in passages]
    if not asked or any(title == name for title, name in pairs):
        return None
    return (
        f"{where} was asked for {len(asked)} gold titles of the questions, such as {asked[0]!r}, and found no passage "
        "with the title asked for: recall will be 0; it may search another corpus"
    )
