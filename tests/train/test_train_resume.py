"""Trainings that are killed and continued, by as many workers as before or by others, do the same as a calm one."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from steper_ray.train.checkpoint_folders import all_checkpoints
from steper_ray.train.journal import read_journal, updates_of
from tests.process_tree import family, running
from tests.train.tiny import settings_of, write_inputs
from tests.waiting import PATIENCE_S, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow]

UPDATES = 36
# In fp32: with another number of workers the sums have another order.
SETTINGS = ("train.epochs=4", "train.evaluate_every=6", "train.compute_dtype=float32", "ray.object_store_gib=0.1")
PROGRAM = "import sys; from steper_ray.cli import main; sys.exit(main(['train', *sys.argv[1:]]))"
SPEEDS = ("tokens_per_s", "peak_share")
RESULTS = ("total", "L_init", "L_exp", "L_agg", "sigma_init", "sigma_exp", "sigma_agg", "grad_norm")


def training(inputs: Path, folder: Path, *changes: str) -> "AbstractContextManager[subprocess.Popen[str]]":
    """A training in a process of its own with its own Ray."""
    settings = settings_of(inputs, folder, *SETTINGS, *changes)
    return running("-c", PROGRAM, *settings, stderr=subprocess.STDOUT)


def finish(inputs: Path, folder: Path, *changes: str) -> list[dict[str, Any]]:
    """Train to the end; the journal's lines less the speed."""
    with training(inputs, folder, *changes) as process:
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, out
    return lines_of(folder)


def lines_of(folder: Path) -> list[dict[str, Any]]:
    lines = read_journal(folder / "train")
    return [{name: value for name, value in line.items() if name not in SPEEDS} for line in lines]


def wait_for(folder: Path, seen: Callable[[dict[str, Any]], bool]) -> None:
    """Return when the last line of an update is as wanted."""

    def told() -> bool:
        updates = updates_of(read_journal(folder / "train"))
        return any(seen(line) for line in updates[-1:])

    wait_until(told)


def wait_for_update(folder: Path, update: int) -> None:
    wait_for(folder, lambda line: line["update"] >= update)


def checkpoint_updates(folder: Path) -> list[int]:
    return [int(checkpoint.name[-8:]) for checkpoint in all_checkpoints(folder / "train")]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def calm(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The journal of a training by two workers that nobody disturbed."""
    lines = finish(inputs, tmp_path_factory.mktemp("calm"))
    assert [line["update"] for line in updates_of(lines)] == list(range(1, UPDATES + 1))
    return lines


@pytest.fixture(scope="module")
def killed(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training whose driver was killed in its middle; its workers ended by themselves."""
    folder = tmp_path_factory.mktemp("killed")
    with training(inputs, folder) as process:
        wait_for_update(folder, 14)
        orphans = family(process.pid)
        workers = [orphan for orphan in orphans if "RayTrainWorker" in orphan.name()]
        process.send_signal(signal.SIGKILL)
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=60)
        # Agents of Ray's may stay behind.
        for orphan in orphans:
            with suppress(psutil.NoSuchProcess):
                orphan.kill()
        assert len(workers) == 2
        assert not alive
    assert 12 <= checkpoint_updates(folder)[-1] < UPDATES
    return folder


def test_after_a_worker_is_killed_the_same_workers_repeat_the_losses_to_the_last_bit(
    inputs: Path, calm: list[dict[str, Any]], tmp_path: Path
) -> None:
    with training(inputs, tmp_path) as process:
        wait_for_update(tmp_path, 14)
        workers = [child for child in family(process.pid) if "RayTrainWorker" in child.name()]
        workers[-1].kill()
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, out
    assert len(workers) == 2
    assert lines_of(tmp_path) == calm


