"""Building an index: complete or not there at all, and never the whole corpus in memory."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steper_ray.backends.index_facts import read_facts
from steper_ray.config import Config, load_config
from steper_ray.errors import ConfigError, InputError, PhaseFailed, RunFolderError, UserError
from steper_ray.index.run import build
from steper_ray.runs import read_manifest
from steper_ray.telemetry.log import read_log

pytestmark = pytest.mark.lucene

ROOT = Path(__file__).parents[2]
LONG = 30_000
"""Passages that keep Lucene busy for some seconds."""


def _corpus(path: Path, count: int) -> Path:
    text = " ".join(f"word{number}" for number in range(60))
    rows = ({"_id": str(number), "title": f"T{number}", "text": f"{text} n{number}"} for number in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _config(tmp_path: Path, *overrides: str) -> Config:
    return load_config(None, [f"run.folder={tmp_path / 'run'}", *overrides])


def _left(tmp_path: Path) -> list[str]:
    """Names in the run folder."""
    return sorted(path.name for path in (tmp_path / "run").iterdir())


def _ends(tmp_path: Path) -> list[str]:
    """Events of the log behind the first."""
    return [line["event"] for line in read_log(tmp_path / "run" / "index")[1:]]


def test_the_facts_say_what_was_indexed(lucene: Any, tmp_path: Path) -> None:
    rows = [["a", "T", "x y"], ["b", "", "z"]]
    digest = lucene("build", folder=str(tmp_path / "index"), rows=rows, k1=1.2, b=0.75)
    facts = read_facts(tmp_path / "index")
    assert digest == facts.corpus_digest == hashlib.sha256(b"a\nT\nx y\nb\n\nz\n").hexdigest()
    assert (facts.passages, facts.k1, facts.b, facts.language) == (2, 1.2, 0.75, "en")
    assert set(facts.software) == {"pyserini", "lucene", "java"}


def test_no_more_than_a_few_passages_exist_at_once(lucene: Any, tmp_path: Path) -> None:
    assert lucene("most_alive", folder=str(tmp_path / "index"), count=5000) <= 3


def test_the_phase_leaves_an_index_a_configuration_and_a_manifest(
    lucene: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = _config(tmp_path, f"index.corpus={_corpus(tmp_path / 'c.jsonl', 1500)}")
    folder = build(config)
    output = capfd.readouterr()
    assert output.out.startswith("1,500 passages indexed in ")
    assert output.out.endswith(f" s: {folder}. next: steper generate\n")
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "index.json",
        "lucene",
        "manifest.json",
        "names.npz",
    ]
    assert read_manifest(folder, "index", command="steper index").counts == {"passages": 1500}
    assert len(lucene("search", folder=str(folder), query="word9", k=5)) == 5
    assert _left(tmp_path) == ["index", "log"]
    started, finished = read_log(folder)
    assert (started["event"], finished["event"], finished["passages"]) == ("phase_started", "phase_finished", 1500)


def test_an_index_is_replaced_only_when_asked(lucene: Any, tmp_path: Path) -> None:
    config = _config(tmp_path, f"index.corpus={_corpus(tmp_path / 'c.jsonl', 3)}")
    folder = build(config)
    with pytest.raises(RunFolderError, match=r"an index is already in .*index\.overwrite=true"):
        build(config)
    _corpus(tmp_path / "c.jsonl", 5)
    build(_config(tmp_path, f"index.corpus={tmp_path / 'c.jsonl'}", "index.overwrite=true"))
    assert read_facts(folder).passages == 5
    assert _left(tmp_path) == ["index", "log"]


def test_other_files_are_never_replaced(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "c.jsonl", 1)
    (tmp_path / "run" / "index").mkdir(parents=True)
    (tmp_path / "run" / "index" / "thesis.tex").touch()
    with pytest.raises(RunFolderError, match="holds something else than an index"):
        build(_config(tmp_path, f"index.corpus={corpus}", "index.overwrite=true"))


def test_settings_are_checked_before_anything_starts(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "c.jsonl", 1)
    with pytest.raises(ConfigError, match=r"index\.corpus names no file"):
        build(_config(tmp_path))
    with pytest.raises(ConfigError, match=r"index\.language must be one of"):
        build(_config(tmp_path, f"index.corpus={corpus}", "index.language=xx"))
    with pytest.raises(InputError, match="does not exist"):
        build(_config(tmp_path, f"index.corpus={tmp_path / 'none.jsonl'}"))
    assert not (tmp_path / "run").exists()


def test_a_fault_among_the_first_passages_is_told_before_anything_is_made(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "c.jsonl", 100)
    corpus.write_text(corpus.read_text() + json.dumps({"_id": "7", "text": "again"}) + "\n")
    with pytest.raises(InputError, match=r"c\.jsonl, line 101, field 'id': duplicate id, first in line 8; found '7'"):
        build(_config(tmp_path, f"index.corpus={corpus}"))
    assert not (tmp_path / "run").exists()


def test_a_fault_in_mid_corpus_names_its_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steper_ray.index.run.LOOKED_AT", 10)
    corpus = _corpus(tmp_path / "c.jsonl", 100)
    corpus.write_text(corpus.read_text() + json.dumps({"_id": "7", "text": "again"}) + "\n")
    with pytest.raises(UserError, match=r"c\.jsonl, line 101, field 'id': duplicate id, first in line 8; found '7'"):
        build(_config(tmp_path, f"index.corpus={corpus}"))
    assert _left(tmp_path) == ["log"]


def _wait_for(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Return when the condition holds; fail the test when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def _children(pid: int) -> list[int]:
    """Ids of the direct child processes."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


