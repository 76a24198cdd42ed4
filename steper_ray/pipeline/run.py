"""`steper pipeline`: index, generate, samples, train, evaluate, report; killed anywhere, the same command continues.

Not covered: serving, which has no end, and evaluating the student before its training.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from steper_ray.backends.index_facts import FACTS_FILE, IndexFacts, read_facts
from steper_ray.config import Config
from steper_ray.core.types import FailureKind
from steper_ray.data.corpus import corpus_digest
from steper_ray.drive.lock import sole_writer
from steper_ray.drive.prepare import index_source
from steper_ray.errors import RunFolderError
from steper_ray.pipeline.check import check_all
from steper_ray.pipeline.inputs import inputs_of
from steper_ray.pipeline.record import Record, output_of, read_record
from steper_ray.runs import Manifest, opened_folder
from steper_ray.sections.shared import IndexSection
from steper_ray.storage.folder import publish, read_listing
from steper_ray.storage.place import open_place

_PASSES = 3
"""Over questions that failed for a transient reason; what is left then is counted and gone on without."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase in its place."""

    name: Literal["index", "generate", "samples", "train", "evaluate", "report"]
    run: Callable[[Config], object]


def pipeline(config: Config) -> Path:
    """Run what is not finished yet, phase by phase; returns the run folder.

    Raises:
        UserError: settings or files of any phase are not usable, found before the first; or a folder holds the
            output of other settings.
        EnvironmentFault, PhaseFailed: as the phases; the same command continues.
    """
    check_all(config)
    with sole_writer(config.run.folder), opened_folder(config.run.folder, config) as folder:
        record = read_record(folder)
        for phase in phases_of(config):
            _run(phase, config, record)
    print(
        f"pipeline: finished; {config.folder('report') / 'report.md'}, weights in {config.folder('train') / 'weights'}"
    )
    return folder


def phases_of(config: Config) -> list[Phase]:
    """The phases that a configuration needs: a search service comes with an index of its own."""
    from steper_ray.evaluate.run import evaluate
    from steper_ray.generate.samples import samples
    from steper_ray.report.run import report
    from steper_ray.train.run import train

    rest = [
        Phase("generate", _generate),
        Phase("samples", samples),
        Phase("train", train),
        Phase("evaluate", evaluate),
        Phase("report", report),
    ]
    return rest if config.retriever.backend == "http" else [Phase("index", _index), *rest]


def _run(phase: Phase, config: Config, record: Record) -> None:
    folder, inputs = config.folder(phase.name), inputs_of(phase.name, config)
    if record.done(phase.name, inputs, output_of(folder)):
        print(f"pipeline: {phase.name} is finished", flush=True)
        return
    print(f"pipeline: {phase.name}", flush=True)
    phase.run(config)
    record.finish(phase.name, inputs, output_of(folder))


def _index(config: Config) -> None:
    """Build the index, unless one is there, or published, that was made from the same corpus with the same settings."""
    from steper_ray.index.run import build

    folder, section = config.folder("index"), config.index
    built = (folder / FACTS_FILE).is_file()
    source = index_source(section)
    if not built and source and read_listing(open_place(source.uri)):
        _check_same(source.facts(), section, source.uri)
    elif section.overwrite or not built:
        build(config)
    else:
        _check_same(read_facts(folder), section, str(folder))
        if source:
            publish(folder, source.uri)


def _check_same(facts: IndexFacts, section: IndexSection, where: str) -> None:
    assert section.corpus is not None
    settings = (facts.k1, facts.b, facts.language) == (section.k1, section.b, section.language)
    if not settings or facts.corpus_digest != corpus_digest(section.corpus, section.passage_words):
        raise RunFolderError(
            f"the index in {where} is of another corpus or other settings; name another index.folder and index.uri, or "
            "set index.overwrite=true to replace it"
        )


def _generate(config: Config) -> None:
    """Generate, with further passes over what failed for a transient reason."""
    from steper_ray.generate.run import generate

    for number in range(1, _PASSES + 1):
        if not _transient(generate(config)):
            return
        if number < _PASSES:
            print("pipeline: again, over what failed for a transient reason", flush=True)


def _transient(manifest: Manifest) -> int:
    failed: dict[str, int] = manifest.counts["failed"]
    return sum(count for kind, count in failed.items() if FailureKind(kind).transient)