@pytest.mark.parametrize("workers", [1, 3])
def test_after_the_driver_is_killed_the_same_command_continues_with_another_number_of_workers(
    inputs: Path, calm: list[dict[str, Any]], killed: Path, tmp_path: Path, workers: int
) -> None:
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    found = finish(inputs, tmp_path, f"train.workers={workers}")
    assert [line["update"] for line in found] == [line["update"] for line in calm]
    for line, expected in zip(found, calm, strict=True):
        if "held_out" in line:
            assert line["held_out"] == pytest.approx(expected["held_out"], rel=1e-3)
            continue
        # The same packs in the same order.
        assert (line["tokens"], line["target_tokens"]) == (expected["tokens"], expected["target_tokens"])
        for name in RESULTS:
            assert line[name] == pytest.approx(expected[name], rel=1e-3), (line["update"], name)


def test_before_a_node_is_taken_away_a_checkpoint_is_written_and_training_goes_on_with_fewer_workers_until_more_come(
    inputs: Path, tmp_path: Path
) -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 2**27})
    every = 50
    settings = ("train.epochs=60", "train.workers_min=1", "train.resize_s=1", f"train.checkpoint_every={every}")
    try:
        _, doomed = (cluster.add_node(num_cpus=1, object_store_memory=2**27) for _ in range(2))
        with training(inputs, tmp_path, *settings, f"ray.address={cluster.address}"):
            wait_for_update(tmp_path, 5)
            announce_the_end_of(doomed.node_id, cluster.address)
            before = wait_until(lambda: [n for n in checkpoint_updates(tmp_path) if n % every])[0]
            cluster.remove_node(doomed, allow_graceful=False)
            wait_for(tmp_path, lambda line: line["workers"] == 1)
            cluster.add_node(num_cpus=1, object_store_memory=2**27)
            alone = lines_of(tmp_path)[-1]["update"]
            wait_for(tmp_path, lambda line: line["workers"] == 2 and line["update"] > alone + every)
            updates = updates_of(lines_of(tmp_path))
    finally:
        cluster.shutdown()
    assert [line["update"] for line in updates] == list(range(1, len(updates) + 1))
    assert updates[before - 1]["workers"] == 2


def announce_the_end_of(node: str, address: str) -> None:
    notice = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"]
    ray = str(Path(sys.executable).with_name("ray"))
    command = [ray, "drain-node", "--address", address, "--node-id", node, *notice]
    subprocess.run([*command, "--deadline-remaining-seconds", "15"], check=True)


def test_after_the_driver_is_killed_and_a_checkpoint_is_torn_the_one_before_is_continued_to_the_last_bit(
    inputs: Path, calm: list[dict[str, Any]], killed: Path, tmp_path: Path
) -> None:
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    torn = all_checkpoints(tmp_path / "train")[-1]
    shard = next(torn.glob("*.distcp"))
    shard.write_bytes(shard.read_bytes()[:100])
    with training(inputs, tmp_path) as process:
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, out
    assert f"warning: {torn.name} is left out: its file '{shard.name}' has 100 bytes instead of" in out
    assert lines_of(tmp_path) == calm


def test_a_training_whose_held_out_loss_rises_ends_early_and_exports_the_best(inputs: Path, tmp_path: Path) -> None:
    settings = ("train.patience=2", "train.export=best", "train.learning_rate=3e-2", "train.epochs=40")
    with training(inputs, tmp_path, *settings) as process:
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, out
    scored = [(line["update"], line["held_out"]["selection"]) for line in lines_of(tmp_path) if "held_out" in line]
    assert scored.pop(0)[0] == 0  # before the training
    best = min(scored, key=lambda pair: pair[1])
    assert scored.index(best) == len(scored) - 3
    assert lines_of(tmp_path)[-1]["update"] < 40 * 9
    assert checkpoint_updates(tmp_path)[0] == best[0]
    assert_weights_are_those_of(tmp_path / "train", all_checkpoints(tmp_path / "train")[0])


def assert_weights_are_those_of(folder: Path, checkpoint: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    whole = folder / "whole.pt"
    dcp_to_torch_save(checkpoint, whole)
    saved = torch.load(whole, weights_only=False)["model"]
    exported = load_file(folder / "weights" / "model.safetensors")
    for name, weight in exported.items():
        assert torch.equal(weight, saved[name].to(torch.bfloat16)), name
