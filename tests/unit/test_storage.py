"""Publishing and fetching folders, on a folder that plays the object storage."""

import json
import threading
from pathlib import Path

import pytest

from steper_ray.cli import main
from steper_ray.errors import ConfigError, PhaseFailed, RunFolderError
from steper_ray.storage.folder import LIST_FILE, fetch, publish
from steper_ray.storage.once import fetch_once
from steper_ray.storage.place import open_place


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    (folder / "adapter").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    (folder / "adapter" / "model.safetensors").write_bytes(b"a")
    (folder / ".lock").write_text("mine alone")
    return folder


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"file://{tmp_path / 'bucket' / 'student'}"


def stored(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def test_what_is_fetched_is_what_was_published_without_hidden_files(weights: Path, uri: str, tmp_path: Path) -> None:
    listing = publish(weights, uri)
    assert set(listing.files) == {"config.json", "model.safetensors", "adapter/model.safetensors"}
    assert listing.size == 2 + 10_240 + 1
    assert fetch(uri, tmp_path / "here") == listing
    for name in listing.files:
        assert (tmp_path / "here" / name).read_bytes() == (weights / name).read_bytes()
    assert not (tmp_path / "here" / ".lock").exists()


def test_publishing_the_same_again_does_nothing_and_another_version_is_refused(weights: Path, uri: str) -> None:
    publish(weights, uri)
    before = (stored(uri) / LIST_FILE).stat().st_mtime_ns
    publish(weights, uri)
    assert (stored(uri) / LIST_FILE).stat().st_mtime_ns == before
    (weights / "config.json").write_text('{"a": 1}')
    with pytest.raises(RunFolderError, match="holds another version"):
        publish(weights, uri)


def test_a_publication_that_was_cut_off_counts_as_none_and_can_be_done_again(
    weights: Path, uri: str, tmp_path: Path
) -> None:
    publish(weights, uri)
    (stored(uri) / LIST_FILE).unlink()
    (stored(uri) / "model.safetensors").write_bytes(b"half")
    with pytest.raises(RunFolderError, match="nothing whole is published"):
        fetch(uri, tmp_path / "here")
    publish(weights, uri)
    fetch(uri, tmp_path / "here")


def test_a_damaged_file_is_named_and_nothing_appears(weights: Path, uri: str, tmp_path: Path) -> None:
    publish(weights, uri)
    (stored(uri) / "model.safetensors").write_bytes(bytes(10_240))
    with pytest.raises(PhaseFailed, match=r"model\.safetensors differs from its checksum"):
        fetch(uri, tmp_path / "here")
    assert [path.name for path in tmp_path.glob("*here*")] == []


def test_a_list_that_names_files_outside_of_the_folder_is_refused(weights: Path, uri: str, tmp_path: Path) -> None:
    publish(weights, uri)
    (stored(uri) / LIST_FILE).write_text(json.dumps({"files": {"../../evil": ["0" * 64, 1]}}))
    with pytest.raises(RunFolderError, match="outside of its folder"):
        fetch(uri, tmp_path / "here")


def test_many_processes_of_a_node_fetch_once(
    weights: Path, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(weights, uri)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(fetch_once(uri, tmp_path / "cache"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    # A second look needs the list alone: the files may be gone from the storage.
    (stored(uri) / "model.safetensors").unlink()
    assert fetch_once(uri, tmp_path / "cache") == found[0]


@pytest.mark.parametrize("address", ["bucket/path", "s3://", "http://host/path", "s3:/bucket"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="an address of storage is"):
        open_place(address)


@pytest.mark.parametrize("address", ["s3://KEY:word@bucket/path", "s3://bucket/path?secret_key=word"])
def test_credentials_in_an_address_are_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(ConfigError, match="must not hold credentials") as caught:
        open_place(address)
    assert "word" not in str(caught.value)


def test_the_commands_publish_and_fetch(
    weights: Path, uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", str(weights), uri]) == 0
    assert main(["fetch", uri, str(tmp_path / "here")]) == 0
    assert "3 files" in capsys.readouterr().out
    assert main(["fetch", uri, str(tmp_path / "here")]) == 2
    assert main(["publish", str(tmp_path / "absent"), uri]) == 2
