"""An index on object storage: its facts are read from there, its files are fetched once by each node that searches."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from steper_ray.backends.index_facts import FACTS_FILE, LUCENE_FOLDER, IndexFacts, read_facts
from steper_ray.backends.index_names import NAMES_FILE, IndexNames, names_of
from steper_ray.errors import RunFolderError
from steper_ray.storage.folder import published
from steper_ray.storage.once import fetch_once
from steper_ray.storage.place import open_place


@dataclass(frozen=True, slots=True)
class IndexSource:
    """Where an index is published; crosses processes as it is."""

    uri: str
    cache: Path
    """Folder on the disk of every node."""

    def facts(self) -> IndexFacts:
        """What the index says about itself; fetches no more than that.

        Raises:
            RunFolderError: no whole index is published there.
        """
        place = open_place(self.uri)
        published(place)
        content = place.read(FACTS_FILE)
        if content is None:
            raise RunFolderError(f"{self.uri} holds something else than an index; correct index.uri")
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / LUCENE_FOLDER).mkdir()
            (Path(folder) / FACTS_FILE).write_bytes(content)
            return read_facts(Path(folder))

    def names(self) -> IndexNames | None:
        """What its passages are called; None where that was not written down."""
        content = open_place(self.uri).read(NAMES_FILE)
        return names_of(content) if content is not None else None

    def local(self) -> Path:
        """The folder on this node, fetched where it is not there yet. Raises as `fetch_once`."""
        return fetch_once(self.uri, self.cache)
