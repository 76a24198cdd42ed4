"""The same storage code against a real S3 protocol: weights travel, an index is fetched once per node and searched."""

import subprocess
import sys
from pathlib import Path

import pytest

from steper_ray.backends.index_facts import read_facts
from steper_ray.backends.index_source import IndexSource
from steper_ray.cli import main
from steper_ray.errors import EnvironmentFault, PhaseFailed, RunFolderError
from steper_ray.storage.folder import fetch, publish
from steper_ray.storage.place import open_place

pytestmark = pytest.mark.slow


def test_a_folder_travels_through_s3_and_a_changed_object_is_noticed(bucket: str, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "model.safetensors").write_bytes(bytes(12_000_000))
    (weights / "steper.json").write_text("{}")
    uri = bucket.format("weights/1")
    listing = publish(weights, uri)
    assert fetch(uri, tmp_path / "here") == listing
    assert (tmp_path / "here" / "model.safetensors").stat().st_size == 12_000_000

    open_place(uri).write("steper.json", b'{"k": 5}')
    with pytest.raises(PhaseFailed, match=r"steper\.json differs from its checksum"):
        fetch(uri, tmp_path / "again")


def test_an_address_without_anything_and_a_bucket_that_is_not_there_say_so(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="nothing whole is published"):
        fetch(bucket.format("nothing/here"), tmp_path / "here")
    absent = bucket.format("x").replace("s3://steper/", "s3://absent-bucket/")
    with pytest.raises((EnvironmentFault, RunFolderError)):
        fetch(absent, tmp_path / "here")


@pytest.mark.lucene
def test_an_index_is_published_when_built_and_searched_from_the_cache_of_a_node(
    bucket: str, halsey: Path, tmp_path: Path
) -> None:
    uri = bucket.format("index/halsey")
    settings = [f"run.folder={tmp_path / 'run'}", f"index.corpus={halsey / 'corpus.jsonl'}", f"index.uri={uri}"]
    assert main(["index", *settings]) == 0
    source = IndexSource(uri, tmp_path / "cache")
    assert source.facts() == read_facts(tmp_path / "run" / "index")
    assert not (tmp_path / "cache").exists(), "facts alone fetch no index"
    first = source.local()
    assert read_facts(first) == source.facts()
    assert source.local() == first
    assert [path for path in (tmp_path / "cache").iterdir() if not path.name.startswith(".")] == [first]


@pytest.mark.lucene
@pytest.mark.ray
def test_a_generation_without_a_local_index_fetches_it_and_publishes_what_it_made(
    bucket: str, halsey: Path, tmp_path: Path
) -> None:
    publish(halsey / "index", bucket.format("index/for-generation"))
    out = bucket.format("trajectories/1")
    settings = [
        f"run.folder={tmp_path / 'run'}",
        f"index.uri={bucket.format('index/for-generation')}",
        f"index.cache={tmp_path / 'cache'}",
        f"generate.questions={halsey / 'questions.jsonl'}",
        "teacher.backend=scripted",
        f"generate.uri={out}",
    ]
    command = [sys.executable, "-m", "steper_ray.cli", "generate", *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "run" / "index").exists()
    (fetched,) = (path for path in (tmp_path / "cache").iterdir() if not path.name.startswith("."))
    assert read_facts(fetched) == read_facts(halsey / "index")
    listing = fetch(out, tmp_path / "copy")
    assert "manifest.json" in listing.files
    assert [name for name in listing.files if name.startswith("trajectories/")]
