import json
import re
from pathlib import Path

import pytest

from steper_ray import __version__
from steper_ray.called import COMMAND, COMMAND_FILE
from steper_ray.config import Config, load_config
from steper_ray.errors import ConfigError, PhaseFailed, RunFolderError
from steper_ray.runs import (
    CONFIG_FILE,
    MANIFEST_FILE,
    Manifest,
    open_folder,
    opened_folder,
    read_manifest,
    write_json,
    write_manifest,
    write_text,
)

MADE = Manifest("index", "f00d", {"passages": 3, "dropped": {"empty": 1}}, {"seconds": 0.5, "name": "Málaga"})


def test_a_manifest_reads_back_as_it_was_written(tmp_path):
    write_manifest(tmp_path, MADE)
    assert read_manifest(tmp_path, "index", command="steper index") == MADE


def test_a_manifest_tells_version_and_utc_time():
    assert MADE.version == __version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", MADE.written)


def test_a_missing_manifest_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(RunFolderError) as caught:
        read_manifest(tmp_path / "index", "index", command="steper index x.yaml")
    assert str(caught.value) == f"no finished index in {tmp_path / 'index'}; run `steper index x.yaml` first"


@pytest.mark.parametrize(
    "text", ["", '{"phase": "ind', "[]", "3", '{"phase": "index"}', '{"phase": "index", "surprise": 1}', "null"]
)
def test_a_broken_manifest_is_no_traceback(tmp_path, text):
    (tmp_path / MANIFEST_FILE).write_text(text)
    with pytest.raises(RunFolderError, match=r"manifest\.json is not a manifest: .*; run `steper index` again"):
        read_manifest(tmp_path, "index", command="steper index")


def test_another_phases_manifest_is_refused(tmp_path):
    write_manifest(tmp_path, MADE)
    with pytest.raises(RunFolderError, match="holds index, not train; run `steper train` or name another folder"):
        read_manifest(tmp_path, "train", command="steper train")


def test_opening_a_folder_makes_it_and_writes_the_resolved_configuration(tmp_path):
    config = load_config(overrides=["loop.k=7", f"run.folder={tmp_path}"])
    folder = open_folder(tmp_path / "a" / "b", config)
    values = json.loads((folder / CONFIG_FILE).read_text())
    assert values["loop"]["k"] == 7
    assert Config.model_validate(values) == config


def opened(folder, k, error=None):
    noted = COMMAND.set(f"steper pipeline loop.k={k}")
    try:
        with opened_folder(folder, load_config(overrides=[f"loop.k={k}"])):
            if error:
                raise error
    finally:
        COMMAND.reset(noted)


@pytest.mark.parametrize(
    ("error", "k"), [(RunFolderError("holds another"), 3), (ConfigError("no"), 3), (PhaseFailed("no room"), 5)]
)
def test_a_refusal_puts_the_earlier_configuration_and_command_back_and_a_failure_does_not(tmp_path, error, k):
    opened(tmp_path, 3)
    with pytest.raises(type(error)):
        opened(tmp_path, 5, error)
    assert json.loads((tmp_path / CONFIG_FILE).read_text())["loop"]["k"] == k
    assert (tmp_path / COMMAND_FILE).read_text() == f"steper pipeline loop.k={k}\n"


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RunFolderError, match=f"cannot write to {re.escape(str(path))}: "):
            open_folder(path, Config())


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "scores.json"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    with pytest.raises(ValueError, match="Circular"):
        write_json(path, (circle := {}).setdefault("self", circle) or circle)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["scores.json"]


def test_a_reader_of_the_old_file_keeps_it_whole_while_a_new_one_takes_its_name(tmp_path):
    path = tmp_path / "scores.json"
    write_text(path, "old")
    with path.open() as reader:
        write_text(path, "newer and longer")
        assert reader.read() == "old"
    assert path.read_text() == "newer and longer"


def test_json_is_readable_text_with_paths_as_strings(tmp_path):
    write_json(tmp_path / "x.json", {"who": "Málaga", "where": Path("a/b")})
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n  "who": "Málaga",\n  "where": "a/b"\n}\n'
