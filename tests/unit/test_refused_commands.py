"""A command that a folder refuses leaves the settings of the run there as they were."""

import json
from pathlib import Path

import pytest

from steper_ray.backends.index_facts import IndexFacts, write_facts
from steper_ray.called import COMMAND_FILE
from steper_ray.cli import main
from steper_ray.core.types import Passage, Question, Step, StopReason, Trajectory
from steper_ray.data.schemas import TRAJECTORIES, trajectory_row
from steper_ray.drive.ledger import text_hash
from steper_ray.drive.writer import PartWriter
from steper_ray.runs import CONFIG_FILE

ASKED = Question("a", "Which show?", ("Hee Haw",))


def ask(folder: Path, text: str) -> None:
    row = {"id": ASKED.id, "question": text, "golden_answers": ASKED.golden_answers}
    (folder / "q.jsonl").write_text(json.dumps(row))


def finish(folder: Path) -> None:
    """Nothing is left to drive, so no engine starts."""
    step = Step("q", ("p",), (Passage("p", "T", "text"),), "So the answer is: Hee Haw")
    provenance = {"model": "m", "prompt_version": "1", "fingerprint": "f", "text_hash": text_hash(ASKED)}
    with PartWriter(folder / "trajectories", TRAJECTORIES, rows=9, seconds=60) as writer:
        writer.add(trajectory_row(Trajectory(ASKED, 0, (step,), "Hee Haw", StopReason.ANSWERED), provenance))


@pytest.mark.parametrize(("command", "role"), [("generate", "teacher"), ("evaluate", "student")])
def test_neither_other_settings_nor_another_text_overwrite_configuration_and_command(
    command: str, role: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index, folder = tmp_path / "index", tmp_path / "run" / command
    (index / "lucene").mkdir(parents=True)
    write_facts(index, IndexFacts(1, "d", "en", "a", 0.9, 0.4))
    settings = [f"run.folder={tmp_path / 'run'}", f"index.folder={index}", f"{role}.backend=scripted"]
    call = [command, *settings, f"{command}.questions={tmp_path / 'q.jsonl'}"]
    finish(folder)
    ask(tmp_path, ASKED.text)
    assert main(call) == 0
    before = [(folder / name).read_text() for name in (CONFIG_FILE, COMMAND_FILE)]
    assert before[1].startswith(f"steper {command} ")

    assert main([*call, "loop.k=3"]) == 2
    assert "loop.k was 4, is 3" in capsys.readouterr().err
    ask(tmp_path, "Another show?")
    assert main([*call, f"{command}.retrievers=2"]) == 2
    assert "stands in" in capsys.readouterr().err
    assert [(folder / name).read_text() for name in (CONFIG_FILE, COMMAND_FILE)] == before

    ask(tmp_path, ASKED.text)
    assert main([*call, f"{command}.retrievers=2"]) == 0
    assert json.loads((folder / CONFIG_FILE).read_text())[command]["retrievers"] == 2
