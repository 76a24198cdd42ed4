"""The index phase of the pipeline over an index that is there already."""

from pathlib import Path

import pytest

from steper_ray.config import load_config
from steper_ray.errors import RunFolderError
from steper_ray.pipeline.run import _index

pytestmark = pytest.mark.lucene


def test_an_index_made_by_hand_is_taken_and_one_of_another_corpus_is_refused(halsey: Path, tmp_path: Path) -> None:
    settings = [f"run.folder={halsey}", f"index.corpus={halsey / 'corpus.jsonl'}"]
    _index(load_config(None, settings))
    with pytest.raises(RunFolderError, match=r"other settings.*index\.overwrite=true"):
        _index(load_config(None, [*settings, "index.k1=1.2"]))
    other = tmp_path / "other.jsonl"
    other.write_text('{"_id": "1", "title": "T", "text": "Another."}\n')
    with pytest.raises(RunFolderError, match="another corpus"):
        _index(load_config(None, [f"run.folder={halsey}", f"index.corpus={other}"]))
