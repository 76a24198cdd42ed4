"""What the samples job needs to know, and what it refuses before anything starts."""

from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from steper_ray.backends.index_facts import read_facts
from steper_ray.config import Config
from steper_ray.core.majority import LEAST_PATHS
from steper_ray.core.selection import Correctness
from steper_ray.core.types import Layout, LoopSettings, Target
from steper_ray.drive.fingerprint import fingerprint_of
from steper_ray.drive.ledger import Key
from steper_ray.drive.prepare import index_source
from steper_ray.errors import ConfigError, RunFolderError, SteperError
from steper_ray.runs import MANIFEST_FILE, read_manifest
from steper_ray.sections.generate import SamplesSection
from steper_ray.sections.shared import LoopSection


@dataclass(frozen=True, slots=True)
class SamplesJob:
    """What is made of which trajectories."""

    generation: Path
    """Folder with trajectories/ and their fingerprint."""
    folder: Path
    """Replaced as a whole."""
    run: Path
    """The run folder, whose log tells of it."""
    asked: Container[Key] | None
    """Keys to use, since the folder may hold more from an earlier run without a limit; None uses all."""
    section: SamplesSection
    how: LoopSettings
    """Of the samples."""
    parts: dict[str, Any]
    """Of the generation's fingerprint."""
    language: str | None
    """ISO 639-1 code of the corpus, for the card; None where it is not known."""

    @property
    def fingerprint(self) -> str:
        """The generation's."""
        return fingerprint_of(self.parts)


def check_samples(config: Config) -> None:
    """Refuse settings that cannot give samples, before anything starts.

    Raises:
        ConfigError: names key and value.
    """
    if config.samples.correctness is Correctness.MAJORITY and config.generate.paths < LEAST_PATHS:
        raise ConfigError(
            f"samples.correctness=majority needs generate.paths of at least {LEAST_PATHS}, "
            f"found {config.generate.paths}; sample more paths, or give gold answers"
        )
    form(config.samples, config.loop.settings())


def form(section: SamplesSection, how: LoopSettings) -> LoopSettings:
    """The loop that the samples are for: that of the trajectories, in the layout and target asked for.

    Raises:
        ConfigError: `cumulative` in another layout than `appended`.
    """
    shaped = replace(how, layout=section.layout or how.layout, target=section.target or how.target)
    if shaped.target is Target.CUMULATIVE and shaped.layout is not Layout.APPENDED:
        raise ConfigError(
            f"samples.target={shaped.target} needs samples.layout=appended, found {shaped.layout}; "
            "set both samples.layout and samples.target"
        )
    return shaped


def check_folder(folder: Path, fingerprint: str | None = None) -> None:
    """Refuse to replace anything but samples, and where the fingerprint is known, of the same generation.

    Raises:
        RunFolderError: says what stands there.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / MANIFEST_FILE).is_file():
        raise RunFolderError(f"{folder} holds something else than samples; name another samples.folder")
    there = read_manifest(folder, "samples", command="steper samples")
    if fingerprint is not None and there.fingerprint != fingerprint:
        raise RunFolderError(
            f"{folder} holds samples of another generation ({there.fingerprint}, not {fingerprint}); "
            "remove it, or name another samples.folder"
        )


def corpus_language(config: Config, searched: Mapping[str, Any]) -> str | None:
    """The language of the index that trajectories were made with; None of a search service, or where it is gone.

    Args:
        config: where the index lies, or is published.
        searched: the part `index` of the trajectories' fingerprint.
    """
    if "service" in searched:
        return None
    source = index_source(config.index)
    try:
        facts = source.facts() if source else read_facts(config.folder("index"))
    except SteperError:
        return None
    return facts.language if facts.identity() == searched else None


def check_loop(section: LoopSection, trained: LoopSettings) -> None:
    """Refuse loop settings that are given and are not those of the trajectories.

    Raises:
        ConfigError: names key and values.
    """
    values: dict[str, Any] = asdict(trained)
    for name in sorted(section.model_fields_set):
        if (given := getattr(section, name)) != values[name]:
            raise ConfigError(
                f"loop.{name} is {given}, but the trajectories were made with {values[name]}; leave it out "
                "(samples.layout and samples.target change the form of the samples alone)"
            )
