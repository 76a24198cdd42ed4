"""Publishing a folder to an address and fetching it from there; `files.json`, written last, says that it is whole.

An address holds one version for good: another content needs another address, so that no reader meets a mixture.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steper_ray.errors import PhaseFailed, RunFolderError
from steper_ray.storage.place import Place, fault, open_place

LIST_FILE = "files.json"
_AT_ONCE = 8
_CHUNK = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a published folder: SHA-256 and size by name."""

    files: dict[str, tuple[str, int]]

    @property
    def digest(self) -> str:
        """A short hash of all of it."""
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _, size in self.files.values())


def publish(folder: Path, uri: str) -> Listing:
    """Copy a folder to an address, hidden files left out; does nothing where the same is there already.

    Raises:
        RunFolderError: the folder is empty or gone, or the address holds something else.
        ConfigError, EnvironmentFault: as `open_place`.
    """
    names = sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and not _hidden(path, folder)
    )
    if not names:
        raise RunFolderError(f"there is nothing to publish in {folder}")
    place = open_place(uri)
    there = read_listing(place)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = Listing(dict(zip(names, pool.map(lambda name: _facts(folder / name), names), strict=True)))
        if there == found:
            return found
        if there is not None:
            raise RunFolderError(
                f"{uri} holds another version ({there.digest}, not {found.digest}); name a new address"
            )
        list(pool.map(lambda name: _upload(folder / name, place, name), names))
    place.write(LIST_FILE, json.dumps({"files": found.files}, indent=1).encode())
    return found


def tell_published(listing: Listing, uri: str) -> None:
    """Say on the terminal what is where."""
    print(f"published: {len(listing.files)} files, {listing.size / 2**20:,.1f} MiB, at {uri}")


def fetch(uri: str, folder: Path) -> Listing:
    """Copy a published folder here; it appears when all of it is here and every file has its checksum.

    Raises:
        RunFolderError: nothing is published there, or the folder exists.
        PhaseFailed: a file differs from its checksum, or the disk is full.
        ConfigError, EnvironmentFault: as `open_place`.
    """
    if folder.exists():
        raise RunFolderError(f"{folder} is there already; remove it, or name another folder")
    place = open_place(uri)
    listing = published(place)
    building = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.fetching")
    try:
        _make(building, listing.files)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda name: _download(place, name, building / name, listing.files[name][0]), listing.files))
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return listing


def published(place: Place) -> Listing:
    """The files at an address.

    Raises:
        RunFolderError: nothing is there, or its publication did not come to its end.
    """
    listing = read_listing(place)
    if listing is None:
        raise RunFolderError(f"nothing whole is published at {place.uri}; publish it, or correct the address")
    return listing


def read_listing(place: Place) -> Listing | None:
    """The files at an address, or None where no publication was finished."""
    content = place.read(LIST_FILE)
    if content is None:
        return None
    try:
        values: dict[str, Any] = json.loads(content)["files"]
        listing = Listing({name: (str(entry[0]), int(entry[1])) for name, entry in values.items()})
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise RunFolderError(f"{place.uri}/{LIST_FILE} is not a list of files; name another address") from None
    if outside := [name for name in listing.files if name.startswith("/") or ".." in Path(name).parts]:
        raise RunFolderError(f"{place.uri}/{LIST_FILE} names a file outside of its folder: {outside[0]!r}")
    return listing


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _facts(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


def _upload(path: Path, place: Place, name: str) -> None:
    try:
        target = place.file(name)
        place.filesystem.create_dir(target.rpartition("/")[0])
        with path.open("rb") as source, place.filesystem.open_output_stream(target) as stream:
            shutil.copyfileobj(source, stream, _CHUNK)
    except OSError as error:
        raise fault(place.uri, error) from None


def _download(place: Place, name: str, path: Path, digest: str) -> None:
    seen = hashlib.sha256()
    try:
        with place.filesystem.open_input_stream(place.file(name)) as stream, path.open("wb") as file:
            while chunk := stream.read(_CHUNK):
                seen.update(chunk)
                file.write(chunk)
    except OSError as error:
        raise PhaseFailed(f"{place.uri}/{name} could not be fetched to {path.parent}: {error}. Try again") from None
    if seen.hexdigest() != digest:
        raise PhaseFailed(
            f"{place.uri}/{name} differs from its checksum in {LIST_FILE}: it was changed or damaged. "
            "Publish the folder again at a new address"
        )


def _make(folder: Path, names: Iterable[str]) -> None:
    try:
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"cannot write {folder.parent}: {error.strerror}") from None
