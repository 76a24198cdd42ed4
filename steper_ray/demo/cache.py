"""Model folders in a per-user cache: made once, whole or absent, checked file by file when they are used again."""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from steper_ray.errors import EnvironmentFault

MANIFEST_NAME = "steper_model.json"


def default_cache() -> Path:
    """Return `$XDG_CACHE_HOME/steper_ray`, or `~/.cache/steper_ray` where the variable is unset or empty."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "steper_ray"


def cached_folder(root: Path, name: str, identity: Mapping[str, object], make: Callable[[Path], None]) -> Path:
    """Return `root/name`, letting `make` fill it where it is missing, damaged or of another identity.

    Processes that call this at the same time wait for the first one.

    Args:
        root: the cache; made where it is missing.
        name: of the folder.
        identity: what the folder is made from, as JSON values.
        make: writes the files into an empty folder beside the final one.

    Raises:
        EnvironmentFault: the cache cannot be written; and whatever `make` raises.
    """
    folder = root / name
    if is_intact(folder, identity):
        return folder
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot create the model cache {root}: {error}", "set XDG_CACHE_HOME to a folder you can write to"
        ) from error
    with _exclusive(root / f".{name}.lock"):
        if not is_intact(folder, identity):
            _build(folder, identity, make)
    return folder


def is_intact(folder: Path, identity: Mapping[str, object]) -> bool:
    """Whether `folder` was finished for this identity and every file still has the digest of its manifest."""
    try:
        manifest = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
        files: dict[str, str] = manifest["files"]
        return manifest["identity"] == identity and all(
            sha256(folder / name) == digest for name, digest in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _build(folder: Path, identity: Mapping[str, object], make: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as work:
        made = Path(work) / folder.name
        made.mkdir()
        make(made)
        files = {path.name: sha256(path) for path in sorted(made.iterdir())}
        manifest = {"identity": dict(identity), "files": files}
        (made / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rename(Path(work) / "old")
        made.rename(folder)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold an advisory lock on `path`; the system lets go of it when the process ends, however it ends."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
