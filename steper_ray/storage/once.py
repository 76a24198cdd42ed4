"""A published folder on this machine: fetched by the first process that asks, found by all others."""

import fcntl
from pathlib import Path

from steper_ray.errors import RunFolderError
from steper_ray.storage.folder import fetch, published
from steper_ray.storage.place import open_place


def fetch_once(uri: str, cache: Path) -> Path:
    """The folder below `cache` with the files of this address; named by their digest, so versions live side by side.

    Processes that ask at the same time wait for the first; one that is killed leaves nothing that counts as whole.

    Raises:
        RunFolderError: the cache cannot be written; and as `fetch`.
    """
    name = published(open_place(uri)).digest
    cache = cache.expanduser()
    folder = cache / name
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / f".{name}.lock").open("a")
    except OSError as error:
        raise RunFolderError(f"cannot write the cache {cache}: {error.strerror}; set index.cache") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            fetch(uri, folder)
    return folder
