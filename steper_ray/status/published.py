"""A folder on object storage: whole or not, and what it is."""

import json

from steper_ray.errors import RunFolderError
from steper_ray.runs import MANIFEST_FILE
from steper_ray.storage.folder import published
from steper_ray.storage.place import open_place


def show_published(uri: str) -> str:
    """A line about an address.

    Raises:
        RunFolderError: nothing whole is published there.
        ConfigError, EnvironmentFault: as `open_place`.
    """
    place = open_place(uri)
    listing = published(place)
    size = f"{len(listing.files)} files, {listing.size / 2**20:,.1f} MiB"
    content = place.read(MANIFEST_FILE) if MANIFEST_FILE in listing.files else None
    if content is None:
        return f"{uri}\n  published, whole: {size}\nnext: steper fetch {uri} FOLDER"
    try:
        manifest = json.loads(content)
        told = f"{manifest['phase']} of {manifest['written']}"
    except (ValueError, KeyError, TypeError):
        raise RunFolderError(f"{uri}/{MANIFEST_FILE} is not a manifest; publish the folder again") from None
    return f"{uri}\n  published, whole: {told}, {size}\nnext: steper fetch {uri} FOLDER"
