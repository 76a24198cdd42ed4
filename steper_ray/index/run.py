"""The index phase: checks first, then a child process that builds, then a folder that appears whole."""

import hashlib
import json
import time
from itertools import islice
from pathlib import Path

from rich.console import Console

from steper_ray.backends.index_facts import FACTS_FILE, IndexFacts, check_language, read_facts
from steper_ray.config import Config
from steper_ray.data.corpus import read_corpus
from steper_ray.errors import ConfigError, RunFolderError
from steper_ray.index.child import index_in_child
from steper_ray.index.staging import staged
from steper_ray.runs import Manifest, open_folder, write_manifest
from steper_ray.storage.folder import publish, tell_published
from steper_ray.telemetry.phase_log import PhaseLog

LOOKED_AT = 100_000
"""Passages that are checked before the build starts; takes a second or two."""


def build(config: Config) -> Path:
    """Index `index.corpus` into the index folder, which appears only when everything is in it.

    Raises:
        ConfigError: no corpus named, or no analyzer for the language.
        InputError: a fault in the corpus, with its line.
        RunFolderError: the folder holds an index already (see `index.overwrite`), or other files.
        EnvironmentFault: no JVM.
        PhaseFailed: the building process died; nothing was kept.
    """
    corpus = config.index.corpus
    if corpus is None:
        raise ConfigError("index.corpus names no file; set index.corpus=FILE")
    check_language(config.index.language)
    folder = config.folder("index")
    _check_free(folder, overwrite=config.index.overwrite)
    # The first passages show most faults of a corpus; the others surface while it is read.
    for _ in islice(read_corpus(corpus, config.index.passage_words), LOOKED_AT):
        pass

    with PhaseLog(folder, "index", corpus=str(corpus)) as log:
        _build(config, corpus, folder, log)
    return folder


def _build(config: Config, corpus: Path, folder: Path, log: PhaseLog) -> None:
    started = time.monotonic()
    with staged(folder) as staging:
        open_folder(staging, config)
        index_in_child(corpus, staging, config.index)
        facts = read_facts(staging)
        seconds = time.monotonic() - started
        write_manifest(staging, _manifest(facts, seconds))
    log.count({"passages": facts.passages})
    Console(soft_wrap=True, highlight=False, markup=False).print(
        f"{facts.passages:,} passages indexed in {seconds:.1f} s: {folder}. next: steper generate"
    )
    if config.index.uri:
        tell_published(publish(folder, config.index.uri), config.index.uri)


def _check_free(folder: Path, *, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / FACTS_FILE).is_file():
        raise RunFolderError(f"{folder} holds something else than an index. Name another index.folder")
    if not overwrite:
        raise RunFolderError(
            f"an index is already in {folder}. Set index.overwrite=true to replace it, or another index.folder"
        )


def _manifest(facts: IndexFacts, seconds: float) -> Manifest:
    identity = facts.identity()
    fingerprint = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return Manifest("index", fingerprint, {"passages": facts.passages}, {**identity, "seconds": round(seconds, 3)})
