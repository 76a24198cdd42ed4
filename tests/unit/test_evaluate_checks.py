import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from steper_ray.config import load_config
from steper_ray.core.prompts import PROMPT_VERSION
from steper_ray.core.types import Layout, LoopSettings, Target
from steper_ray.data.contamination import HASHES_FILE
from steper_ray.data.schemas import SAMPLES
from steper_ray.drive.writer import PartWriter
from steper_ray.errors import ConfigError, InputError, RunFolderError
from steper_ray.evaluate.choice import chosen_loop
from steper_ray.evaluate.run import evaluate
from steper_ray.evaluate.stages import check_samples
from steper_ray.runs import Manifest, write_manifest
from steper_ray.student.card import CARD_FILE, WeightsCard, write_card


def test_importing_the_phase_loads_no_engine() -> None:
    script = "import sys, steper_ray.evaluate.run as run; print(sorted({'ray', 'torch', 'vllm'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_questions_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.questions is missing"):
        evaluate(load_config(None, [f"run.folder={tmp_path}"]))


def test_without_weights_the_message_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"run `steper train` first, or set student\.model"):
        evaluate(load_config(None, [f"run.folder={tmp_path}", f"evaluate.questions={_questions(tmp_path)}"]))


def test_a_loop_other_than_the_trained_one_is_refused_before_anything_starts(tmp_path: Path) -> None:
    overrides = _trained_student(tmp_path)
    with pytest.raises(ConfigError, match=r"loop\.k is 8, trained with 4.*evaluate\.force_loop=true"):
        evaluate(load_config(None, [*overrides, "loop.k=8"]))
    # Forced, it comes as far as the index, which is not there.
    with pytest.raises(RunFolderError, match="no index"):
        evaluate(load_config(None, [*overrides, "loop.k=8", "evaluate.force_loop=true"]))
    assert not (tmp_path / "evaluate").exists()


def test_untrained_weights_asked_with_one_retrieval_get_the_instruction_of_that(tmp_path: Path) -> None:
    overrides = [*_trained_student(tmp_path), "loop.layout=appended", "loop.target=cumulative"]
    (tmp_path / "weights" / CARD_FILE).unlink()
    one, loop = (load_config(None, [*overrides, f"evaluate.system={name}"]) for name in ("one_step", "multi_step"))
    assert chosen_loop(one, one.student).target is Target.STEP
    assert chosen_loop(loop, loop.student).target is Target.CUMULATIVE
    how = LoopSettings(layout=Layout.APPENDED, target=Target.CUMULATIVE)
    write_card(tmp_path / "weights", WeightsCard(how, PROMPT_VERSION, "vanilla_kd", (1.0, 1.0, 1.0)))
    assert chosen_loop(one, one.student) == how


def test_a_trained_student_takes_no_demonstrations(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"student\.demonstrations"):
        evaluate(load_config(None, [*_trained_student(tmp_path), f"student.demonstrations={tmp_path / 'd.jsonl'}"]))


def test_samples_of_other_prompts_are_refused(tmp_path: Path) -> None:
    how = LoopSettings()
    _samples_folder(tmp_path, how, rows=1)
    check_samples(tmp_path, how)
    with pytest.raises(ConfigError, match="made with layout turns, the student has appended"):
        check_samples(tmp_path, LoopSettings(layout=Layout.APPENDED))


def test_samples_of_another_number_of_passages_are_accepted(tmp_path: Path) -> None:
    _samples_folder(tmp_path, LoopSettings(k=8), rows=1)
    check_samples(tmp_path, LoopSettings(k=4))


def test_an_empty_samples_folder_is_refused(tmp_path: Path) -> None:
    _samples_folder(tmp_path, LoopSettings(), rows=0)
    with pytest.raises(InputError, match="holds no sample"):
        check_samples(tmp_path, LoopSettings())


def _trained_student(folder: Path) -> list[str]:
    """Overrides for a replayed student whose model folder carries a card."""
    weights = folder / "weights"
    weights.mkdir()
    for name, content in (("config.json", '{"model_type": "llama"}'), ("tokenizer.json", "{}")):
        (weights / name).write_text(content)
    (weights / "model.safetensors").write_bytes(b"")
    write_card(weights, WeightsCard(LoopSettings(), PROMPT_VERSION, "steper", (1.0, 1.0, 1.0)))
    chains = folder / "chains.jsonl"
    chains.write_text(json.dumps({"id": "q", "steps": [{"rationale": "So the answer is: a."}]}) + "\n")
    return [
        f"run.folder={folder}",
        f"evaluate.questions={_questions(folder)}",
        "student.backend=replay",
        f"student.recordings={chains}",
        f"student.model={weights}",
    ]


def _questions(folder: Path) -> Path:
    path = folder / "questions.jsonl"
    path.write_text(json.dumps({"id": "q", "question": "Who?", "golden_answers": ["a"]}) + "\n")
    return path


def _samples_folder(folder: Path, how: LoopSettings, rows: int) -> None:
    row = dict.fromkeys(SAMPLES.names)
    with PartWriter(folder, SAMPLES, rows=10, seconds=60) as writer:
        for _ in range(rows):
            writer.add(row)
    facts = {"loop": asdict(how), "prompt_version": PROMPT_VERSION}
    write_manifest(folder, Manifest("samples", "", {"samples": rows}, facts))


def test_several_greedy_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.paths above 1 needs student\.temperature above 0"):
        evaluate(load_config(None, [f"run.folder={tmp_path}", "evaluate.paths=3"]))
    with pytest.raises(ConfigError, match=r"evaluate\.questions is missing"):
        evaluate(load_config(None, [f"run.folder={tmp_path}", "evaluate.paths=3", "student.temperature=0.7"]))


def test_broken_hashes_of_the_weights_are_found_before_anything_starts(tmp_path: Path) -> None:
    overrides = _trained_student(tmp_path)
    (tmp_path / "weights" / HASHES_FILE).write_text("x\n")
    with pytest.raises(RunFolderError, match=r"questions\.hashes cannot be read"):
        evaluate(load_config(None, overrides))
    assert not (tmp_path / "evaluate").exists()