_PHASE = "import sys; from steper_ray.index.run import build; from steper_ray.config import load_config; "


def _start(tmp_path: Path, corpus: Path) -> "subprocess.Popen[str]":
    code = _PHASE + "build(load_config(None, sys.argv[1:]))"
    command = [sys.executable, "-c", code, f"run.folder={tmp_path / 'run'}", f"index.corpus={corpus}"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    _wait_for(lambda: list((tmp_path / "run").glob(".index.*.building/lucene/*")), "Lucene's first file")
    return process


def test_a_killed_child_is_a_failed_phase_that_leaves_nothing(tmp_path: Path) -> None:
    process = _start(tmp_path, _corpus(tmp_path / "c.jsonl", LONG))
    (worker,) = _children(process.pid)
    os.kill(worker, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"{PhaseFailed.__name__}: the indexing process was killed by SIGKILL (memory may have run out)" in errors
    assert _left(tmp_path) == ["log"]
    assert _ends(tmp_path) == ["phase_failed"]


def test_ctrl_c_ends_the_child_and_leaves_nothing(tmp_path: Path) -> None:
    process = _start(tmp_path, _corpus(tmp_path / "c.jsonl", LONG))
    (worker,) = _children(process.pid)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert not Path(f"/proc/{worker}").exists()
    assert _left(tmp_path) == ["log"]
    assert _ends(tmp_path) == ["phase_stopped"]


def test_what_a_killed_phase_leaves_never_opens_and_the_next_one_sweeps_it(tmp_path: Path) -> None:
    corpus = _corpus(tmp_path / "c.jsonl", LONG)
    process = _start(tmp_path, corpus)
    (worker,) = _children(process.pid)
    process.kill()
    process.communicate(timeout=60)
    # The orphan ends when it next tells its progress.
    _wait_for(lambda: not Path(f"/proc/{worker}").exists(), "the end of the orphan")
    (left,) = (tmp_path / "run").glob(".index.*.building")
    with pytest.raises(RunFolderError, match="a half-built index"):
        read_facts(left)
    with pytest.raises(RunFolderError, match="no index in"):
        read_facts(tmp_path / "run" / "index")
    build(_config(tmp_path, f"index.corpus={_corpus(tmp_path / 'c.jsonl', 3)}"))
    assert _left(tmp_path) == ["index", "log"]


def test_a_passage_too_long_behind_the_first_ones_ends_the_build_at_its_line(
    lucene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steper_ray.index.run.LOOKED_AT", 10)
    corpus = _corpus(tmp_path / "c.jsonl", 20)
    with corpus.open("a") as file:
        file.write(json.dumps({"_id": "long", "text": "word " * 2001}) + "\n")
    with pytest.raises(UserError, match=r"line 21, field 'text': passage 'long' has 2,001 words.*corpus split"):
        build(_config(tmp_path, f"index.corpus={corpus}"))
    assert not (tmp_path / "run" / "index").exists()
    build(_config(tmp_path, f"index.corpus={corpus}", "index.passage_words=null"))
    assert read_facts(tmp_path / "run" / "index").passages == 21
