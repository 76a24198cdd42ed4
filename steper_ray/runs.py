"""Run folders: the resolved configuration first, a manifest whose counts add up last, both written atomically."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from steper_ray import __version__
from steper_ray.called import COMMAND, COMMAND_FILE
from steper_ray.config import Config
from steper_ray.errors import PhaseFailed, RunFolderError, UserError

CONFIG_FILE = "config.json"
MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a phase made. `counts` are whole numbers that add up; `facts` is everything else worth knowing."""

    phase: str
    fingerprint: str
    counts: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__
    written: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))


def open_folder(folder: Path, config: Config) -> Path:
    """Make a phase's folder and write the resolved configuration into it, and the command if one was given.

    Raises:
        RunFolderError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / CONFIG_FILE, config.model_dump(mode="json"))
        if command := COMMAND.get():
            write_text(folder / COMMAND_FILE, command + "\n")
    except OSError as error:
        raise RunFolderError(f"cannot write to {folder}: {error.strerror}") from None
    except PhaseFailed as error:
        raise RunFolderError(str(error)) from None
    return folder


@contextmanager
def opened_folder(folder: Path, config: Config) -> Iterator[Path]:
    """`open_folder` where the work itself may still be refused: then the earlier configuration and command come back.

    Raises:
        RunFolderError: the folder cannot be made or written.
    """
    paths = [folder / CONFIG_FILE, folder / COMMAND_FILE]
    before = {path: path.read_text(encoding="utf-8") for path in paths if path.is_file()}
    try:
        yield open_folder(folder, config)
    except UserError:
        for path, text in before.items():
            write_text(path, text)
        raise


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest; its presence says that the phase finished."""
    write_json(folder / MANIFEST_FILE, asdict(manifest))


def read_manifest(folder: Path, phase: str, *, command: str) -> Manifest:
    """The manifest of a finished phase.

    Raises:
        RunFolderError: none is there, or it is another phase's; the message names the command that makes it.
    """
    try:
        values = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        manifest = Manifest(**values)
    except FileNotFoundError:
        raise RunFolderError(f"no finished {phase} in {folder}; run `{command}` first") from None
    except (OSError, ValueError, TypeError) as error:
        raise RunFolderError(f"{folder / MANIFEST_FILE} is not a manifest: {error}; run `{command}` again") from None
    if manifest.phase != phase:
        raise RunFolderError(f"{folder} holds {manifest.phase}, not {phase}; run `{command}` or name another folder")
    return manifest


def write_json(path: Path, value: object) -> None:
    """Write JSON under a temporary name, then rename: readers see the old file or the new one."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Raises:
        PhaseFailed: the disk takes no more, or the folder is gone.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise PhaseFailed(f"cannot write {path}: {error.strerror or error}. The same command continues") from error
    finally:
        temporary.unlink(missing_ok=True)
