"""Where a key is read from, and that it is shown nowhere."""

import logging
from pathlib import Path

import pytest

from steper_ray.backends.endpoint_key import Key, read_key
from steper_ray.errors import ConfigError

SECRET = "sk-Very-Secret-1234567890"


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def read(file: Path | None, variable: str | None) -> Key:
    key = read_key(file, variable, "teacher")
    assert key is not None
    return key


def test_the_key_is_the_text_of_its_file_without_the_newline(tmp_path: Path) -> None:
    key = read(write(tmp_path / "key", f"{SECRET}\n"), None)
    assert key.header() == {"Authorization": f"Bearer {SECRET}"}
    assert key.source == f"file {tmp_path / 'key'}"


def test_the_file_wins_over_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "from-the-variable")
    assert read(write(tmp_path / "key", SECRET), "OTHER_KEY").secret.get_secret_value() == SECRET
    assert read(None, "OTHER_KEY").source == "environment variable OTHER_KEY"


def test_without_a_source_there_is_no_key() -> None:
    assert read_key(None, None, "retriever") is None


def test_no_way_to_print_a_key_shows_it(tmp_path: Path) -> None:
    key = read(write(tmp_path / "key", SECRET), None)
    assert all(SECRET not in shown for shown in (repr(key), str(key), f"{key}", repr(key.secret), str(key.secret)))
    assert key.hidden_in(f"key {SECRET} is wrong, {SECRET}") == "key [key] is wrong, [key]"


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_can_read_is_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    with caplog.at_level(logging.DEBUG):
        read(write(tmp_path / "key", SECRET, mode), None)
    assert ("can be read by others" in caplog.text) is warned
    assert SECRET not in caplog.text


@pytest.mark.parametrize("text", ["", "  \n", f"{SECRET} second", f"{SECRET}\n{SECRET}", f"{SECRET}…", f"{SECRET}\x00"])
def test_a_file_that_is_not_a_key_alone_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"teacher\.key_file: file .*key (is empty|holds white space)") as caught:
        read_key(write(tmp_path / "key", text), None, "teacher")
    assert SECRET not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named_even_where_the_variable_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", SECRET)
    with pytest.raises(ConfigError, match=r"teacher\.key_file: cannot read .*absent: No such file"):
        read_key(tmp_path / "absent", "OTHER_KEY", "teacher")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not a text file"):
        read_key(tmp_path / "binary", None, "teacher")


@pytest.mark.parametrize("value", [None, "", " "])
def test_a_variable_that_is_not_set_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("OTHER_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("OTHER_KEY", value)
    with pytest.raises(
        ConfigError, match=r"variable OTHER_KEY \(teacher\.key_variable\) is not set.*teacher\.key_file"
    ):
        read_key(None, "OTHER_KEY", "teacher")


@pytest.mark.parametrize("variable", [SECRET, "", "sk_lowercase_key", "A B"])
def test_a_key_in_the_place_of_the_variables_name_is_not_shown(variable: str) -> None:
    with pytest.raises(ConfigError, match=r"teacher\.key_variable must name an environment variable") as caught:
        read_key(None, variable, "teacher")
    assert not variable or variable not in str(caught.value)
