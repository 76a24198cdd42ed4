"""BM25 over Lucene: an index built in one streaming pass, and opened for searching.

Both need a JVM in the current process, and so a process without torch and vLLM (see `jvm`).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from steper_ray.backends.index_facts import LUCENE_FOLDER, IndexFacts, check_language, read_facts, write_facts
from steper_ray.backends.jvm import JVM_LOCK, java_class, start_jvm
from steper_ray.core.identity import corpus_line
from steper_ray.core.text import encodable, squeeze
from steper_ray.core.types import FailureKind, Passage
from steper_ray.errors import BackendError, EnvironmentFault, PhaseFailed, RunFolderError

BUFFER_MIB = 256.0
"""Memory that holds new passages before Lucene writes them to disk."""
REPORT_EVERY = 1000
QUERY_TERMS = 1 << 20
"""Lucene refuses queries of more than 1,024 distinct terms unless told otherwise."""
_WARMING_SEARCHES = 300
"""Java compiles what has run a few hundred times."""
_WARMING_CHARACTERS, _WARMING_K = 200, 10
"""Of each of these queries, and passages asked for."""


def build_index(
    passages: Iterable[Passage],
    folder: Path,
    *,
    k1: float = 0.9,
    b: float = 0.4,
    language: str = "en",
    progress: Callable[[int], None] = lambda _: None,
) -> IndexFacts:
    """Index title and text of all passages into an empty folder; `progress` gets the number indexed so far.

    Passages are taken one by one and never held. The facts are written last: without them the folder does not open.

    Raises:
        ConfigError: no analyzer for this language.
        PhaseFailed: Lucene could not write, or lost a passage.
        EnvironmentFault: no JVM can start here, or it lacks what the language needs.
        InputError: from the reader of the passages.
    """
    java = start_jvm()
    analyzer = _analyzer(language)
    digest = hashlib.sha256()
    count = 0
    with _writer(folder / LUCENE_FOLDER, analyzer) as add:
        for count, passage in enumerate(passages, start=1):
            digest.update(corpus_line(passage))
            add(passage.id, f"{squeeze(passage.title)}\n{squeeze(passage.text)}")
            if count % REPORT_EVERY == 0:
                progress(count)
    progress(count)
    _verify(folder / LUCENE_FOLDER, count)
    software = {
        "pyserini": version("pyserini"),
        "lucene": java_class("org.apache.lucene.util.Version").LATEST.toString(),
        "java": java.version,
    }
    name = str(analyzer.getClass().getName())
    facts = IndexFacts(count, digest.hexdigest(), language, name, k1, b, software)
    write_facts(folder, facts)
    return facts


class LuceneIndex:
    """An index opened for searching. Threads may share it, but take turns: for speed, use `search_many`."""

    def __init__(self, searcher: Any, facts: IndexFacts) -> None:
        self._searcher, self.facts = searcher, facts

    @classmethod
    def open(cls, folder: Path) -> "LuceneIndex":
        """Open a complete index with the analyzer and the BM25 constants that it was built for.

        Raises:
            RunFolderError: no complete index, its files are damaged, or it was built with another analyzer.
            EnvironmentFault: no JVM can start here, or it lacks what the language needs.
        """
        facts = read_facts(folder)
        analyzer = _analyzer(facts.language)
        if (name := str(analyzer.getClass().getName())) != facts.analyzer:
            raise RunFolderError(
                f"the index in {folder} was built with {facts.analyzer}, not {name}. Build it again"
                " with index.overwrite=true"
            )
        java_class("org.apache.lucene.search.IndexSearcher").setMaxClauseCount(QUERY_TERMS)
        remedy = "Build it again with index.overwrite=true"
        try:
            searcher = java_class("io.anserini.search.SimpleSearcher")(str(folder / LUCENE_FOLDER))
            found = searcher.get_total_num_docs()
        except _java_exception() as error:
            raise RunFolderError(f"the index in {folder} cannot be opened: {_cause(error)}. {remedy}") from None
        if found != facts.passages:
            raise RunFolderError(f"the index in {folder} holds {found} passages, not {facts.passages}. {remedy}")
        searcher.set_analyzer(analyzer)
        searcher.set_bm25(facts.k1, facts.b)
        return cls(searcher, facts)

    def warm_up(self) -> None:
        """Search for the beginnings of passages from all over the index, so that the first question is no slower."""
        for number in range(_WARMING_SEARCHES):
            passage = self._searcher.doc_contents(number * self.facts.passages // _WARMING_SEARCHES)
            self.search(passage[:_WARMING_CHARACTERS], _WARMING_K)

    def search(self, query: str, k: int) -> tuple[Passage, ...]:
        """The k best passages, best first, equal scores in the order of their ids; none when no term matches.

        Raises:
            BackendError: kind `retriever`.
        """
        with JVM_LOCK, _as_backend_error():
            return _passages(self._searcher.search(encodable(query), k))

    def search_many(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        """The same for many queries at once, on all cores, in the order of the queries.

        Raises:
            BackendError: kind `retriever`, for the whole batch.
        """
        if len(queries) < 2:
            return [self.search(query, k) for query in queries]
        with JVM_LOCK, _as_backend_error():
            texts, numbers = (java_class("java.util.ArrayList")() for _ in range(2))
            for number, query in enumerate(queries):
                texts.add(encodable(query))
                numbers.add(str(number))
            # Anserini ignores the number of threads and takes all cores.
            hits = self._searcher.batch_search(texts, numbers, k, 1)
            return [_passages(hits.get(str(number))) for number in range(len(queries))]


@contextmanager
def _writer(folder: Path, analyzer: Any) -> Iterator[Callable[[str, str], None]]:
    """Adds documents in Anserini's own form; commits one segment at the end, nothing at all after an error."""
    settings = java_class("org.apache.lucene.index.IndexWriterConfig")(analyzer)
    settings.setRAMBufferSizeMB(BUFFER_MIB)
    form = java_class("io.anserini.index.IndexCollection$Args")()
    form.storeContents = True
    create = java_class("io.anserini.index.generator.DefaultLuceneDocumentGenerator")(form).createDocument
    from_fields = java_class("io.anserini.collection.JsonCollection$Document").fromFields
    try:
        paths = java_class("java.nio.file.Paths")
        directory = java_class("org.apache.lucene.store.FSDirectory").open(paths.get(str(folder)))
        writer = java_class("org.apache.lucene.index.IndexWriter")(directory, settings)
        try:
            yield lambda id, contents: writer.addDocument(create(from_fields(id, contents)))
            writer.forceMerge(1)
            writer.commit()
            writer.close()
        finally:
            writer.rollback()
    except _java_exception() as error:
        raise PhaseFailed(f"Lucene could not write the index in {folder}: {_cause(error)}") from None


