"""The child process of the index phase: the JVM lives here, progress and faults leave as JSON lines on stdout."""

import json
import sys
from pathlib import Path

from steper_ray.backends.index_names import NameBook, write_names
from steper_ray.backends.lucene import build_index
from steper_ray.data.corpus import read_corpus
from steper_ray.errors import EnvironmentFault, PhaseFailed, UserError


def main(order: str) -> int:
    """Build the index that the order (a JSON object made by `index.run`) describes; returns the exit code."""
    values = json.loads(order)
    book, folder = NameBook(), Path(values["folder"])
    try:
        build_index(
            book.watch(read_corpus(Path(values["corpus"]), values["passage_words"])),
            folder,
            k1=values["k1"],
            b=values["b"],
            language=values["language"],
            progress=lambda indexed: _tell({"indexed": indexed}),
        )
        write_names(folder, book.names())
    except EnvironmentFault as fault:
        _tell({"environment": [fault.what, fault.remedy]})
        return fault.exit_code
    except UserError as fault:
        _tell({"user": [str(fault)]})
        return fault.exit_code
    except PhaseFailed as fault:
        _tell({"phase": [str(fault)]})
        return fault.exit_code
    return 0


def _tell(message: dict[str, object]) -> None:
    """A parent that is gone ends this process too: writing to it raises."""
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
