"""docs/data.md: its files are valid and its commands do what it says."""

import json
import re
from pathlib import Path

import pytest

from steper_ray.cli import main
from steper_ray.cli.parser import make_parser
from steper_ray.cli.phases import split_settings
from steper_ray.config import load_config
from steper_ray.data.corpus import read_corpus
from steper_ray.data.demonstrations import read_demonstrations
from steper_ray.data.questions import read_questions

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
FILES = re.findall(r"`([a-z]+\.jsonl?)`:\n\n```json\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^\$ steper (.*)\n((?:(?!```).*\n)*)", PAGE, re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES:
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_page_has_files_and_commands() -> None:
    assert [name for name, _ in FILES] == ["questions.jsonl", "documents.jsonl", "hotpot.json"]
    assert [words.split()[0] for words, _ in COMMANDS] == ["generate", "index", "corpus", "corpus"]


def test_the_corpus_commands_print_what_the_page_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, output in COMMANDS:
        if words.startswith("corpus"):
            assert main(words.split()) == 0
            assert capsys.readouterr().out == output
    assert [passage.id for passage in read_corpus(folder / "passages.jsonl")] == ["tarn#1", "tarn#2"]
    assert len(list(read_corpus(folder / "gathered.parquet"))) == 2


def test_the_settings_of_the_other_commands_are_known(folder: Path) -> None:
    for words, _ in COMMANDS:
        if not words.startswith("corpus"):
            options = make_parser().parse_args(words.split())
            config = load_config(*split_settings(options.settings))
            assert config.generate.questions is None or len(read_questions(config.generate.questions).questions) == 2


def test_the_example_of_a_demonstration_is_one(tmp_path: Path) -> None:
    text = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[-1]
    (tmp_path / "d.jsonl").write_text(json.dumps(json.loads(text)))
    assert read_demonstrations(tmp_path / "d.jsonl")[0].answer == "on the Essel"


def test_every_setting_on_the_page_exists() -> None:
    config = load_config()
    for section, name in re.findall(r"`(generate|index|teacher|loop|evaluate)\.([a-z_]+)", PAGE):
        assert name in type(getattr(config, section)).model_fields
