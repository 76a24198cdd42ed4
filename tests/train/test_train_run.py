"""The training phase as a user runs it: Ray Data tokenises, Ray Train's workers train, one is killed, weights load."""

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from steper_ray.core.types import LoopSettings
from steper_ray.data.contamination import read_hashes
from steper_ray.errors import EnvironmentFault, RunFolderError
from steper_ray.runs import read_manifest
from steper_ray.telemetry.log import read_log
from steper_ray.train.journal import read_journal, updates_of
from steper_ray.train.run import train
from steper_ray.train.telling import PART
from tests.train.tiny import TEMPLATE, config_of, write_inputs

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `samples/` of 40 trajectories and a tiny `model/` with a tokenizer of its words."""
    return write_inputs(tmp_path_factory.mktemp("train"))


def kill_a_worker_after(update: int, journal: Path) -> threading.Thread:
    """SIGKILL one of this process's Ray Train workers when an update is in the journal."""

    def watch() -> None:
        while max((line["update"] for line in read_journal(journal)), default=0) < update:
            time.sleep(0.05)
        workers = [child for child in psutil.Process().children(recursive=True) if "RayTrainWorker" in child.name()]
        assert len(workers) == 2
        workers[-1].send_signal(signal.SIGKILL)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


# Every 20 updates, and at the end of each epoch of 9.
SCORED = [0, 9, 18, 20, 27, 36, 40, 45, 54, 60, 63, 72]


@pytest.mark.slow
def test_a_killed_worker_costs_no_update_and_the_weights_load(inputs: Path, tmp_path: Path, ray_cluster: None) -> None:
    config = config_of(inputs, tmp_path, "train.epochs=8")
    killer = kill_a_worker_after(20, tmp_path / "train")
    result = train(config)
    killer.join(timeout=1)
    assert not killer.is_alive(), "the training ended before a worker was killed"

    lines = read_journal(result.folder)
    updates = updates_of(lines)
    assert [line["update"] for line in updates] == list(range(1, 72 + 1))
    assert updates[-1]["total"] < updates[0]["total"] / 2
    assert [line["update"] for line in lines if "held_out" in line] == SCORED
    checkpoints = sorted(path.name for path in (result.folder / "checkpoints").glob("update-*"))
    assert checkpoints[-2:] == ["update-00000068", "update-00000072"]
    assert len(checkpoints) <= 3  # and the best
    log = [line for line in read_log(result.folder, PART) if line["event"] in ("workers_started", "workers_resumed")]
    assert [line["event"] for line in log] == ["workers_started", "workers_resumed"]
    assert log[1]["after"] >= 16  # a checkpoint every 4 updates, killed after 20
    counts = read_manifest(result.folder, "train", command="").counts
    assert counts["samples"] == 100 == sum(number for name, number in counts.items() if name != "samples")
    assert counts["held_out"] > 0
    assert_loads(result.weights)

    train(config)  # is finished: says so, changes nothing
    assert read_journal(result.folder) == lines
    before = (result.folder / "config.json").read_text()
    with pytest.raises(RunFolderError, match=r"train\.learning_rate was 0\.001, is 0\.1"):
        train(config_of(inputs, tmp_path, "train.epochs=8", "train.learning_rate=0.1"))
    assert (result.folder / "config.json").read_text() == before


def test_adapters_are_trained_merged_and_saved(inputs: Path, tmp_path: Path, ray_cluster: None) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    result = train(config_of(inputs, tmp_path, "train.workers=1", "train.epochs=2", "train.lora_rank=4"))
    merged = assert_loads(result.weights)
    trained = read_hashes(result.weights)
    assert trained is not None
    assert (trained, len(trained.ids)) == (read_hashes(inputs / "samples"), 40)
    base = AutoModelForCausalLM.from_pretrained(inputs / "model", dtype=torch.float32)
    start = base.get_input_embeddings().weight.detach().clone()
    tokens = torch.arange(12)[None]
    before = base(tokens).logits
    adapted = PeftModel.from_pretrained(base, str(result.weights / "adapter"))(tokens).logits
    assert not torch.allclose(before, adapted, atol=1e-2)
    torch.testing.assert_close(merged(tokens).logits.float(), adapted, rtol=5e-2, atol=5e-2)
    torch.testing.assert_close(merged.get_input_embeddings().weight.float(), start, rtol=1e-2, atol=1e-3)


def assert_loads(weights: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from steper_ray.student.card import read_card

    model = AutoModelForCausalLM.from_pretrained(weights)
    assert model.dtype == torch.bfloat16
    assert AutoTokenizer.from_pretrained(weights).chat_template == TEMPLATE
    eos = json.loads((weights / "generation_config.json").read_text())["eos_token_id"]
    assert eos == 2
    card = read_card(weights)
    assert card is not None
    assert card.loop == LoopSettings()
    assert (card.preset, len(card.sigmas)) == ("steper", 3)
    assert card.sigmas != (1, 1, 1)
    return model


@pytest.mark.parametrize(
    ("asked", "lack"),
    [
        ("train.workers=900", "900 training workers ask for 1 CPU each, there is room for "),
        (
            "train.gpus_per_worker=8",
            "1 training workers ask for 1 CPU and 8 GPU each, there is room for 0; the nodes offer ",
        ),
    ],
)
def test_a_training_without_room_says_what_it_lacks_instead_of_waiting(
    inputs: Path, tmp_path: Path, ray_cluster: None, asked: str, lack: str
) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        train(config_of(inputs, tmp_path, "train.workers=1", asked))
    assert lack in str(caught.value)
