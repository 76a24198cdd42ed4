"""The command line: light, and bad input of each kind ends with code 2, one line, and nothing half-written."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from steper_ray.cli import main
from steper_ray.cli.phases import split_settings
from steper_ray.errors import ConfigError

GOOD_PASSAGE = json.dumps({"_id": "1", "title": "T", "text": "Some text."})
GOOD_QUESTION = json.dumps({"id": "1", "question": "Who?", "golden_answers": ["x"]})


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + ("\n" if lines else ""), encoding="utf-8")
    return path


def unknown_key(folder: Path) -> list[str]:
    return ["generate", str(write(folder / "c.yaml", "generate:", "  quesions: x"))]


def missing_configuration(folder: Path) -> list[str]:
    return ["generate", str(folder / "absent.yaml")]


def missing_corpus(folder: Path) -> list[str]:
    return ["index", f"index.corpus={folder / 'absent.jsonl'}", f"run.folder={folder / 'run'}"]


def broken_corpus_line(folder: Path) -> list[str]:
    corpus = write(folder / "corpus.jsonl", '{"_id": "1", "text": ')
    return ["index", f"index.corpus={corpus}", f"run.folder={folder / 'run'}"]


def empty_corpus(folder: Path) -> list[str]:
    return ["index", f"index.corpus={write(folder / 'corpus.jsonl')}", f"run.folder={folder / 'run'}"]


def too_long_a_passage(folder: Path) -> list[str]:
    corpus = write(folder / "corpus.jsonl", GOOD_PASSAGE, json.dumps({"_id": "2", "text": "word " * 2001}))
    return ["index", f"index.corpus={corpus}", f"run.folder={folder / 'run'}"]


def split_onto_an_existing_file(folder: Path) -> list[str]:
    corpus = write(folder / "corpus.jsonl", GOOD_PASSAGE)
    return ["corpus", "split", str(corpus), str(corpus)]


def split_with_too_much_overlap(folder: Path) -> list[str]:
    return ["corpus", "split", str(folder / "a.jsonl"), str(folder / "b.jsonl"), "--words", "10", "--overlap", "6"]


def questions_without_contexts(folder: Path) -> list[str]:
    questions = write(folder / "q.jsonl", GOOD_QUESTION)
    return ["corpus", "from-questions", str(questions), str(folder / "c.jsonl")]


def sample_without_limit(folder: Path) -> list[str]:
    questions = write(folder / "q.jsonl", GOOD_QUESTION)
    return ["generate", f"generate.questions={questions}", f"run.folder={folder / 'run'}", "--sample", "3"]


def more_demonstrations_than_there_are(folder: Path) -> list[str]:
    demonstrations = write(folder / "d.jsonl", '{"question": "Q?", "steps": [{"rationale": "So the answer is: x."}]}')
    return [
        *no_index(folder),
        f"teacher.demonstrations={demonstrations}",
        "teacher.demonstrations_count=2",
    ]


def broken_question_line(folder: Path) -> list[str]:
    questions = write(folder / "q.jsonl", GOOD_QUESTION, '{"id": "2", "question"')
    return ["generate", f"generate.questions={questions}", f"run.folder={folder / 'run'}"]


def question_without_answer(folder: Path) -> list[str]:
    questions = write(folder / "q.jsonl", GOOD_QUESTION, json.dumps({"id": "2", "question": "Who?"}))
    return ["generate", f"generate.questions={questions}", f"run.folder={folder / 'run'}"]


def folder_without_model(folder: Path) -> list[str]:
    questions = write(folder / "q.jsonl", GOOD_QUESTION)
    return [
        "generate",
        f"generate.questions={questions}",
        f"teacher.model={folder}",
        f"run.folder={folder / 'run'}",
    ]


def no_passages_per_retrieval(folder: Path) -> list[str]:
    return ["generate", "loop.k=0", f"run.folder={folder / 'run'}"]


def several_greedy_paths(folder: Path) -> list[str]:
    return ["generate", "generate.paths=3", f"run.folder={folder / 'run'}"]


def no_index(folder: Path) -> list[str]:
    questions = write(folder / "q.jsonl", GOOD_QUESTION)
    return [
        "generate",
        f"generate.questions={questions}",
        "teacher.backend=scripted",
        f"run.folder={folder / 'run'}",
    ]


def train_without_samples(folder: Path) -> list[str]:
    write(folder / "config.json", '{"model_type": "llama"}')
    write(folder / "tokenizer.json", "{}")
    write(folder / "model.safetensors")
    return ["train", f"train.model={folder}", f"run.folder={folder / 'run'}"]


def evaluate_without_weights(folder: Path) -> list[str]:
    questions = write(folder / "q.jsonl", GOOD_QUESTION)
    return ["evaluate", f"evaluate.questions={questions}", f"run.folder={folder / 'run'}"]


def serve_without_weights(folder: Path) -> list[str]:
    return ["serve", f"run.folder={folder / 'run'}"]


def report_without_training(folder: Path) -> list[str]:
    return ["report", f"run.folder={folder / 'run'}"]


def majority_of_one_path(folder: Path) -> list[str]:
    questions = write(folder / "q.jsonl", GOOD_QUESTION)
    return [
        "generate",
        f"generate.questions={questions}",
        "samples.correctness=majority",
        f"run.folder={folder / 'run'}",
    ]


def samples_without_trajectories(folder: Path) -> list[str]:
    return ["samples", f"run.folder={folder / 'run'}"]


def inspect_of_nothing(folder: Path) -> list[str]:
    return ["inspect", str(folder / "run")]


def inspect_without_limit(folder: Path) -> list[str]:
    return ["inspect", str(folder), "--limit", "0"]


CASES: list[tuple[Callable[[Path], list[str]], str]] = [
    (unknown_key, r"unknown key 'generate.quesions'; did you mean 'questions'\? \(.*c\.yaml\)"),
    (missing_configuration, r"absent\.yaml"),
    (missing_corpus, r"absent\.jsonl"),
    (broken_corpus_line, r"corpus\.jsonl, line 1"),
    (empty_corpus, r"corpus\.jsonl: .*no passage"),
    (
        too_long_a_passage,
        r"corpus\.jsonl, line 2, field 'text': passage '2' has 2,001 words.*steper corpus split IN OUT",
    ),
    (split_onto_an_existing_file, r"corpus\.jsonl exists already; .*--overwrite"),
    (split_with_too_much_overlap, r"--overlap must be from 0 to half of --words \(5\), found 6"),
    (questions_without_contexts, r"q\.jsonl, line 1: has no context of its own"),
    (sample_without_limit, r"generate\.sample=3 chooses questions at random but generate\.limit, .*is empty; set it"),
    (more_demonstrations_than_there_are, r"demonstrations_count asks for 2 worked examples, found 1"),
    (broken_question_line, r"q\.jsonl, line 2"),
    (question_without_answer, r"q\.jsonl, line 2.*answer"),
    (folder_without_model, r"config\.json"),
    (no_passages_per_retrieval, r"loop\.k: .* found 0"),
    (several_greedy_paths, r"generate\.paths above 1 needs teacher\.temperature above 0"),
    (no_index, r"no index in .*run.index.*steper index"),
    (train_without_samples, r"steper generate"),
    (evaluate_without_weights, r"steper train"),
    (serve_without_weights, r"steper train"),
    (report_without_training, r"steper train"),
    (majority_of_one_path, r"samples\.correctness=majority needs generate\.paths of at least 3, found 1"),
    (samples_without_trajectories, r"no trajectories in .*steper generate"),
    (inspect_of_nothing, r"run is no folder"),
    (inspect_without_limit, r"--limit must be at least 1, found 0"),
]


@pytest.mark.parametrize(("command", "message"), CASES, ids=lambda case: getattr(case, "__name__", None))
def test_bad_input_ends_with_code_2_and_one_clear_message(
    command: Callable[[Path], list[str]], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command(tmp_path)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert re.search(message, shown), shown
    assert "Traceback" not in shown
    assert len(shown.strip().splitlines()) == 1
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before


def test_bad_input_is_told_within_seconds_by_a_fresh_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "steper_ray.cli", *question_without_answer(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_help_imports_no_phase_and_no_vendor() -> None:
    code = "import sys; from steper_ray.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print([name for name in ('ray', 'torch', 'vllm', 'pyarrow', 'pydantic') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip().endswith("[]")
    for command in (
        "corpus",
        "index",
        "generate",
        "train",
        "evaluate",
        "serve",
        "report",
        "samples",
        "ablate",
        "inspect",
        "ask",
        "doctor",
        "demo",
        "pipeline",
        "publish",
        "fetch",
        "status",
    ):
        assert command in done.stdout


def test_settings_are_one_file_and_overrides() -> None:
    assert split_settings(["a.yaml", "loop.k=3"]) == (Path("a.yaml"), ["loop.k=3"])
    with pytest.raises(ConfigError, match="one configuration file at most"):
        split_settings(["a.yaml", "b.yaml"])


@pytest.mark.parametrize("phase", ["generate", "evaluate"])
@pytest.mark.parametrize(
    "words",
    [
        ["a.yaml", "x.y=1", "--limit", "5", "--sample", "3"],
        ["--limit", "5", "--sample", "3", "a.yaml", "x.y=1"],
        ["a.yaml", "--limit", "5", "x.y=1", "--sample=3"],
    ],
)
def test_flags_become_overrides_wherever_they_stand(
    phase: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, list[str]]] = []
    monkeypatch.setattr("steper_ray.cli.phases.run_phase", lambda phase, settings: seen.append((phase, settings)))
    assert main([phase, *words]) == 0
    assert seen == [(phase, ["a.yaml", "x.y=1", f"{phase}.limit=5", f"{phase}.sample=3"])]


@pytest.mark.parametrize(
    "words", [["train", "--limit", "5"], ["generate", "--limt", "5"], ["ask", "Who?", "x"], ["corpus", "split", "a"]]
)
def test_unknown_flags_and_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert re.search("unrecognized arguments|required", capsys.readouterr().err)


def test_sigterm_unwinds_the_phase_and_ends_with_143(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unwound: list[bool] = []

    def phase(_phase: str, _settings: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        finally:
            unwound.append(True)

    monkeypatch.setattr("steper_ray.cli.phases.run_phase", phase)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["report"]) == 143
    assert unwound == [True]
    assert capsys.readouterr().err == "stopped; the same command continues: steper report\n"
    assert signal.getsignal(signal.SIGTERM) == before


def test_another_exit_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steper_ray.cli.phases.run_phase", lambda *_: sys.exit(7))
    with pytest.raises(SystemExit, match="7"):
        main(["report"])