def _verify(folder: Path, count: int) -> None:
    found = java_class("io.anserini.search.SimpleSearcher")(str(folder)).get_total_num_docs()
    if found != count:
        raise PhaseFailed(f"Lucene kept {found} of {count} passages in {folder}")


def _analyzer(language: str) -> Any:
    check_language(language)
    if language == "en":
        return java_class("io.anserini.analysis.DefaultEnglishAnalyzer").newDefaultInstance()
    if language in ("ko", "zh"):
        return _pairs_and_characters()
    if language == "th" and not java_class("org.apache.lucene.analysis.th.ThaiTokenizer").DBBI_AVAILABLE:
        raise EnvironmentFault(
            "this Java runtime cannot cut Thai into words", "Set JAVA_HOME to a complete JDK with module jdk.localedata"
        )
    return java_class("io.anserini.analysis.AnalyzerMap").getLanguageSpecificAnalyzer(language)


def _pairs_and_characters() -> Any:
    """Lucene's CJK analyzer, but with single characters beside the pairs.

    With pairs alone a word of one syllable or character is never found: 곰을 and 곰이, a bear as object and as subject,
    have no pair in common, nor have 猫 and 黑猫.
    """
    none = java_class("java.util.HashMap")
    both = none()
    both.put("outputUnigrams", "true")
    builder = java_class("org.apache.lucene.analysis.custom.CustomAnalyzer").builder()
    builder = builder.withTokenizer("standard", none())
    for name, options in (("cjkWidth", none()), ("lowercase", none()), ("cjkBigram", both)):
        builder = builder.addTokenFilter(name, options)
    return builder.build()


def _passages(hits: Iterable[Any]) -> tuple[Passage, ...]:
    return tuple(_passage(hit) for hit in hits)


def _passage(hit: Any) -> Passage:
    title, _, text = hit.lucene_document.get("contents").partition("\n")
    return Passage(hit.docid, title, text, hit.score)


@contextmanager
def _as_backend_error() -> Iterator[None]:
    try:
        yield
    except _java_exception() as error:
        raise BackendError(FailureKind.RETRIEVER, f"Lucene: {_cause(error)}") from None


def _java_exception() -> type[Exception]:
    from jnius import JavaException

    exception: type[Exception] = JavaException
    return exception


def _cause(error: Exception) -> str:
    return str(error).splitlines()[0].removeprefix("JVM exception occurred: ")
