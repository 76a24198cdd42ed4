"""One process, two and three ranks, with and without accumulation, give the same loss, gradients and training."""

import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from steper_ray.core.loss import StageReduction, stage_means, total_loss
from steper_ray.core.types import STAGES
from steper_ray.errors import PhaseFailed
from steper_ray.student.adapter import Adapter
from steper_ray.student.metrics import stage_metrics
from steper_ray.student.model import gather_weights, load_whole, reshard, with_adapter
from steper_ray.student.ranks import Ranks
from steper_ray.train.checkpoint import CheckpointWriter, load_checkpoint
from steper_ray.train.checkpoint_folders import all_checkpoints, checkpoint_folder, latest_checkpoint
from steper_ray.train.state import TrainState
from steper_ray.train.update import accumulate, take_update
from tests.train.ranks_program import (
    ADAPTER,
    CPU,
    LOG_SIGMA,
    SCENARIOS,
    VOCABULARY,
    gradients,
    losses_and_gradients,
    packs_of,
    state_of,
    two_updates,
    units_of,
)

PROGRAM = Path(__file__).parent / "ranks_program.py"
NAMES = [*SCENARIOS, "adapter"]
SIZES = (2, 3)


def write_model(folder: Path, *, tied: bool = True) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model and the results of two and of three ranks."""
    folder = tmp_path_factory.mktemp("exact")
    write_model(folder / "model")
    for size in SIZES:
        command = [sys.executable, str(PROGRAM), str(folder)]
        ranks = [subprocess.Popen([*command, str(rank), str(size)]) for rank in range(size)]
        try:
            assert [rank.wait(timeout=600) for rank in ranks] == [0] * size
        finally:
            for rank in ranks:
                rank.kill()
    return folder


@pytest.fixture(scope="module")
def alone() -> Iterator[Ranks]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield Ranks(device=CPU)
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def one_process(folder: Path, alone: Ranks) -> dict[str, Any]:
    return losses_and_gradients(folder, alone)


@pytest.fixture(scope="module", params=[(size, rank) for size in SIZES for rank in range(size)], ids=str)
def one_of_several(folder: Path, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What one rank of two or three found."""
    size, rank = request.param
    return dict(torch.load(folder / f"result-{size}-{rank}.pt", weights_only=True))


def by_hand(folder: Path, name: str, adapter: Adapter | None = None) -> dict[str, Any]:
    """The loss of the whole batch, written down from the definition on an unsharded model; autograd does the rest."""
    model: nn.Module = load_whole(folder / "model", CPU, torch.float32)
    if adapter:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = with_adapter(model, adapter)  # type: ignore[arg-type]
    reduction, packs = SCENARIOS[name]
    samples: dict[int, list[Tensor]] = {0: [], 1: [], 2: []}
    for unit in (unit for pack in units_of(packs) for unit in pack):
        ids = torch.from_numpy(unit.token_ids).long()
        logits = model(input_ids=ids[None], position_ids=torch.arange(len(ids))[None], use_cache=False).logits[0]
        losses = nn.functional.cross_entropy(logits[:-1], ids[1:], reduction="none")
        for segment in unit.segments:
            samples[STAGES.index(segment.stage)].append(losses[segment.start - 1 : segment.stop - 1])
    join = torch.cat if reduction is StageReduction.TOKEN else lambda parts: torch.stack([p.mean() for p in parts])
    values = [join(parts) if parts else torch.zeros(0) for parts in samples.values()]
    counts = torch.tensor([float(len(value)) for value in values])
    means = stage_means(torch.stack([value.sum() for value in values]), counts)
    total = total_loss(means, counts, torch.tensor(LOG_SIGMA))
    total.backward()
    gradients = {key: weight.grad for key, weight in model.named_parameters() if weight.grad is not None}
    return {"total": float(total.detach()), "means": means.detach(), "gradients": gradients}


def assert_same(found: dict[str, Any], expected: dict[str, Any], within: float = 1e-6) -> None:
    assert found["total"] == pytest.approx(expected["total"], rel=1e-6)
    torch.testing.assert_close(found["means"].double(), expected["means"].double(), rtol=1e-6, atol=1e-6)
    assert found["gradients"].keys() == expected["gradients"].keys()
    ours, theirs = (
        torch.cat([values["gradients"][name].flatten().double() for name in sorted(expected["gradients"])])
        for values in (found, expected)
    )
    assert float((ours - theirs).norm() / theirs.norm()) <= within


@pytest.mark.parametrize("name", NAMES)
def test_one_process_gives_the_loss_of_the_definition(name: str, folder: Path, one_process: dict[str, Any]) -> None:
    adapter = ADAPTER if name == "adapter" else None
    scenario = "a rank lacks a stage, accumulated" if adapter else name
    assert_same(one_process[name], by_hand(folder, scenario, adapter))


@pytest.mark.parametrize("name", NAMES)
def test_several_ranks_give_the_loss_of_one(
    name: str, one_process: dict[str, Any], one_of_several: dict[str, Any]
) -> None:
    assert_same(one_of_several[name], one_process[name])


def test_an_absent_stage_has_no_loss(one_process: dict[str, Any]) -> None:
    assert one_process["a stage absent altogether"]["means"][1] == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["all", "adapter"])
def test_a_checkpoint_of_several_ranks_continues_in_one_process(
    kind: str, size: int, folder: Path, alone: Ranks
) -> None:
    saved = torch.load(folder / f"result-{size}-0.pt", weights_only=True)
    state = state_of(folder, alone, ADAPTER if kind == "adapter" else None)
    place = latest_checkpoint(folder / f"trained-{kind}-{size}")
    assert place is not None
    load_checkpoint(place, state)
    assert state.update == 2
    weights = gather_weights(state.model, alone)
    assert weights.keys() == saved[f"trained {kind}"].keys()
    assert all(torch.equal(weights[name], saved[f"trained {kind}"][name]) for name in weights)
    assert torch.equal(state.sigmas.log_sigma, saved[f"sigma {kind}"])
    straight = state_of(folder, alone, ADAPTER if kind == "adapter" else None)
    for _ in range(2):
        two_updates(straight)
    two_updates(state)
    for name, weight in gather_weights(straight.model, alone).items():
        torch.testing.assert_close(gather_weights(state.model, alone)[name], weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state.sigmas.log_sigma, straight.sigmas.log_sigma, rtol=1e-5, atol=1e-6)


def saved_after(updates: list[int], folder: Path, state: TrainState, **options: Any) -> list[str]:
    """The names of the checkpoints that are left after saving some, the second of which is the best."""
    writer = CheckpointWriter(folder, state.ranks, 2, **options)
    for update in updates:
        state.update = update
        state.selection.note(1.0 if update == updates[1] else 2.0, update)
        writer.save(state)
    writer.finish()
    return [place.name[-2:] for place in all_checkpoints(folder)]


def test_the_newest_checkpoints_and_the_best_are_kept(folder: Path, alone: Ranks, tmp_path: Path) -> None:
    state = state_of(folder, alone)
    assert saved_after([10, 20, 30, 40, 50], tmp_path, state) == ["20", "40", "50"]
    assert sorted(place.name[-2:] for place in (tmp_path / "checkpoints").iterdir()) == ["20", "40", "50"]


def test_a_checkpoint_written_in_the_background_holds_the_state_of_its_update(
    folder: Path, alone: Ranks, tmp_path: Path
) -> None:
    state = state_of(folder, alone)
    two_updates(state)
    before, sigmas = gather_weights(state.model, alone), state.sigmas.log_sigma
    writer = CheckpointWriter(tmp_path, alone, 2, background=True)
    writer.save(state)
    two_updates(state)
    writer.finish()
    place = latest_checkpoint(tmp_path)
    assert place == checkpoint_folder(tmp_path, 2)
    load_checkpoint(place, state)
    after = gather_weights(state.model, alone)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(state.sigmas.log_sigma, sigmas)
    assert state.update == 2


def test_a_checkpoint_that_cannot_be_written_names_the_place_and_leaves_the_one_before(
    folder: Path, alone: Ranks, tmp_path: Path
) -> None:
    state = state_of(folder, alone)
    writer = CheckpointWriter(tmp_path, alone, 2)
    state.update = 1
    writer.save(state)
    state.update = 2
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))  # as on a full disk
    try:
        with pytest.raises(PhaseFailed, match=r"update-00000002 could not be written: .*; make room"):
            writer.save(state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert latest_checkpoint(tmp_path) == checkpoint_folder(tmp_path, 1)


def test_gathered_weights_left_by_an_evaluation_do_not_reach_the_checkpoint(
    folder: Path, alone: Ranks, tmp_path: Path
) -> None:
    state = state_of(folder, alone, reshard_after_forward=False)
    two_updates(state)
    before = gather_weights(state.model, alone)
    stage_metrics(state.model, units_of(SCENARIOS["an idle pass"][1])[0], 100, ranks=alone)
    reshard(state.model)
    CheckpointWriter(tmp_path, alone, 2).save(state)
    load_checkpoint(checkpoint_folder(tmp_path, 2), state)
    two_updates(state)
    assert state.update == 4
    load_checkpoint(checkpoint_folder(tmp_path, 2), state)
    after = gather_weights(state.model, alone)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="torch.compile needs a C++ compiler")
@pytest.mark.slow
def test_compiled_layers_give_the_same_loss_and_gradients(folder: Path, alone: Ranks) -> None:
    reduction, packs = SCENARIOS["one pack each"]
    found = []
    for compiled in (False, True):
        state = state_of(folder, alone, compile=compiled)
        done = accumulate(state, packs_of(packs, reduction, alone))
        found.append({"total": done.total, "means": done.means, "gradients": gradients(state)})
    assert_same(found[1], found[0], within=1e-5)


def test_a_broken_loss_stops_before_the_step_and_names_stage_update_and_samples(folder: Path, alone: Ranks) -> None:
    # A tied embedding would spread what is wrong in one row to the logits of every sample.
    write_model(folder / "untied" / "model", tied=False)
    state = state_of(folder / "untied", alone)
    reduction, packs = SCENARIOS["an idle pass"]
    first, second, third = packs_of(packs, reduction, alone)
    only_third = set(third.token_ids[0, :10].tolist()) - {*first.token_ids[0].tolist(), *second.token_ids[0].tolist()}
    embedding = state.model.get_submodule("model.embed_tokens").weight
    with torch.no_grad():
        embedding.to_local()[min(only_third)] = torch.nan  # type: ignore[operator,union-attr]
    before, state.update = gather_weights(state.model, alone), 6
    told = r"^update 7: the loss of reasoning_aggregation is not finite; samples: 2-0#0; the weights"
    with pytest.raises(PhaseFailed, match=told):
        take_update(state, [first, second, third], rate=1.0, clip=1.0)
    after = gather_weights(state.model, alone)
    assert all(torch.equal(before[name].nan_to_num(), after[name].nan_to_num()) for name in before)
    assert state.sigmas.log_sigma.tolist() == pytest.approx(LOG_SIGMA)
